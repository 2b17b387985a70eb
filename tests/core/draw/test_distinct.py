"""Laws of picking without repeats; those of the whole draw are in `test_sampling`, its chances in their own module."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import RANDOM_ONCE, Extremes, mixture_of, plan_of
from worker.core.draw.allocation import Allocated
from worker.core.draw.distinct import Layout, layout_for, pick_distinct
from worker.core.draw.random_numbers import RandomNumbers
from worker.core.mixture import Floats


class _EqualAtFirst(Extremes):
    """A generator that gives one quarter for all numbers of the first call, and random numbers later."""

    def __init__(self, number: float) -> None:
        super().__init__(number)
        self._later = np.random.default_rng(5)

    def random(self, size: object = None, *_: object, **__: object) -> Floats:  # type: ignore[override]
        numbers = super().random(size)
        self.number = 0.0
        return numbers if numbers[0] else self._later.random(len(numbers))


chunks = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 999), st.integers(0, 63)), min_size=1)


@given(chunks)
def test_words_hold_request_place_and_index(rows: list[tuple[int, int, int]]) -> None:
    layout = Layout(10, 6)
    owners, positions, indexes = (np.array(column) for column in zip(*rows, strict=True))
    words = layout.write_owners(owners) + layout.write_positions(positions) + indexes.view(np.uint64)
    assert layout.owners(words).tolist() == owners.tolist()
    assert layout.indexes(words).tolist() == indexes.tolist()
    assert np.argsort(words, kind="stable").tolist() == sorted(range(len(rows)), key=rows.__getitem__)
    others = words[::-1]
    alike = [one[:2] == other[:2] for one, other in zip(rows, reversed(rows), strict=True)]
    assert layout.are_equal_chunks(words, others).tolist() == alike
    assert (layout.without_indexes(words) == layout.without_indexes(others)).tolist() == alike


def test_a_layout_has_bits_for_the_last_place_and_the_largest_request() -> None:
    mixture = mixture_of({"a": 1, "b": 1}, {"a": 500, "b": 525})
    assert layout_for(mixture.finder, np.array([3, 64])) == Layout(11, 6)
    assert layout_for(mixture_of({"a": 1}, {"a": 1024}).finder, np.array([65])) == Layout(10, 7)
    assert Layout(40, 16).most_requests == 256


def test_a_chunk_may_come_in_several_requests_and_not_twice_in_one() -> None:
    """Half of the category for each. At first all numbers are equal, so all but one are drawn again."""
    mixture, rows, size = mixture_of({"a": 1}, {"a": 16}), 3, 8
    allocated = Allocated(np.zeros(rows * size, np.int64), np.full((rows, 1), size))
    numbers = RandomNumbers([None] * rows, np.full(rows, size), _EqualAtFirst(0.25))
    plan = plan_of(mixture, [size] * rows, mode=RANDOM_ONCE)
    positions = pick_distinct(plan, allocated, numbers).reshape(rows, size)
    assert (positions[:, 0] == 4).all()
    assert [len(set(row)) for row in positions.tolist()] == [size] * rows
