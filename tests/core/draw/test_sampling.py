"""Laws of the draw. They hold for every mixture, size and seed, whatever the random numbers are.

Statistical tests are in `test_sampling_chances`.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import (
    LARGEST_SEED,
    MODES,
    RANDOM,
    RANDOM_ONCE,
    STRATIFIED,
    STRATIFIED_ONCE,
    Extremes,
    Mode,
    mixture_of,
    mixtures,
    plan_of,
    rng_seeds,
    seeds,
)
from worker.core.draw.plans import Plan
from worker.core.draw.sampling import Drawn, draw
from worker.core.mixture import Integers, Mixture

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
modes = st.sampled_from(list(MODES.values()))


@st.composite
def plans(pick: st.DrawFn, allowed: Sequence[Mode] = tuple(MODES.values())) -> Plan:
    """A batch of requests, some with seeds. Without replacement, none wants more chunks than there are."""
    mixture, mode = pick(mixtures), pick(st.sampled_from(allowed))
    most = 300 if mode.replace else min(300, int(mixture.ready.sum()))
    requests = pick(st.lists(st.tuples(st.integers(1, most) | st.just(most), seeds), min_size=1, max_size=6))
    return plan_of(mixture, [size for size, _ in requests], [seed for _, seed in requests], mode=mode)


def _requests(plan: Plan, drawn: Drawn) -> list[Integers]:
    """Split the positions drawn by request."""
    return np.split(drawn.positions, np.cumsum(plan.sizes)[:-1])


def _category_of(mixture: Mixture, positions: Integers) -> Integers:
    """Find the category of each position by a search through all ranges."""
    inside = (positions[:, None] >= mixture.starts) & (positions[:, None] < mixture.starts + mixture.ready)
    assert (inside.sum(axis=1) == 1).all()
    categories: Integers = inside.argmax(axis=1)
    return categories


def _alone(plan: Plan, row: int) -> Plan:
    return Plan(plan.mixture, plan.sizes[row : row + 1], [plan.seeds[row]], plan.replace, plan.stratified)


@given(plans(), rng_seeds)
def test_counts_add_up_and_agree_with_the_places(plan: Plan, seed: int) -> None:
    drawn = draw(plan, np.random.default_rng(seed))
    assert drawn.counts.sum(axis=1).tolist() == plan.sizes.tolist()
    for positions, counts in zip(_requests(plan, drawn), drawn.counts, strict=True):
        categories = _category_of(plan.mixture, positions)
        assert np.bincount(categories, minlength=len(counts)).tolist() == counts.tolist()


@given(plans(allowed=(RANDOM_ONCE, STRATIFIED_ONCE)), rng_seeds)
def test_without_replacement_no_chunk_comes_twice(plan: Plan, seed: int) -> None:
    drawn = draw(plan, np.random.default_rng(seed))
    assert (drawn.counts <= plan.mixture.ready).all()
    for positions in _requests(plan, drawn):
        assert len(np.unique(positions)) == len(positions)


@given(mixtures, st.sampled_from([RANDOM_ONCE, STRATIFIED_ONCE]), st.lists(seeds, min_size=1, max_size=3))
def test_without_replacement_all_chunks_are_all_chunks(
    mixture: Mixture,
    mode: Mode,
    batch: list[int | None],
) -> None:
    everything = int(mixture.ready.sum())
    plan = plan_of(mixture, [everything] * len(batch), batch, mode=mode)
    drawn = draw(plan, np.random.default_rng(0))
    assert (drawn.counts == mixture.ready).all()
    for positions in _requests(plan, drawn):
        assert np.sort(positions).tolist() == list(range(everything))


@given(plans(allowed=(STRATIFIED, STRATIFIED_ONCE)), rng_seeds)
def test_stratified_draws_keep_to_it_unless_a_category_runs_out(plan: Plan, seed: int) -> None:
    ideal = plan.sizes[:, None] * plan.mixture.probabilities
    roomy = plan.replace | (np.ceil(ideal) <= plan.mixture.ready).all(axis=1)
    counts = draw(plan, np.random.default_rng(seed)).counts
    assert (np.abs(counts - ideal) < 1 + 1e-6)[roomy].all()


@given(plans(), st.data())
def test_a_seeded_request_draws_the_same_alone_and_in_any_batch(plan: Plan, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(plan.sizes))))
    batch = Plan(plan.mixture, plan.sizes[order], [plan.seeds[i] for i in order], plan.replace, plan.stratified)
    together, reordered = draw(plan, np.random.default_rng(1)), draw(batch, np.random.default_rng(2))
    for row, seed in enumerate(plan.seeds):
        if seed is None:
            continue
        alone = draw(_alone(plan, row), np.random.default_rng(3))
        assert alone.positions.tolist() == _requests(plan, together)[row].tolist()
        assert alone.positions.tolist() == _requests(batch, reordered)[order.index(row)].tolist()
        assert alone.counts[0].tolist() == together.counts[row].tolist()


@in_every_mode
def test_seeded_draws_take_no_numbers_from_the_generator(mode: Mode) -> None:
    plan = plan_of(mixture_of({"a": 0.7, "b": 0.3}, {"a": 5, "b": 9}), [10, 4], [1, 2], mode=mode)
    rng = np.random.default_rng(1)
    draw(plan, rng)
    assert rng.random() == np.random.default_rng(1).random()


@in_every_mode
def test_other_seeds_draw_otherwise(mode: Mode) -> None:
    mixture = mixture_of({"a": 0.7, "b": 0.3}, {"a": 500, "b": 500})
    batch = [0, 1, 2, 2**32, 2**62, LARGEST_SEED, *range(3, 100)]
    plan = plan_of(mixture, [20] * len(batch), batch, mode=mode)
    drawn = [tuple(positions.tolist()) for positions in _requests(plan, draw(plan, np.random.default_rng(0)))]
    assert len(set(drawn)) == len(batch)


@in_every_mode
def test_unseeded_requests_differ_within_a_batch_and_between_batches(
    mode: Mode,
) -> None:
    plan = plan_of(mixture_of({"a": 1}, {"a": 500}), [20] * 50, mode=mode)
    rng = np.random.default_rng(0)
    drawn = [tuple(positions.tolist()) for _ in range(2) for positions in _requests(plan, draw(plan, rng))]
    assert len(set(drawn)) == 100


@in_every_mode
def test_unseeded_requests_beside_seeded_ones_take_no_seed(mode: Mode) -> None:
    mixture = mixture_of({"a": 0.7, "b": 0.3}, {"a": 500, "b": 500})
    plan = plan_of(mixture, [20] * 4, [0, None, None, 0], mode=mode)
    rng = np.random.default_rng(0)
    drawn = [tuple(positions.tolist()) for _ in range(20) for positions in _requests(plan, draw(plan, rng))]
    seeded = set(drawn[0::4]) | set(drawn[3::4])
    assert len(seeded) == 1
    assert len({*drawn[1::4], *drawn[2::4]} - seeded) == 40


PINNED = {
    RANDOM: ([2, 55, 40, 14, 2, 5, 9, 0, 2, 0, 0, 0], "63d618bcd22c09d4"),
    STRATIFIED: ([21, 36, 55, 13, 2, 1, 1, 1, 2, 0, 73, 6], "6fa4f70a60324911"),
    RANDOM_ONCE: ([61, 36, 55, 13, 35, 25, 27, 1, 0, 2, 73, 6], "f4dfa5415acb8e64"),
    STRATIFIED_ONCE: ([61, 36, 55, 13, 35, 25, 27, 1, 0, 2, 73, 46], "edd003b7963e3855"),
}
"""Positions of 12 chunks of 83; and the start of the SHA-256 of 300 positions of 1,003, many of them drawn again."""


@in_every_mode
def test_seeded_draws_are_pinned(mode: Mode) -> None:
    """Workers of different versions draw the same for the same seed. A change here breaks that promise."""
    weights, rng = {"a": 0.5, "b": 0.3, "c": 0.2}, np.random.default_rng(0)
    few = draw(plan_of(mixture_of(weights, {"a": 3, "b": 40, "c": 40}), [12], [2026], mode=mode), rng)
    many = draw(plan_of(mixture_of(weights, {"a": 3, "b": 500, "c": 500}), [300], [2026], mode=mode), rng)
    digest = hashlib.sha256(many.positions.astype("<i8").tobytes()).hexdigest()[:16]
    assert (few.positions.tolist(), digest) == PINNED[mode]


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("mode", [RANDOM, STRATIFIED])
@given(mixture=mixtures, sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_extreme_numbers_and_tiny_weights_stay_within_the_catalog(
    number: float,
    mode: Mode,
    mixture: Mixture,
    sizes: list[int],
) -> None:
    plan = plan_of(mixture, sizes, mode=mode)
    drawn = draw(plan, Extremes(number))
    assert drawn.counts.sum(axis=1).tolist() == sizes
    _category_of(mixture, drawn.positions)


@pytest.mark.parametrize("least", [1e-9, 1e-12, 5e-324])
@in_every_mode
def test_next_to_nothing_beside_all_is_drawn_without_error(
    mode: Mode,
    least: float,
) -> None:
    weights = {"a": least, "b": 1.0, "c": least}
    mixture = mixture_of(weights, {"a": 3, "b": 3, "c": 3})
    plan = plan_of(mixture, [9, 7, 1], mode=mode)
    drawn = draw(plan, np.random.default_rng(0))
    assert drawn.counts.sum(axis=1).tolist() == [9, 7, 1]
    assert drawn.counts[2].tolist() == [0, 1, 0]


@pytest.mark.parametrize("mode", [RANDOM, RANDOM_ONCE])
@pytest.mark.parametrize(("number", "counts"), [(0.0, [1, 0, 0]), (0.25, [0, 1, 0]), (0.5, [0, 0, 1])])
def test_edges_of_a_mixture_belong_to_the_category_behind_them(mode: Mode, number: float, counts: list[int]) -> None:
    mixture = mixture_of({"a": 0.25, "b": 0.25, "c": 0.5}, dict.fromkeys("abc", 9))
    assert draw(plan_of(mixture, [1], mode=mode), Extremes(number)).counts.tolist() == [counts]


@pytest.mark.parametrize("mode", [STRATIFIED, RANDOM_ONCE, STRATIFIED_ONCE])
def test_more_requests_than_words_have_room_for_are_drawn_in_parts(mode: Mode) -> None:
    """Positions of 60 bits leave room for four requests at once."""
    mixture = mixture_of({"a": 1, "b": 2}, {"a": 2**58, "b": 2**59})
    plan = plan_of(mixture, [4] * 10, range(10), mode=mode)
    drawn = draw(plan, np.random.default_rng(0))
    assert drawn.counts.sum(axis=1).tolist() == [4] * 10
    for row, positions in enumerate(_requests(plan, drawn)):
        assert draw(_alone(plan, row), np.random.default_rng(0)).positions.tolist() == positions.tolist()
        assert len(np.unique(_category_of(mixture, positions))) == np.count_nonzero(drawn.counts[row])


@pytest.mark.parametrize("seeds_of_two", [(None, None), (1, 2)])
def test_nearly_all_of_many_categories_of_all_sizes(seeds_of_two: tuple[int | None, int | None]) -> None:
    """A large category and thousands of tiny ones. More of them are shuffled than words have room for at once."""
    ready = {"large": 100_000} | {f"c{i}": 1 + i % 2 for i in range(5000)}
    mixture = mixture_of({name: 90_000 if name == "large" else 5.0 for name in ready}, ready)
    plan = plan_of(mixture, [65_536, 60_000], seeds_of_two, mode=RANDOM_ONCE)
    drawn = draw(plan, np.random.default_rng(0))
    for positions, counts in zip(_requests(plan, drawn), drawn.counts, strict=True):
        assert len(np.unique(positions)) == len(positions)
        assert np.count_nonzero(counts * 2 > mixture.ready) > 2048
        categories = np.searchsorted(mixture.starts, positions, "right") - 1
        assert np.bincount(categories, minlength=len(counts)).tolist() == counts.tolist()
