"""Laws of the guards: shares stay shares, limits hold or a sentence says why not, and no step is too large."""

import json
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.adjust.guards import Guarded, guard, limits_of, project
from worker.core.adjust.rule import Floats
from worker.core.adjust.settings import read_settings

NEAR = 1e-9
numbers = st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.floats(0.0, 1e-12))


def simplex(draw: st.DrawFn, size: int) -> Floats:
    values = np.array(draw(st.lists(numbers, min_size=size, max_size=size)))
    if values.sum() < 1e-300:
        return np.full(size, 1.0 / size)
    values /= values.sum()
    return values


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[str, ...], Floats, Floats, Floats, dict[str, Any]]:
    size = draw(st.integers(1, 9))
    names = tuple(f"c{i}" for i in range(size))
    floor = {name: draw(st.floats(0.0, 1.0 / size)) for name in names if draw(st.booleans())}
    ceiling = {name: draw(st.floats(floor.get(name, 0.0), 1.0)) for name in names if draw(st.booleans())}
    if draw(st.booleans()):
        floor["*"] = draw(st.floats(0.0, min([1.0, *ceiling.values()])))
    limits = {
        "rule": "cooldown",
        "parameters": {"over": 10},
        "floor": floor,
        "ceiling": ceiling,
        "strength": draw(st.floats(0.0, 1.0)),
        "most_change": draw(st.one_of(st.none(), st.floats(0.001, 1.0))),
    }
    return names, simplex(draw, size), simplex(draw, size), simplex(draw, size), limits


def guarded(case: tuple[tuple[str, ...], Floats, Floats, Floats, dict[str, Any]]) -> Guarded:
    names, target, weights, prior, limits = case
    return guard(read_settings(json.dumps(limits).encode()), names, target, weights=weights, prior=prior)


@given(cases())
def test_whatever_is_proposed_shares_stay_shares(case: Any) -> None:
    shares = guarded(case).shares
    assert (shares >= -NEAR).all()
    assert abs(shares.sum() - 1.0) < NEAR


@given(cases())
def test_no_share_moves_more_than_it_may_and_what_shortens_a_step_is_said(case: Any) -> None:
    names, target, weights, prior, limits = case
    found = guarded(case)
    if limits["most_change"] is not None:
        assert np.abs(found.shares - weights).max() <= limits["most_change"] + 2 * NEAR
    free = guarded((names, target, weights, prior, {**limits, "most_change": None}))
    if not np.allclose(free.shares, found.shares, atol=1e-6):
        assert any(word.startswith("most change") for word in found.held_by)


@given(cases())
def test_limits_hold_or_it_is_said_why_not(case: Any) -> None:
    names, target, _, prior, limits = case
    found = guarded(case)
    is_wanted = ((1 - limits["strength"]) * target + limits["strength"] * prior > 0) | (prior > 0)
    low, high, loosened = limits_of(limits["floor"], limits["ceiling"], names, is_wanted)
    holds = bool(((found.shares >= low - 1e-8) & (found.shares <= high + 1e-8)).all())
    assert holds or any(word.startswith("not within its limits yet") for word in found.held_by)
    assert (not loosened) or set(loosened) <= set(found.held_by)
    for name, floor in limits["floor"].items():
        if name != "*" and not loosened and holds:
            assert found.shares[names.index(name)] >= floor - 1e-8


@given(cases())
def test_shares_that_hold_the_limits_never_leave_them(case: Any) -> None:
    names, target, weights, prior, limits = case
    held = project(weights, *limits_of(limits["floor"], limits["ceiling"], names, np.ones(len(names), bool))[:2])
    found = guarded((names, target, held, prior, limits))
    low, high, _ = limits_of(limits["floor"], limits["ceiling"], names, np.ones(len(names), bool))
    is_wanted = ((1 - limits["strength"]) * target + limits["strength"] * prior > 0) | (prior > 0)
    if is_wanted.all():
        assert ((found.shares >= low - 1e-8) & (found.shares <= high + 1e-8)).all()


