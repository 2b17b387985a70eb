"""Laws of the draw: they hold for every mixture, size and seed, whatever chance does.

What chance does is in `test_sampling_chances`.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import (
    MODES,
    RANDOM,
    RANDOM_ONCE,
    STRATIFIED,
    STRATIFIED_ONCE,
    Mode,
    mixture_of,
    mixtures,
    plan_of,
    shares,
)
from worker.core.mixture import Floats, Integers, Mixture
from worker.core.sampling import Drawn, Lane, Plan, Uniforms, _draw_rows, allocate_systematically, draw

LARGEST_SEED = 2**63 - 1
in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
modes = st.sampled_from(list(MODES.values()))
rng_seeds = st.integers(0, 2**32)
seeds = st.none() | st.integers(0, 5) | st.integers(0, LARGEST_SEED)


@st.composite
def plans(pick: st.DrawFn, allowed: Sequence[Mode] = tuple(MODES.values())) -> Plan:
    """A batch of requests, some seeded; without replacement none wants more than there is."""
    mixture, mode = pick(mixtures), pick(st.sampled_from(allowed))
    most = 300 if mode.replace else min(300, int(mixture.ready.sum()))
    requests = pick(st.lists(st.tuples(st.integers(1, most) | st.just(most), seeds), min_size=1, max_size=6))
    return plan_of(mixture, [size for size, _ in requests], [seed for _, seed in requests], mode=mode)


def _requests(plan: Plan, drawn: Drawn) -> list[Integers]:
    """Cut the places drawn into those of each request."""
    return np.split(drawn.places, np.cumsum(plan.sizes)[:-1])


def _category_of(mixture: Mixture, places: Integers) -> Integers:
    """Find each place's category by looking through all ranges."""
    inside = (places[:, None] >= mixture.starts) & (places[:, None] < mixture.starts + mixture.ready)
    assert (inside.sum(axis=1) == 1).all()
    categories: Integers = inside.argmax(axis=1)
    return categories


def _alone(plan: Plan, row: int) -> Plan:
    return Plan(plan.mixture, plan.sizes[row : row + 1], [plan.seeds[row]], plan.replace, plan.stratified)


@given(plans(), rng_seeds)
def test_counts_add_up_and_agree_with_the_places(plan: Plan, seed: int) -> None:
    drawn = draw(plan, np.random.default_rng(seed))
    assert drawn.counts.sum(axis=1).tolist() == plan.sizes.tolist()
    for places, counts in zip(_requests(plan, drawn), drawn.counts, strict=True):
        categories = _category_of(plan.mixture, places)
        assert np.bincount(categories, minlength=len(counts)).tolist() == counts.tolist()


@given(plans(allowed=(RANDOM_ONCE, STRATIFIED_ONCE)), rng_seeds)
def test_without_replacement_no_chunk_comes_twice(plan: Plan, seed: int) -> None:
    drawn = draw(plan, np.random.default_rng(seed))
    assert (drawn.counts <= plan.mixture.ready).all()
    for places in _requests(plan, drawn):
        assert len(np.unique(places)) == len(places)


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
    for places in _requests(plan, drawn):
        assert np.sort(places).tolist() == list(range(everything))


@given(mixtures, st.lists(st.integers(1, 65_536), min_size=1, max_size=20), rng_seeds)
def test_stratified_counts_are_the_ideal_rounded_down_or_up(mixture: Mixture, sizes: list[int], seed: int) -> None:
    wanted = np.array(sizes)
    counts = allocate_systematically(wanted, mixture.cumulative, np.random.default_rng(seed).random(len(sizes)))
    ideal = wanted[:, None] * mixture.probabilities
    assert (counts >= np.floor(ideal - 1e-6)).all()
    assert (counts <= np.ceil(ideal + 1e-6)).all()
    assert counts.sum(axis=1).tolist() == sizes


@given(plans(allowed=(STRATIFIED, STRATIFIED_ONCE)), rng_seeds)
def test_stratified_draws_keep_to_it_unless_a_category_runs_out(plan: Plan, seed: int) -> None:
    ideal = plan.sizes[:, None] * plan.mixture.probabilities
    roomy = plan.replace | (np.ceil(ideal) <= plan.mixture.ready).all(axis=1)
    counts = draw(plan, np.random.default_rng(seed)).counts
    assert (np.abs(counts - ideal) < 1 + 1e-6)[roomy].all()


