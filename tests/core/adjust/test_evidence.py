"""Evidence: the whole is the same however it comes in, and the alarm does what it promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.evidence import (
    LARGEST,
    LossEvidence,
    Smoothed,
    Watch,
    make_evidence,
    share_errors,
    smooth,
    watch_stuck,
)

FALSE_ALARM = 4.9
"""Standard errors that chance exceeds in one of a million runs."""

numbers = st.floats(allow_nan=True, allow_infinity=True)


def evidence(means: list[float], errors: list[float], count: float = 100.0, reports: float = 10.0) -> LossEvidence:
    k = len(means)
    return make_evidence(np.array(means), np.array(errors), np.full(k, count), np.full(k, reports))


def test_evidence_of_parts_is_that_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    losses = rng.normal(2.0, 0.5, (40, 25))
    added = evidence([0.0], [0.0], 0.0)
    for part in losses:
        added = added.added(evidence([part.mean()], [part.std(ddof=1) / 5], 25.0, 1.0))
    assert added.means[0] == pytest.approx(losses.mean())
    assert added.errors[0] == pytest.approx(losses.std(ddof=1) / np.sqrt(losses.size), rel=0.25)
    assert (added.reports[0], added.parts[0], added.counts[0]) == (40.0, 40.0, 1000.0)


def test_parts_that_disagree_more_than_their_errors_say_have_a_larger_error() -> None:
    apart = evidence([1.0], [0.0]).added(evidence([3.0], [0.0]))
    assert apart.means[0] == 2.0
    assert apart.errors[0] == pytest.approx(1.0)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=6))
def test_whatever_is_no_number_is_no_evidence(rows: list[tuple[float, float, float, float]]) -> None:
    found = make_evidence(*(np.array(column) for column in zip(*rows, strict=True)))
    for column in (*found, found.means):
        assert np.isfinite(column).all()
    assert (np.abs(found.means) <= LARGEST * (1 + 1e-9)).all()
    nothing = ~np.isfinite(np.array(rows)).all(axis=1)
    assert (found.counts[nothing] == 0).all()
    assert np.isinf(found.errors[found.counts == 0]).all()


def test_used_evidence_is_gone_and_the_rest_stays() -> None:
    left = evidence([1.0, 2.0], [0.1, 0.1]).without(np.array([True, False]))
    assert left.reports.tolist() == [0.0, 10.0]
    assert left.means.tolist() == [0.0, 2.0]


def test_the_first_loss_is_taken_as_it_is_and_later_ones_move_the_mean() -> None:
    nothing = Smoothed(np.zeros(2), np.full(2, -1.0))
    first = smooth(nothing, np.array([4.0, 5.0]), np.array([0.2, 0.1]), np.array([True, False]), 0.9)
    assert first.known.tolist() == [True, False]
    assert first.means[0] == 4.0
    assert first.errors.tolist() == [0.2, np.inf]
    later = smooth(first, np.array([3.0, 5.0]), np.array([0.2, 0.1]), np.array([True, False]), 0.9)
    assert later.means[0] == pytest.approx(3.9)
    assert later.errors[0] == pytest.approx(0.2 * np.hypot(0.9, 0.1))


def test_errors_of_shares_are_those_of_a_simulation() -> None:
    rng = np.random.default_rng(2)
    terms, errors = np.array([1.0, 2.0, 0.5, 6.0]), np.array([0.01, 0.04, 0.02, 0.03])
    drawn = terms + errors * rng.standard_normal((200_000, 4))
    shares = drawn / drawn.sum(axis=1, keepdims=True)
    expected = share_errors(terms / terms.sum(), errors / terms.sum())
    assert shares.std(axis=0) == pytest.approx(expected, rel=0.02)


def watched(losses: list[float], *, starved: bool = True, most: int = 5, error: float = 0.01) -> list[bool]:
    """Return at which steps the alarm goes, of one category beside another that is never starved."""
    watch = Watch(np.zeros(2), np.full(2, -1.0), np.zeros(2), np.zeros(2))
    found = []
    for loss in losses:
        new = evidence([loss, 1.0], [error, error])
        watch, alarm = watch_stuck(watch, new, np.ones(2, dtype=np.bool_), np.array([starved, False]), most)
        assert not alarm[1]
        found.append(bool(alarm[0]))
    return found


def test_a_starved_category_whose_loss_does_not_move_gives_alarm_and_rests_as_long() -> None:
    assert [step for step, alarm in enumerate(watched([2.0] * 30), 1) if alarm] == [5, 15, 25]


def test_one_that_is_not_starved_or_whose_loss_moves_gives_none() -> None:
    assert not any(watched([2.0] * 30, starved=False))
    assert not any(watched([2.0 - 0.01 * step for step in range(30)]))


def test_a_starved_category_that_is_not_heard_of_gives_alarm_too() -> None:
    watch, alarms = Watch(np.zeros(1), np.full(1, -1.0), np.zeros(1), np.zeros(1)), []
    for _ in range(5):
        watch, alarm = watch_stuck(watch, evidence([0.0], [0.0], 0.0), np.array([False]), np.array([True]), 5)
        alarms.append(bool(alarm[0]))
    assert alarms == [False] * 4 + [True]
