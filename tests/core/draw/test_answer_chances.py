"""The expected counts are right: z scores of correct draws are standard normal.

Seeds are fixed. Without that, each test would fail a right implementation with chance 1e-6.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import scipy.special

from tests.support.drawing import (
    FALSE_ALARM,
    MODES,
    RANDOM,
    RANDOM_ONCE,
    STRATIFIED_ONCE,
    Mode,
    catalog_of,
    chance_of_z,
    weights_of,
)
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.stats import read_counts
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights
from worker.core.wire import Method, Request, Terms

_ROUNDS, _REQUESTS = 1000, 15

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def _request(number: int, size: int, *, mode: Mode = RANDOM, category: str | None = None) -> Request:
    method: Method = "stratified" if mode.stratified else "random"
    return Request(f"{number}-0", "r", Terms(size=size, category=category, replace=mode.replace, method=method))


def _snapshots(ready: Mapping[str, int], weights: Weights) -> Snapshots:
    return Snapshots(Derived(catalog_of(ready)), {None: InForce(None, weights, ())}, now_ms=0)


def _moments(requests: Sequence[Request], ready: Mapping[str, int], weights: Weights) -> list[float]:
    """Draw a batch many times, and return the z score of each count."""
    snapshots = _snapshots(ready, weights)
    rng = np.random.default_rng(11)
    rows = [
        row for _ in range(_ROUNDS) for row in read_counts(answer(requests, snapshots, rng).tally.fields).categories
    ]
    assert all(row.count == row.expected for row in rows if row.variance == 0)
    return [row.z for row in rows if row.category == "voice" and row.variance > 0]


def _is_standard(scores: Sequence[float]) -> bool:
    """Compare mean and variance of scores with 0 and 1, each at half the false-alarm rate."""
    assert len(scores) >= _ROUNDS / 2
    squares = float(np.square(scores).sum())
    chances = (scipy.special.chdtr(len(scores), squares), scipy.special.chdtrc(len(scores), squares))
    mean = chance_of_z(float(np.sum(scores)) / len(scores) ** 0.5)
    return bool(mean > FALSE_ALARM / 2 and 2 * min(chances) > FALSE_ALARM / 2)


@in_every_mode
@pytest.mark.parametrize("size", [1, 7, 64])
def test_expectations_and_variances_are_those_of_the_draw(mode: Mode, size: int) -> None:
    weights = weights_of({"voice": 0.37, "music": 0.33, "conference": 0.3})
    ready = {"voice": 64, "music": 64, "conference": 64}
    batch = [_request(i, size=size, mode=mode) for i in range(_REQUESTS)]
    assert _is_standard(_moments(batch, ready, weights))


def test_requests_of_many_sizes_and_a_named_category_add_their_moments_up() -> None:
    weights = weights_of({"voice": 0.37, "music": 0.63})
    batch = [_request(i, size=1 + 3 * i, category="voice" if i % 5 == 0 else None) for i in range(_REQUESTS)]
    assert _is_standard(_moments(batch, {"voice": 9, "music": 9}, weights))


@pytest.mark.parametrize("mode", [RANDOM_ONCE, STRATIFIED_ONCE], ids=["random", "stratified"])
def test_categories_that_may_run_out_do_not_push_the_others_off(mode: Mode) -> None:
    """Whether a category did run out must not decide what is expected: here every second request takes all of it."""
    weights = weights_of({"voice": 0.5, "music": 0.5})
    batch = [_request(i, size=1 + i % 3, mode=mode) for i in range(_REQUESTS)]
    assert _is_standard(_moments(batch, {"voice": 1, "music": 10}, weights))


def test_wrong_variances_are_seen() -> None:
    """A control: scores a tenth too wide, or a tenth off, are not standard."""
    scores = np.random.default_rng(2).standard_normal(10_000)
    assert _is_standard(scores.tolist())
    assert not _is_standard((scores * 1.1).tolist())
    assert not _is_standard((scores + 0.1).tolist())


def test_scarce_categories_expect_what_they_gave() -> None:
    """Passed-on chunks have no simple law: their count is their expectation, and the total still adds up."""
    weights = weights_of({"voice": 0.9, "music": 0.1})
    snapshots = _snapshots({"voice": 3, "music": 20}, weights)
    tally = answer([Request("0-0", "r", Terms(size=10, replace=False))], snapshots, np.random.default_rng(0)).tally
    rows = {row.category: (row.count, row.expected, row.variance) for row in read_counts(tally.fields).categories}
    assert rows["voice"][0] + rows["music"][0] == 10
    assert rows["voice"][0] <= 3
    assert all(count == expected and variance == 0 for count, expected, variance in rows.values())