def _average(allocate: object, size: int, cumulative: Floats, steps: int = 1000) -> Floats:
    """Average the counts over random numbers that are spread evenly, instead of drawing them."""
    assert callable(allocate)
    offsets = (np.arange(steps) + 0.5) / steps
    averages: Floats = allocate(np.full(steps, size), cumulative, offsets).mean(axis=0)
    return averages


def _is_unbiased(allocate: object, size: int, mixture: Mixture) -> bool:
    """Each edge between categories is right on average to half a step, so a count is to one."""
    ideal = size * mixture.probabilities
    return bool((np.abs(_average(allocate, size, mixture.cumulative) - ideal) <= 1e-3 + 1e-6).all())


def _largest_remainder(sizes: Integers, cumulative: Floats, _offsets: Floats) -> Integers:
    """What must not be used: the remainders decide, not chance."""
    ideal = sizes[:, None] * np.diff(cumulative, prepend=0)
    counts = np.floor(ideal).astype(np.int64)
    places = np.argsort(np.argsort(counts - ideal, axis=1), axis=1)
    rounded: Integers = counts + (places < (sizes - counts.sum(axis=1))[:, None])
    return rounded


@given(mixtures, st.integers(1, 65_536))
def test_stratified_counts_are_unbiased(mixture: Mixture, size: int) -> None:
    assert _is_unbiased(allocate_systematically, size, mixture)


def test_largest_remainder_is_biased() -> None:
    """A control of the law above: by batches of 8 a category stays 5 points off for ever."""
    mixture = mixture_of({"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}, dict.fromkeys("abcd", 10))
    average = _average(_largest_remainder, 8, mixture.cumulative)
    assert average.sum() == 8
    assert not _is_unbiased(_largest_remainder, 8, mixture)
    assert _is_unbiased(allocate_systematically, 8, mixture)


@given(st.lists(shares, min_size=2, max_size=8), st.integers(1, 100), st.randoms(use_true_random=False))
def test_no_position_is_favoured(parts: list[float], size: int, random: object) -> None:
    """Wherever a category stands among the others, it gets the same on average."""
    probabilities = np.array(parts) / sum(parts)
    order = np.array(random.sample(range(len(parts)), len(parts)))  # type: ignore[attr-defined]
    cumulative, permuted = np.cumsum(probabilities), np.cumsum(probabilities[order])
    cumulative[-1] = permuted[-1] = 1.0
    straight = _average(allocate_systematically, size, cumulative)
    assert _average(allocate_systematically, size, permuted) == pytest.approx(straight[order], abs=2e-3 + 1e-6)


@given(plans(), st.data())
def test_a_seeded_request_draws_the_same_alone_and_in_any_batch(plan: Plan, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(plan.sizes))))
    batch = Plan(plan.mixture, plan.sizes[order], [plan.seeds[i] for i in order], plan.replace, plan.stratified)
    together, reordered = draw(plan, np.random.default_rng(1)), draw(batch, np.random.default_rng(2))
    for row, seed in enumerate(plan.seeds):
        if seed is None:
            continue
        alone = draw(_alone(plan, row), np.random.default_rng(3))
        assert alone.places.tolist() == _requests(plan, together)[row].tolist()
        assert alone.places.tolist() == _requests(batch, reordered)[order.index(row)].tolist()
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
    drawn = [tuple(places.tolist()) for places in _requests(plan, draw(plan, np.random.default_rng(0)))]
    assert len(set(drawn)) == len(batch)


@in_every_mode
def test_unseeded_requests_differ_within_a_batch_and_between_batches(
    mode: Mode,
) -> None:
    plan = plan_of(mixture_of({"a": 1}, {"a": 500}), [20] * 50, mode=mode)
    rng = np.random.default_rng(0)
    drawn = [tuple(places.tolist()) for _ in range(2) for places in _requests(plan, draw(plan, rng))]
    assert len(set(drawn)) == 100


@in_every_mode
def test_unseeded_requests_beside_seeded_ones_take_no_seed(mode: Mode) -> None:
    mixture = mixture_of({"a": 0.7, "b": 0.3}, {"a": 500, "b": 500})
    plan = plan_of(mixture, [20] * 4, [0, None, None, 0], mode=mode)
    rng = np.random.default_rng(0)
    drawn = [tuple(places.tolist()) for _ in range(20) for places in _requests(plan, draw(plan, rng))]
    seeded = set(drawn[0::4]) | set(drawn[3::4])
    assert len(seeded) == 1
    assert len({*drawn[1::4], *drawn[2::4]} - seeded) == 40


