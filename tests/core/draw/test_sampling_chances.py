"""Chances of the draw: what should be equally likely is, and shares are the weights.

Seeds are fixed. Without that, each test would fail a right implementation with chance 1e-6. Controls show that the same
measure rejects implementations with typical errors.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import pytest

from tests.support.drawing import (
    FALSE_ALARM,
    MODES,
    RANDOM,
    RANDOM_ONCE,
    STRATIFIED,
    STRATIFIED_ONCE,
    Mode,
    chance_of_even,
    chance_of_fit,
    chance_of_z,
    mixture_of,
    plan_of,
)
from worker.core.draw.sampling import Drawn, draw
from worker.core.mixture import Floats, Integers, Mixture

WEIGHTS = {"conference": 0.1, "documentary": 0.2, "music": 0.3, "voice": 0.4}
ROOMY = {"conference": 30, "documentary": 70, "music": 20, "voice": 120}
Law = Mapping[tuple[int, ...], float]

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
seeded_or_not = pytest.mark.parametrize("seeded", ["seeded", "unseeded"])


def _draw(mixture: Mixture, *, size: int, requests: int, mode: Mode = RANDOM, seeded: str = "unseeded") -> Drawn:
    """Draw alike requests, with seeds in a row or from a generator of a fixed seed."""
    seeds = [10_000 + i for i in range(requests)] if seeded == "seeded" else None
    return draw(plan_of(mixture, [size] * requests, seeds, mode=mode), np.random.default_rng(2026))


def _shares_fit(counts: Integers, probabilities: Floats) -> float:
    return chance_of_fit(counts.tolist(), (counts.sum() * probabilities).tolist())


@seeded_or_not
@pytest.mark.parametrize("weights", [WEIGHTS, {f"c{i}": 1 + i % 7 for i in range(200)}], ids=["few", "many"])
def test_shares_of_random_draws_are_the_weights(weights: dict[str, float], seeded: str) -> None:
    mixture = mixture_of(weights, dict.fromkeys(weights, 9))
    counts = _draw(mixture, size=100, requests=10_000, seeded=seeded).counts
    assert _shares_fit(counts.sum(axis=0), mixture.probabilities) > FALSE_ALARM


def test_an_error_of_one_place_in_the_search_is_seen() -> None:
    """A control: the category behind the right one, or numbers on the wrong side of each edge."""
    mixture = mixture_of(WEIGHTS, ROOMY)
    numbers = np.random.default_rng(1).random(1_000_000)
    right = np.searchsorted(mixture.cumulative, numbers, "right")
    wrong = (right + 1) % len(mixture.ready)
    cumulative = np.concatenate(([0.0], mixture.cumulative[:-1]))
    shifted = np.searchsorted(cumulative, numbers, "right") % len(mixture.ready)
    assert _shares_fit(np.bincount(right), mixture.probabilities) > FALSE_ALARM
    assert _shares_fit(np.bincount(wrong), mixture.probabilities) < FALSE_ALARM
    assert _shares_fit(np.bincount(shifted, minlength=4), mixture.probabilities) < FALSE_ALARM


def test_weights_wrong_by_a_hundredth_are_seen() -> None:
    mixture = mixture_of(WEIGHTS, ROOMY)
    counts = _draw(mixture, size=1000, requests=1000).counts.sum(axis=0)
    wrong = mixture_of({**WEIGHTS, "voice": 0.41}, ROOMY)
    assert _shares_fit(counts, mixture.probabilities) > FALSE_ALARM
    assert _shares_fit(counts, wrong.probabilities) < FALSE_ALARM


@in_every_mode
@seeded_or_not
def test_chunks_of_a_category_are_equally_likely(mode: Mode, seeded: str) -> None:
    mixture = mixture_of(WEIGHTS, ROOMY)
    drawn = _draw(mixture, size=20, requests=10_000, mode=mode, seeded=seeded)
    for start, ready in zip(mixture.starts.tolist(), mixture.ready.tolist(), strict=True):
        chunks = drawn.positions[(drawn.positions >= start) & (drawn.positions < start + ready)] - start
        assert chance_of_even(chunks, ready) > FALSE_ALARM


def test_a_chunk_that_is_never_drawn_is_seen() -> None:
    """A control: one chunk too few, at the end of a category."""
    numbers = np.random.default_rng(1).random(50_000)
    assert chance_of_even((numbers * 120).astype(np.int64), 120) > FALSE_ALARM
    assert chance_of_even((numbers * 119).astype(np.int64), 120) < FALSE_ALARM


@seeded_or_not
def test_neighbours_in_random_draws_are_independent(seeded: str) -> None:
    mixture = mixture_of({"a": 1, "b": 2}, {"a": 10, "b": 20})
    pairs = _draw(mixture, size=2, requests=200_000, seeded=seeded).positions.reshape(-1, 2)
    assert chance_of_even(pairs[:, 0] * 30 + pairs[:, 1], 900) > FALSE_ALARM


@in_every_mode
@seeded_or_not
def test_order_within_a_request_is_random(mode: Mode, seeded: str) -> None:
    """The index of the only chunk of the rare category, when it is drawn once; and the largest index of all."""
    mixture = mixture_of({"a": 0.95, "z": 0.05}, {"a": 60, "z": 40})
    drawn = _draw(mixture, size=20, requests=20_000, mode=mode, seeded=seeded)
    rows = (drawn.positions >= 60).reshape(-1, 20)
    assert chance_of_even(rows[rows.sum(axis=1) == 1].argmax(axis=1), 20) > FALSE_ALARM


def test_draws_that_are_not_mixed_are_seen() -> None:
    """A control: without a shuffle, the rare category is always last."""
    mixture = mixture_of({"a": 0.95, "z": 0.05}, {"a": 60, "z": 40})
    positions = _draw(mixture, size=20, requests=2000, mode=STRATIFIED).positions.reshape(-1, 20)
    last = (np.sort(positions, axis=1) >= 60).argmax(axis=1)
    assert chance_of_even(last, 20) < FALSE_ALARM


@pytest.mark.parametrize("size", [1, 7, 8, 100])
@pytest.mark.parametrize("mode", [STRATIFIED, STRATIFIED_ONCE], ids=["stratified", "stratified, each once"])
@seeded_or_not
def test_stratified_counts_are_unbiased_over_requests(size: int, mode: Mode, seeded: str) -> None:
    """Each count is rounded up as often as the fraction of its ideal says."""
    mixture = mixture_of({"a": 0.05, "b": 0.15, "c": 0.37, "d": 0.43}, dict.fromkeys("abcd", 200))
    counts = _draw(mixture, size=size, requests=5000, mode=mode, seeded=seeded).counts
    ideal = size * mixture.probabilities
    fraction = ideal - np.floor(ideal)
    spread = np.sqrt(len(counts) * fraction * (1 - fraction))
    for off, scale in zip((counts - ideal).sum(axis=0).tolist(), spread.tolist(), strict=True):
        assert abs(off) < 1e-6 if scale < 1e-3 else chance_of_z(off / scale) > FALSE_ALARM / 4


def _draw_one_after_the_other(
    probabilities: Sequence[float], ready: Sequence[int], size: int, *, by_weights: bool = True
) -> Law:
    """The law of the counts, exactly, when chunks are drawn one by one from the categories that still have some.

    Without `by_weights` it is a wrong one: once a category ran out, the others are drawn alike, whatever they weigh.
    """
    law: dict[tuple[int, ...], float] = {(0,) * len(ready): 1.0}
    for _ in range(size):
        following: Counter[tuple[int, ...]] = Counter()
        for counts, chance in law.items():
            left = [p if count < most else 0.0 for p, count, most in zip(probabilities, counts, ready, strict=True)]
            if not by_weights and not all(left):
                left = [1.0 if share else 0.0 for share in left]
            for i, share in enumerate(left):
                if share:
                    grown = (*counts[:i], counts[i] + 1, *counts[i + 1 :])
                    following[grown] += chance * share / sum(left)  # type: ignore[assignment]
        law = dict(following)
    return law


def _counts_fit(counts: Integers, law: Law) -> float:
    """Compare the count vectors drawn with their law. Rare ones are pooled."""
    found = Counter(map(tuple, counts.tolist()))
    assert set(found) <= set(law), "counts that cannot be"
    ideal = {vector: chance * len(counts) for vector, chance in law.items()}
    common = [vector for vector, number in ideal.items() if number >= 20]
    rare = len(counts) - sum(ideal[vector] for vector in common)
    observed = [found[vector] for vector in common]
    if rare < 5:
        return chance_of_fit(observed, [ideal[vector] for vector in common])
    return chance_of_fit([*observed, len(counts) - sum(observed)], [*(ideal[vector] for vector in common), rare])


SCARCE = [
    pytest.param({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 2, "b": 3, "c": 20}, 8, id="two run out"),
    pytest.param({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 20, "b": 3, "c": 2}, 8, id="the last run out"),
    pytest.param({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}, {"a": 9, "b": 1, "c": 4, "d": 1}, 7, id="in between"),
    pytest.param({"a": 0.97, "b": 0.02, "c": 0.01}, {"a": 1, "b": 3, "c": 3}, 5, id="the heavy one"),
    pytest.param(
        {"a": 32, "b": 16, "c": 8, "d": 4, "e": 2, "f": 1}, dict.fromkeys("abcdef", 1), 4, id="one after the other"
    ),
    pytest.param({"a": 1, "b": 1}, {"a": 1, "b": 1}, 1, id="nothing runs out"),
]


@pytest.mark.parametrize(("weights", "ready", "size"), SCARCE)
@seeded_or_not
def test_categories_that_run_out_pass_their_share_on_by_the_weights(
    weights: dict[str, float], ready: dict[str, int], size: int, seeded: str
) -> None:
    mixture = mixture_of(weights, ready)
    law = _draw_one_after_the_other(mixture.probabilities.tolist(), mixture.ready.tolist(), size)
    assert sum(law.values()) == pytest.approx(1)
    counts = _draw(mixture, size=size, requests=50_000, mode=RANDOM_ONCE, seeded=seeded).counts
    assert _counts_fit(counts, law) > FALSE_ALARM


def test_passing_a_share_on_otherwise_is_seen() -> None:
    """A control of the law above."""
    mixture = mixture_of({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 2, "b": 20, "c": 20})
    counts = _draw(mixture, size=8, requests=50_000, mode=RANDOM_ONCE).counts
    probabilities, ready = mixture.probabilities.tolist(), mixture.ready.tolist()
    assert _counts_fit(counts, _draw_one_after_the_other(probabilities, ready, 8)) > FALSE_ALARM
    assert _counts_fit(counts, _draw_one_after_the_other(probabilities, ready, 8, by_weights=False)) < FALSE_ALARM


@seeded_or_not
def test_stratified_requests_pass_on_by_the_weights_too(seeded: str) -> None:
    """Half of 16 is for a category that has 2. The surplus of 6 is shared 2 to 1 among the others, every time."""
    mixture = mixture_of({"a": 0.5, "b": 1 / 3, "c": 1 / 6}, {"a": 2, "b": 50, "c": 50})
    counts = _draw(mixture, size=16, requests=20_000, mode=STRATIFIED_ONCE, seeded=seeded).counts
    assert (counts[:, 0] == 2).all()
    assert np.abs(counts[:, 1] - 28 / 3).max() < 2
    off = (counts[:, 1] - 28 / 3).sum()
    assert abs(off) < 5 * np.sqrt(len(counts) * counts[:, 1].var())


def _arrangements(positions: Integers, size: int, allowed: Sequence[tuple[int, ...]]) -> Integers:
    """Return the number of each request's arrangement of positions among the allowed ones."""
    number = {positions: i for i, positions in enumerate(allowed)}
    return np.array([number[tuple(row)] for row in positions.reshape(-1, size).tolist()])


