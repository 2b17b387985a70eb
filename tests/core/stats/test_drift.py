"""Chance alone does not alarm, however often one looks; a real drift does, once, and soon."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.stats.drift import _COSTS, _TILTS, FALSE_ALARM_RATE, Drawn, DriftTest, Finding, Key

_SHARES = (0.4, 0.3, 0.2, 0.099, 0.001)
_DRAWS = 10_000


def _interval(counts: Sequence[float], shares: Sequence[float], dataset: str = "") -> dict[Key, Drawn]:
    total = float(sum(counts))
    return {
        (dataset, f"c{number}"): Drawn(count, total * share, total * share * (1 - share), total)
        for number, (count, share) in enumerate(zip(counts, shares, strict=True))
    }


class Watched:
    """A test that is given one interval after the other."""

    def __init__(self, rate: float = FALSE_ALARM_RATE, seed: int = 0) -> None:
        self.test = DriftTest(rate)
        self.intervals = 0
        self._rng = np.random.default_rng(seed)

    def draw(self, drawn: Sequence[float], weights: Sequence[float] = _SHARES, draws: int = _DRAWS) -> list[Finding]:
        """Draw an interval by some shares, and test it against others."""
        self.intervals += 1
        counts = self._rng.multinomial(draws, drawn).tolist()
        return self.test.add(_interval(counts, weights), self.intervals - 1.0, float(self.intervals))


def _moved(points: float) -> list[float]:
    return [_SHARES[0] + points / 100, _SHARES[1] - points / 100, *_SHARES[2:]]


@given(st.floats(0, 1), st.integers(0, len(_TILTS) - 1))
def test_the_evidence_of_one_draw_is_at_most_one_on_average(share: float, number: int) -> None:
    tilt, cost = float(_TILTS[number, 0]), float(_COSTS[number, 0])
    grows = share * math.exp(tilt * (1 - share)) + (1 - share) * math.exp(-tilt * share)
    assert grows <= math.exp(share * (1 - share) * cost) * (1 + 1e-12)


@pytest.mark.parametrize("draws", [10, 1000, 100_000])
def test_false_alarms_are_as_rare_as_stated(draws: int) -> None:
    """At a rate of one in 100 intervals, so that a wrong bound would be seen; tests/bench/drift.py takes longer."""
    watched = Watched(rate=0.01, seed=draws)
    alarms = sum(one.is_drifting for _ in range(1000) for one in watched.draw(_SHARES, draws=draws))
    assert alarms <= 10


def test_weights_that_change_all_the_time_never_alarm() -> None:
    watched = Watched(rate=0.01, seed=3)
    weights = np.random.default_rng(4).dirichlet(np.ones(5), 500)
    assert [one for shares in weights for one in watched.draw(shares.tolist(), shares.tolist())] == []


@pytest.mark.parametrize(("points", "at_most"), [(1.0, 25), (2.0, 7), (5.0, 2), (-1.0, 25), (-5.0, 2)])
@pytest.mark.parametrize("quiet", [0, 500])
def test_a_share_that_is_off_is_found_soon_however_long_all_was_well(points: float, at_most: int, quiet: int) -> None:
    """At 10,000 draws an interval; `at_most` is about twice the mean that tests/bench/drift.py prints."""
    watched = Watched(seed=7)
    for _ in range(quiet):
        assert watched.draw(_SHARES) == []
    while not (found := watched.draw(_moved(points))):
        assert watched.intervals <= quiet + at_most
    first = found[0]
    assert first.key in {("", "c0"), ("", "c1")}
    assert first.is_drifting
    assert first.expected >= 100
    assert 0.5 < 100 * abs(first.amount - first.expected) / first.total / abs(points) < 2.5
    assert first.began_s == pytest.approx(quiet, abs=at_most)


def test_a_drift_is_found_once_and_its_end_once_and_the_next_one_again() -> None:
    watched, heard = Watched(seed=9), []
    for shares in (_moved(5), _SHARES, _moved(5)):
        told = [one for _ in range(200) for one in watched.draw(shares)]
        heard.append(sorted((one.key[1], one.is_drifting) for one in told))
    assert heard == [[("c0", True), ("c1", True)], [("c0", False), ("c1", False)], [("c0", True), ("c1", True)]]


def test_an_end_says_when_the_drift_was_found() -> None:
    watched = Watched(seed=9)
    while not watched.draw(_moved(5)):
        pass
    found_s = float(watched.intervals)
    while not (ended := watched.draw(_SHARES)):
        pass
    assert ended[0].began_s == found_s


def test_nothing_alarms_below_100_expected_draws() -> None:
    test, row = DriftTest(), {("", "rare"): Drawn(10, 1.0, 0.9, 10)}
    for number in range(99):
        assert test.add(row, number, number + 1) == []
    [one] = test.add(row, 99, 100)
    assert (one.amount, one.expected, one.began_s) == (1000, 100, 0)


def test_seconds_are_compared_by_the_longest_duration() -> None:
    """Durations between 1 and 30 s, with their mean and variance: no alarm; with a wrong mean, an alarm."""
    rng = np.random.default_rng(11)
    right, wrong = DriftTest(0.01), DriftTest()
    mean, square = 15.5, (30**3 - 1) / 3 / 29
    is_found = False
    for number in range(300):
        chunks = int(rng.binomial(1000, 0.4))
        seconds = float(rng.uniform(1, 30, chunks).sum())
        expected, variance = 400 * mean, 1000 * (0.4 * square - (0.4 * mean) ** 2)
        row = Drawn(seconds, expected, variance, 1000 * mean, longest=30.0, draws_each=1 / mean)
        assert right.add({("", "voice"): row}, number, number + 1) == []
        is_found |= bool(wrong.add({("", "voice"): row._replace(expected=0.9 * expected)}, number, number + 1))
    assert is_found


def test_memory_is_bounded_and_what_was_drawn_least_recently_is_forgotten() -> None:
    test = DriftTest(most=1000)
    for number in range(50):
        dataset = f"d{number}"
        test.add(_interval([100] * 100, [0.01] * 100, dataset), number, number + 1)
        test.add(_interval([600, 400], [0.5, 0.5], "kept"), number, number + 1)
        assert len(test) <= 1000
    assert test._sums.shape[2] <= 1000
    fits = test.add(_interval([0, 0], [0.5, 0.5], "kept"), 50, 51)
    assert fits == []  # it has drifted all the time: known still, and told before
    again = test.add(_interval([600, 400], [0.5, 0.5], "d0"), 51, 52)
    assert again == []  # forgotten, and so without evidence


def test_an_interval_without_draws_is_no_evidence() -> None:
    assert DriftTest().add({}, 0.0, 1.0) == []
