"""The expected seconds are right: z scores of correct draws are standard normal.

Seeds are fixed. Without that, each test would fail a right implementation with chance 1e-6.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.drawing import FALSE_ALARM, MODES, Mode, chance_of_z, lasting_catalog, weights_of
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.stats import CategoryCount, read_counts
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights
from worker.core.wire import Method, Request, Terms

ROUNDS, REQUESTS = 1000, 10
MEANS_S = {"voice": 2.0, "music": 7.0, "conference": 0.5}
READY = {"voice": 30, "music": 40, "conference": 24}
WEIGHTS = weights_of({"voice": 0.3, "music": 0.5, "conference": 0.2})

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def _batch(sizes: Sequence[int], mode: Mode, category: str | None = None) -> list[Request]:
    method: Method = "stratified" if mode.stratified else "random"
    terms = [Terms(size=size, category=category, replace=mode.replace, method=method) for size in sizes]
    return [Request(f"{i}-0", "r", own) for i, own in enumerate(terms)]


def _rows(
    batch: list[Request], catalog: Catalog, weights: Weights = WEIGHTS, rounds: int = ROUNDS
) -> list[tuple[CategoryCount, ...]]:
    """Draw a batch many times, and return the counts of each draw."""
    snapshots, rng = (
        Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, now_ms=0),
        np.random.default_rng(11),
    )
    tallies = (answer(batch, snapshots, rng).tally for _ in range(rounds))
    return [read_counts(tally.fields, {n: m.text for n, m in tally.mixtures.items()}).categories for tally in tallies]


def _are_standard(rounds: list[tuple[CategoryCount, ...]], category: str) -> bool:
    """Compare mean and variance of scores with 0 and 1, each at half the false-alarm rate.

    The scores are sums of skewed terms: the variance of their squares is that of the scores themselves.
    """
    scores = np.array([row.z for rows in rounds for row in rows if row.category == category and row.variance > 0])
    assert len(scores) >= ROUNDS / 2
    squares = scores**2
    mean = chance_of_z(scores.sum() / math.sqrt(len(scores)))
    spread = chance_of_z((squares.mean() - 1) / (squares.std() / math.sqrt(len(scores))))
    return mean > FALSE_ALARM / 2 and spread > FALSE_ALARM / 2


@in_every_mode
@pytest.mark.parametrize("size", [1, 20])
def test_expectations_and_variances_are_those_of_the_draw(mode: Mode, size: int) -> None:
    rounds = _rows(_batch([size] * REQUESTS, mode), lasting_catalog(READY, MEANS_S))
    assert all(_are_standard(rounds, category) for category in READY)


@in_every_mode
def test_a_named_category_varies_by_its_durations_alone(mode: Mode) -> None:
    rounds = _rows(_batch([5] * REQUESTS, mode, "voice"), lasting_catalog({"voice": 20, "music": 9}, MEANS_S))
    assert _are_standard(rounds, "voice")


@pytest.mark.parametrize("stratified", [False, True])
def test_categories_that_run_out_are_told_by_their_durations(stratified: bool) -> None:  # noqa: FBT001
    mode = Mode(replace=False, stratified=stratified)
    rounds = _rows(_batch([4, 9, 12], mode), lasting_catalog({"voice": 3, "music": 30, "conference": 12}, MEANS_S))
    assert _are_standard(rounds, "music")
    assert _are_standard(rounds, "voice")


def test_chunks_that_last_alike_vary_as_their_counts_do() -> None:
    catalog = lasting_catalog(READY, MEANS_S, spread=0.0)
    for rows in _rows(_batch([7] * REQUESTS, MODES["random"]), catalog, rounds=5):
        total = sum(row.count for row in rows)
        for row in rows:
            chance = row.expected / MEANS_S[row.category] / total
            assert row.variance == pytest.approx(total * chance * (1 - chance) * MEANS_S[row.category] ** 2, rel=1e-4)


def test_the_mix_that_is_heard_is_that_of_the_weights() -> None:
    """Shares of seconds are the weights, however long chunks last. Shares of chunks are not."""
    catalog = lasting_catalog({"voice": 5000, "music": 40, "conference": 900}, {**MEANS_S, "music": 300.0})
    rows = [row for of_round in _rows(_batch([2000], MODES["random"]), catalog, rounds=100) for row in of_round]
    seconds: dict[str, float] = defaultdict(float)
    expected: dict[str, float] = defaultdict(float)
    variance: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        seconds[row.category] += row.amount
        expected[row.category] += row.expected
        variance[row.category] += row.variance
        counts[row.category] += row.count
    for name, share in WEIGHTS.shares.items():
        assert expected[name] / sum(expected.values()) == pytest.approx(share, rel=1e-6)
        assert chance_of_z((seconds[name] - expected[name]) / math.sqrt(variance[name])) > FALSE_ALARM / 3
    assert counts["music"] / sum(counts.values()) < 0.02


@in_every_mode
def test_of_many_categories_the_sums_are_as_expected(mode: Mode) -> None:
    """Variances are estimated with many categories, so scores may be a tenth off standard ones."""
    names = [f"c{i:03}" for i in range(100)]
    catalog = lasting_catalog(dict.fromkeys(names, 300), {name: 0.5 + i % 9 for i, name in enumerate(names)})
    weights = weights_of({name: (1 + i % 5) * (0.5 + i % 9) for i, name in enumerate(names)})
    seconds, expected = np.zeros(100), np.zeros(100)
    squares: list[float] = []
    for rows in _rows(_batch([300] * 40, mode), catalog, weights, rounds=30):
        assert [row.category for row in rows] == names
        seconds += [row.amount for row in rows]
        expected += [row.expected for row in rows]
        squares += [row.z**2 for row in rows]
    assert (expected / expected.sum()).tolist() == pytest.approx([weights.shares[name] for name in names], rel=1e-6)
    assert seconds.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert np.mean(squares) < 1.1
    if mode.replace and not mode.stratified:
        assert np.mean(squares) > 0.9


def test_a_category_of_many_that_was_never_drawn_is_off_all_the_same() -> None:
    fields = {
        "drawn_s::m": 1000, "drawn_us::m": 0, "drawn_s2::m": 10_000, "ms::a": 900_000, "chunks::a": 90,
        "squared_ms::a": 900_000, "squares_s2::a": 9_000,
    }  # fmt: skip
    rows = {row.category: row for row in read_counts(fields, {"mixture:m": '{"a": 0.9, "b": 0.1}'}).categories}
    assert rows["b"].z == pytest.approx(-100 / math.sqrt(100 * 10 - 10_000 * 0.01))
    assert rows["a"].z == 0


def test_wrong_variances_are_seen() -> None:
    """A control: scores a tenth too wide, or a tenth off, are not standard."""

    def rounds_of(scores: NDArray[np.float64]) -> list[tuple[CategoryCount, ...]]:
        return [(CategoryCount("", "voice", 0, -z, 1.0, 0.0),) for z in scores.tolist()]

    scores = np.random.default_rng(2).standard_normal(ROUNDS * 5)
    assert _are_standard(rounds_of(scores), "voice")
    assert not _are_standard(rounds_of(scores * 1.1), "voice")
    assert not _are_standard(rounds_of(scores + 0.1), "voice")
