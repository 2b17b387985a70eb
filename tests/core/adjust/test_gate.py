"""The gate: what has few reports or moves within its error stays, and what is left is a simplex."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.evidence import share_errors
from worker.core.adjust.gate import Gate, free_to_move, give_back, settle_shares

FALSE_ALARM = 4.9
"""Standard errors that chance exceeds in one of a million runs."""

simplexes = st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda row: sum(row) > 1e-3)


def simplex(row: list[float]) -> np.ndarray:
    return np.array(row) / sum(row)


def test_the_gate_holds_what_has_few_reports_and_what_is_within_its_error() -> None:
    weights, target = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.31, 0.29])
    errors, enough = np.array([0.01, 0.02, 0.01]), np.array([True, True, False])
    assert free_to_move(weights, target, errors, enough=enough, within=1.0).tolist() == [True, False, False]
    assert free_to_move(weights, target, errors, enough=enough, within=0.4).tolist() == [True, True, False]
    assert free_to_move(weights, target, errors, enough=enough, within=11.0).tolist() == [False, False, False]


def test_chance_alone_seldom_passes_the_gate() -> None:
    """Equal losses, measured with errors: a change passes two standard errors as often as a normal number does."""
    rng = np.random.default_rng(3)
    trials, weights = 20_000, np.full(4, 0.25)
    measured = 2.0 + 0.05 * rng.standard_normal((trials, 4))
    passed = 0
    for losses in measured:
        target = losses / losses.sum()
        errors = share_errors(target, np.full(4, 0.05) / losses.sum())
        passed += int(free_to_move(weights, target, errors, enough=np.ones(4, dtype=np.bool_), within=2.0)[0])
    expected = 0.0455  # of a normal number beyond 2 standard errors
    assert abs(passed / trials - expected) <= FALSE_ALARM * np.sqrt(expected / trials)


@given(simplexes, st.data())
def test_settled_shares_are_a_simplex_and_hold_what_is_not_free(row: list[float], data: st.DataObject) -> None:
    weights = simplex(row)
    k = len(row)
    others = st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda found: sum(found) > 1e-3)
    target = simplex(data.draw(others))
    free = np.array(data.draw(st.lists(st.booleans(), min_size=k, max_size=k)), dtype=np.bool_)
    settled = settle_shares(weights, target, free)
    assert settled.sum() == pytest.approx(1.0, abs=1e-9)
    assert (settled >= 0).all()
    assert settled[~free] == pytest.approx(weights[~free], abs=1e-9)
    if np.count_nonzero(free) > 1 and target[free].min() > 1e-6 and weights[free].sum() > 1e-6:
        assert settled[free] / settled[free].sum() == pytest.approx(target[free] / target[free].sum(), abs=1e-6)
    returned = give_back(settled, target, free)
    assert returned.sum() == pytest.approx(1.0, abs=1e-9)
    assert (returned >= 0).all()
    assert returned[free] == pytest.approx(target[free], abs=1e-9)


def gate(errors: list[float], enough: list[bool], stuck: list[bool], within: float = 1.0) -> Gate:
    names, nothing = tuple("abcdefgh"[: len(errors)]), np.full(len(errors), np.nan)
    return Gate(names, np.array(errors), np.array(enough), within, np.array(stuck), nothing, nothing)


@given(st.data())
def test_what_the_gate_leaves_is_a_simplex_in_which_what_it_holds_stays(data: st.DataObject) -> None:
    k = data.draw(st.integers(2, 6))
    rows = st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda row: sum(row) > 1e-3)
    weights, asked, prior = (simplex(data.draw(rows)) for _ in range(3))
    errors, enough = data.draw(rows), data.draw(st.lists(st.booleans(), min_size=k, max_size=k))
    stuck = data.draw(st.just([False] * k) | st.lists(st.booleans(), min_size=k, max_size=k))
    left = gate(errors, enough, stuck).hold(weights, asked, prior, 0.9)
    assert left.sum() == pytest.approx(1.0, abs=1e-9)
    assert (left >= 0).all()
    if not any(stuck):
        assert left[~np.array(enough)] == pytest.approx(weights[~np.array(enough)], abs=1e-9)


def test_a_move_of_less_than_a_thousandth_is_none_and_errors_shrink_with_the_part() -> None:
    weights, even = np.array([0.5, 0.5]), np.array([0.5, 0.5])
    free = gate([0.0, 0.0], [True, True], [False, False])
    assert free.hold(weights, np.array([0.5004, 0.4996]), even) is weights
    assert free.hold(weights, np.array([0.501, 0.499]), even).tolist() == [0.501, 0.499]
    unsure = gate([0.1, 0.1], [True, True], [False, False])
    assert unsure.hold(weights, np.array([0.56, 0.44]), even) is weights
    assert unsure.hold(weights, np.array([0.56, 0.44]), even, 0.5).tolist() == [0.56, 0.44]