@pytest.mark.parametrize("mode", [RANDOM_ONCE, STRATIFIED_ONCE], ids=["random", "stratified"])
@pytest.mark.parametrize(("size", "ready"), [(1, 6), (2, 6), (3, 6), (4, 6), (5, 5), (2, 40)])
@seeded_or_not
def test_every_arrangement_without_repeats_is_equally_likely(size: int, ready: int, mode: Mode, seeded: str) -> None:
    """Subsets and orders at once, for sparse draws (redrawn) and dense ones (shuffled and cut)."""
    mixture = mixture_of({"a": 1}, {"a": ready})
    allowed = list(permutations(range(ready), size))
    drawn = _draw(mixture, size=size, requests=40 * len(allowed), mode=mode, seeded=seeded)
    assert chance_of_even(_arrangements(drawn.positions, size, allowed), len(allowed)) > FALSE_ALARM


@seeded_or_not
def test_arrangements_of_a_sparse_and_a_dense_category_are_equally_likely(seeded: str) -> None:
    """Two of three beside two of six: the one draw must not depend on the other."""
    mixture = mixture_of({"a": 1, "b": 1}, {"a": 3, "b": 6})
    allowed = [row for row in permutations(range(9), 4) if sum(place < 3 for place in row) == 2]
    drawn = _draw(mixture, size=4, requests=60 * len(allowed), mode=STRATIFIED_ONCE, seeded=seeded)
    assert len(allowed) == 1080
    assert chance_of_even(_arrangements(drawn.positions, 4, allowed), len(allowed)) > FALSE_ALARM