@given(cases())
def test_without_limits_and_strength_the_proposal_is_taken_as_it_is(case: Any) -> None:
    names, target, weights, prior, limits = case
    free = {**limits, "floor": {}, "ceiling": {}, "strength": 0.0, "most_change": None}
    found = guarded((names, target, weights, prior, free))
    assert np.allclose(found.shares, target, atol=1e-12)
    assert found.held_by == ()


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=40), st.randoms(use_true_random=False))
@example([0.001, 1.0], None)
def test_the_projection_is_nearest_by_relative_entropy(values: list[float], random: Any) -> None:
    shares = np.array(values) / sum(values)
    size = len(values)
    floors, ceilings = np.full(size, 0.2 / size), np.full(size, min(1.0, 2.0 / size))
    found = project(shares, floors, ceilings)

    def distance(point: Floats) -> float:
        return float((point * np.log(point / shares)).sum())

    for _ in range(20 if random else 0):
        other = np.array([random.uniform(0.2 / size, 2.0 / size) for _ in values])
        other = project(other, floors, ceilings)
        assert distance(found) <= distance(other) + 1e-9


def test_what_a_ceiling_takes_goes_to_the_others_in_proportion() -> None:
    found = project(np.array([0.6, 0.3, 0.1]), np.zeros(3), np.array([0.4, 1.0, 1.0]))
    assert np.allclose(found, [0.4, 0.45, 0.15])


def test_what_is_zero_stays_zero_while_the_others_have_room() -> None:
    found = project(np.array([0.6, 0.4, 0.0]), np.zeros(3), np.array([0.5, 0.5, 1.0]))
    assert np.allclose(found, [0.5, 0.5, 0.0])
    found = project(np.array([0.6, 0.4, 0.0]), np.zeros(3), np.array([0.3, 0.5, 1.0]))
    assert np.allclose(found, [0.3, 0.5, 0.2])


def test_a_floor_for_the_rest_is_not_for_what_nobody_wanted() -> None:
    limits = limits_of({"*": 0.1, "c": 0.05}, {}, ("a", "b", "c"), np.array([True, False, False]))
    assert limits.floors.tolist() == [0.1, 0.0, 0.05]


def test_limits_that_no_shares_can_hold_are_loosened_and_it_is_said() -> None:
    case = {"rule": "cooldown", "parameters": {"over": 10}, "floor": 0.4, "most_change": None}
    third = np.full(3, 1 / 3)
    found = guarded((("a", "b", "c"), np.array([1.0, 0, 0]), third, third, case))
    assert np.allclose(found.shares, third)
    assert "floors of 1.2 in all, loosened to 1" in found.held_by
    case = {"rule": "cooldown", "parameters": {"over": 10}, "ceiling": 0.2, "most_change": None}
    found = guarded((("a", "b", "c"), np.array([1.0, 0, 0]), third, third, case))
    assert np.allclose(found.shares, third)
    assert "ceilings of 0.6 in all, loosened to 1" in found.held_by


def test_ceilings_of_zero_for_all_are_loosened_to_equal_shares() -> None:
    limits = limits_of({}, {"a": 0.0, "b": 0.0}, ["a", "b"], np.array([True, True]))
    assert limits.ceilings.tolist() == [0.5, 0.5]
    assert limits.loosened == ("ceilings of 0 in all, loosened to 1",)


@given(st.lists(st.floats(1e-12, 1), min_size=2, max_size=6))
@example([0.425817880349757, 0.0928152774484214, 0.48136681128247005, 3.0919351724791663e-08])
@example([0.36635215260447296, 0.04995248809955111, 0.5688086782973043, 0.014886680998671771])
def test_rounding_gives_nothing_to_what_is_0(values: list[float]) -> None:
    """A share of 1e-17 would be drawn now and then, of a category that nobody wants."""
    shares = np.array([0.0, *values, 0.0])
    shares /= shares.sum()
    found = project(shares, np.zeros(len(shares)), np.ones(len(shares)), shares)
    assert (found[0], found[-1]) == (0, 0)
    assert abs(found.sum() - 1.0) < 1e-12


def test_many_categories_are_projected_exactly() -> None:
    random = np.random.default_rng(7)
    shares = random.pareto(1.0, 10_000)
    shares /= shares.sum()
    floors, ceilings = np.full(10_000, 1e-5), np.full(10_000, 1e-3)
    found = project(shares, floors, ceilings)
    assert abs(found.sum() - 1.0) < 1e-12
    assert found.min() >= 1e-5 - 1e-15
    assert found.max() <= 1e-3 + 1e-15
    between = (found > 1.0001e-5) & (found < 0.9999e-3)
    ratios = found[between] / shares[between]
    assert np.ptp(ratios) / ratios.mean() < 1e-9