PINNED = {
    RANDOM: [1, 76, 15, 13, 2, 25, 27, 1, 2, 0, 2, 0],
    STRATIFIED: [18, 2, 2, 14, 73, 0, 1, 42, 46, 27, 1, 0],
    RANDOM_ONCE: [5, 0, 6, 68, 52, 2, 1, 11, 53, 13, 23, 12],
    STRATIFIED_ONCE: [5, 0, 6, 68, 52, 2, 1, 51, 53, 13, 23, 12],
}


@in_every_mode
def test_seeded_draws_are_pinned(mode: Mode) -> None:
    """Workers of different versions draw the same for the same seed: change this, and you break that promise."""
    mixture = mixture_of({"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 3, "b": 40, "c": 40})
    plan = plan_of(mixture, [12], [2026], mode=mode)
    assert draw(plan, np.random.default_rng(0)).places.tolist() == PINNED[mode]


class _Extremes(np.random.Generator):
    """Gives nothing but the largest, or the least, number below 1."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self, size: object = None, *_: object, **__: object) -> Floats:  # type: ignore[override]
        assert isinstance(size, int)
        return np.full(size, self.number)


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
    drawn = draw(plan, _Extremes(number))
    assert drawn.counts.sum(axis=1).tolist() == sizes
    _category_of(mixture, drawn.places)


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


def _column(edges: Sequence[float], number: float) -> int:
    return next(i for i, edge in enumerate(edges) if edge > number)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), min_size=1), rng_seeds)
def test_rows_of_their_own_weights_are_drawn_to_the_bit(rows: list[list[int]], seed: int) -> None:
    """As one search a number finds it, categories that are closed never; the row's place does not matter."""
    cumulative = np.cumsum(np.array(rows, dtype=float), axis=1)
    cumulative /= cumulative[:, -1:]
    sizes = np.arange(1, len(rows) + 1)
    uniforms = Uniforms([seed + row for row in range(len(rows))], np.random.default_rng(0))
    counts = _draw_rows(sizes, cumulative, uniforms, np.arange(len(rows)), Lane.PASS_ON)
    for row, edges in enumerate(cumulative.tolist()):
        index = np.arange(sizes[row])
        numbers = uniforms.draw(Lane.PASS_ON, np.full_like(index, row), index).tolist()
        columns = [_column(edges, number) for number in numbers]
        assert counts[row].tolist() == np.bincount(columns, minlength=3).tolist()
        assert not counts[row][np.array(rows[row]) == 0].any()


@pytest.mark.parametrize("number", [0.0, 0.25, 0.5, 1 - 2**-53])
def test_numbers_on_an_edge_belong_to_the_category_behind_it(number: float) -> None:
    """In every row alike, the thousandth as the first."""
    edges = [0.0, 0.25, 0.5, 0.5, 1.0, 1.0]
    rows = np.arange(5000)
    uniforms = Uniforms([None] * len(rows), _Extremes(number))
    counts = _draw_rows(np.ones_like(rows), np.tile(edges, (len(rows), 1)), uniforms, rows, Lane.PASS_ON)
    assert (counts[:, _column(edges, number)] == 1).all()


@pytest.mark.parametrize("mode", [RANDOM, RANDOM_ONCE])
@pytest.mark.parametrize(("number", "counts"), [(0.0, [1, 0, 0]), (0.25, [0, 1, 0]), (0.5, [0, 0, 1])])
def test_edges_of_a_mixture_belong_to_the_category_behind_them(mode: Mode, number: float, counts: list[int]) -> None:
    mixture = mixture_of({"a": 0.25, "b": 0.25, "c": 0.5}, dict.fromkeys("abc", 9))
    assert draw(plan_of(mixture, [1], mode=mode), _Extremes(number)).counts.tolist() == [counts]


@given(st.lists(seeds, min_size=1, max_size=20), rng_seeds)
def test_numbers_of_seeded_requests_depend_on_the_seed_alone(batch: list[int | None], seed: int) -> None:
    owners, indexes = np.arange(len(batch)), np.arange(len(batch)) * 3
    first, second = (Uniforms(batch, np.random.default_rng(s)).draw(Lane.CHUNK, owners, indexes) for s in (seed, 7))
    seeded = np.array([entry is not None for entry in batch])
    assert (first[seeded] == second[seeded]).all()
    assert ((first >= 0) & (first < 1)).all()