def test_requests_of_a_batch_do_not_show_in_each_other() -> None:
    """Two requests of one batch, each with two of six: all pairs of pairs are equally likely."""
    mixture = mixture_of({"a": 1}, {"a": 6})
    drawn = _draw(mixture, size=2, requests=80_000, mode=RANDOM_ONCE)
    numbers = _arrangements(drawn.positions, 2, list(permutations(range(6), 2)))
    assert chance_of_even(numbers[0::2] * 30 + numbers[1::2], 900) > FALSE_ALARM


def test_a_biased_way_of_avoiding_repeats_is_seen() -> None:
    """A control: taking the next free chunk instead of drawing again favours neighbours."""
    pairs = np.random.default_rng(1).integers(0, 6, (50_000, 2))
    pairs[:, 1] = np.where(pairs[:, 0] == pairs[:, 1], (pairs[:, 1] + 1) % 6, pairs[:, 1])
    numbers = _arrangements(pairs.ravel(), 2, list(permutations(range(6), 2)))
    assert chance_of_even(numbers, 30) < FALSE_ALARM


def test_seeds_in_a_row_and_a_generator_draw_from_the_same_law() -> None:
    mixture = mixture_of(WEIGHTS, ROOMY)
    counts = _draw(mixture, size=8, requests=100_000, mode=RANDOM, seeded="seeded").counts
    law = _draw_one_after_the_other(mixture.probabilities.tolist(), [8] * 4, 8)
    assert _counts_fit(counts, law) > FALSE_ALARM
