"""Numbers of seeded requests are functions of the seed; others come from the generator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import rng_seeds, seeds
from worker.core.draw.random_numbers import Purpose, RandomNumbers

batches = st.lists(st.tuples(st.integers(1, 9), seeds), min_size=1, max_size=20)


def _numbers(batch: list[tuple[int, int | None]], rng_seed: int) -> RandomNumbers:
    sizes = np.array([size for size, _ in batch])
    return RandomNumbers([seed for _, seed in batch], sizes, np.random.default_rng(rng_seed))


@given(st.lists(seeds, min_size=1, max_size=20), rng_seeds)
def test_numbers_of_seeded_requests_depend_on_the_seed_alone(batch: list[int | None], seed: int) -> None:
    owners, indexes = np.arange(len(batch)), np.arange(len(batch)) * 3
    sizes = np.ones_like(owners)
    first, second = (
        RandomNumbers(batch, sizes, np.random.default_rng(s)).uniforms_at(Purpose.CHUNK, owners, indexes)
        for s in (seed, 7)
    )
    seeded = np.array([entry is not None for entry in batch])
    assert (first[seeded] == second[seeded]).all()
    assert ((first >= 0) & (first < 1)).all()


@given(batches, rng_seeds)
def test_numbers_of_all_chunks_are_those_of_their_owners_and_indexes(
    batch: list[tuple[int, int | None]], seed: int
) -> None:
    """Without seeds there are as many numbers, and they come from the generator."""
    numbers, others = _numbers(batch, seed), _numbers(batch, seed)
    assert numbers.count == len(numbers.owners) == len(numbers.indexes)
    for purpose in (Purpose.CHUNK, Purpose.ORDER):
        assert (numbers.words(purpose) == others.words_at(purpose, others.owners, others.indexes)).all()
        assert (numbers.uniforms(purpose) == others.uniforms_at(purpose, others.owners, others.indexes)).all()


@given(batches, st.data())
def test_some_of_the_requests_alone_get_the_same(batch: list[tuple[int, int | None]], data: st.DataObject) -> None:
    numbers = _numbers(batch, 1)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(batch) - 1), min_size=1))))
    some, chosen = numbers.of(rows), np.isin(numbers.owners, rows)
    assert some.sizes.tolist() == numbers.sizes[rows].tolist()
    seeded = np.array([batch[owner][1] is not None for owner in numbers.owners[chosen].tolist()])
    assert (numbers.uniforms(Purpose.ORDER)[chosen] == some.uniforms(Purpose.ORDER))[seeded].all()


@pytest.mark.parametrize("batch", [[(4, None)], [(4, None), (4, 7)]])
def test_numbers_without_a_seed_are_never_the_same_twice(batch: list[tuple[int, int | None]]) -> None:
    numbers = _numbers(batch, 1)
    drawn = np.concatenate([numbers.words(Purpose.CHUNK)[:4] for _ in range(2)])
    assert len(np.unique(drawn)) == 8
