"""The rule `schedule`: weights at points, and morphs that go in steps so small that nobody hears them."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.rule import Floats, Inputs, Proposal
from worker.core.adjust.rules import RULES
from worker.core.adjust.rules.points import resolve_presets
from worker.core.adjust.settings import read_settings
from worker.errors import AdjustError

RULE = RULES["schedule"]
NAMES = ("a", "b", "c")
A_TO_B = "100 a=1; 300 b=1"


def inputs(heard: Mapping[str, float], *, hours: Any = (1.0, 1.0, 1.0), now_ms: int = 0) -> Inputs:
    shares, ready = np.array([0.5, 0.25, 0.25]), np.array([16, 81, 0])
    of_hours = None if hours is None else np.array(hours)
    return Inputs(None, now_ms, NAMES, shares, shares, ready, of_hours, heard, np.zeros(3, np.int64))


def propose(heard: Mapping[str, float], points: object, **parameters: object) -> Proposal:
    return RULE.propose(RULE.check({"points": points, **parameters}), inputs(heard), {})


def target(found: Proposal) -> Floats:
    assert found.target is not None
    return found.target


def test_steps_hold_from_their_points_on() -> None:
    for heard, expected, next_at in ((100, [1, 0, 0], 300), (299, [1, 0, 0], 300), (300, [0, 1, 0], None)):
        found = propose({"chunks": heard}, A_TO_B)
        assert target(found).tolist() == expected
        assert found.next_at == ({} if next_at is None else {"chunks": next_at})
    before = propose({"chunks": 99}, A_TO_B)
    assert (before.target, before.next_at) == (None, {"chunks": 100})


def test_a_morph_is_on_its_curve() -> None:
    half, quarter = propose({"chunks": 200}, A_TO_B, between="linear"), {"chunks": 150.0}
    assert target(half).tolist() == [0.5, 0.5, 0]
    assert target(propose(quarter, A_TO_B, between="linear")).tolist() == [0.75, 0.25, 0]
    rounded = target(propose(quarter, A_TO_B, between="cosine"))
    assert rounded[1] == pytest.approx((1 - math.cos(math.pi / 4)) / 2, abs=0.005)
    assert half.next_at == {"chunks": 201}
    assert half.evidence == "point 1 of 2, from 100 chunks, step 100 of 200 to the next"


shares = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1e300), min_size=1).filter(lambda one: any(one.values()))
points = st.lists(st.tuples(st.integers(0, 10**12), shares), min_size=1, max_size=5, unique_by=lambda one: one[0]).map(
    lambda found: [{"at": at, "weights": weights} for at, weights in sorted(found, key=lambda one: one[0])]
)
between = st.sampled_from(["step", "linear", "cosine"])


@given(points, between, st.sampled_from(["chunks", "requests", "hours", "audio_seconds", "seconds"]))
def test_played_from_bound_to_bound_it_goes_through_all_points_in_small_steps(
    found: list[dict[str, Any]], between: str, unit: str
) -> None:
    parameters = RULE.check({"points": found, "unit": unit, "between": between})
    [key] = RULE.units(parameters)
    heard, last, steps = 0.0, None, []
    while True:
        proposal = RULE.propose(parameters, inputs({key: heard}), {})
        if proposal.target is not None:
            assert proposal.target.min() >= 0
            assert proposal.target.sum() == pytest.approx(1)
            steps.append((heard, proposal.target))
            if last is not None and between != "step":
                assert np.abs(proposal.target - last).max() <= 0.005 + 1e-9
            last = proposal.target
        if not proposal.next_at:
            break
        [following] = proposal.next_at.values()
        assert following > heard
        just_before = RULE.propose(parameters, inputs({key: math.nextafter(following, 0)}), {})
        assert just_before.next_at == proposal.next_at
        assert len(steps) <= 1000 * len(found)
        heard = following
    scale = {"hours": 3_600_000.0, "audio_seconds": 1000.0, "seconds": 1000.0}.get(unit, 1.0)
    at = dict(steps)
    for point in found:
        expected = np.array([point["weights"].get(name, 0.0) for name in NAMES])
        expected = expected / expected.max()
        assert np.allclose(at[point["at"] * scale], expected / expected.sum(), atol=1e-9)
    assert [heard for heard, _ in steps] == sorted({heard for heard, _ in steps})
    assert all(first < second for (first, _), (second, _) in pairwise(steps))


def test_times_are_absolute() -> None:
    parameters = RULE.check({"points": "2026-12-24T18:00:00Z a=1; 2026-12-25 b=1", "unit": "time"})
    eve_ms = 1_798_135_200_000
    assert [point["at"] for point in parameters["points"]] == [eve_ms / 1000, 1_798_156_800.0]
    found = RULE.propose(parameters, inputs({"time_ms": 500.0}, now_ms=eve_ms - 1), {})
    assert (found.target, found.next_at) == (None, {"time_ms": 501})
    found = RULE.propose(parameters, inputs({"time_ms": 501.0}, now_ms=eve_ms), {})
    assert target(found).tolist() == [1, 0, 0]
    assert found.next_at == {"time_ms": 501 + 6 * 3_600_000}


def test_presets_are_built_in_ones_or_written_in() -> None:
    assert target(propose({"chunks": 0}, "0 balanced")).tolist() == [0.5, 0.5, 0]  # c has no READY chunk
    written = resolve_presets("0 preset:mine; 9 balanced; 20 a=1", lambda name: {"c": 2.0} if name == "mine" else None)
    found = RULE.check({"points": written})["points"]
    assert found == [
        {"at": 0, "preset": "mine", "weights": {"c": 2}},
        {"at": 9, "preset": "balanced"},
        {"at": 20, "weights": {"a": 1}},
    ]
    with pytest.raises(AdjustError, match="point 1 names 'mine', which is no preset"):
        RULE.check({"points": resolve_presets("0 mine", lambda _: None)})


def test_categories_that_are_not_there_are_left_out() -> None:
    found = propose({"chunks": 0}, "0 new=1; 5 new=3 a=1", between="linear")
    assert (found.target, found.next_at) == (None, {"chunks": 5})
    assert "none of its categories" in found.evidence
    assert target(propose({"chunks": 5}, "0 new=1; 5 new=3 a=1")).tolist() == [1, 0, 0]


def test_hours_have_to_be_known() -> None:
    parameters = RULE.check({"points": "0 a=1", "unit": "hours"})
    found = RULE.propose(parameters, inputs({"ms": 0.0}, hours=None), {})
    assert (found.target, found.next_at) == (None, {})


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (None, "points is missing"),
        ([], "points is []"),
        ("", "points is ''"),
        ({"0": 1}, "points is {'0': 1}"),
        ([7], "point 1 is 7"),
        ("0", "point 1 has neither weights nor a preset"),
        ("0 a", "point 1 names 'a', which is no preset"),
        ("0 a=1 b", "is not a number"),
        ("0 a=1 a=2", "a category is given twice"),
        ("0 a=0", "point 1 weighs nothing"),
        ("0 a=nan", "the weight of 'a' is nan"),
        ("soon a=1", "at of point 1 is 'soon'"),
        ("-1 a=1", "at of point 1 is -1.0"),
        ("5 a=1; 5 b=1", "point 2 is at 5, and point 1 at 5"),
        ("5 a=1; 4 b=1", "positions that go up"),
        ([{"at": True, "weights": {"a": 1}}], "at of point 1 is True"),
        ([{"at": 0, "weights": [1]}], "the weights of point 1 are"),
        ([{"at": 0, "weights": {"A": 1}}], "'A' is not a category name"),
        ([{"at": 0, "preset": 3}], "point 1 names 3, which is no preset"),
        ([{"at": 0, "weigths": {"a": 1}}], "point 1 has no 'weigths'"),
        ([{"at": n, "weights": {"a": 1}} for n in range(1001)], "there are 1001 points"),
    ],
)
def test_points_that_are_not_accepted(points: object, says: str) -> None:
    with pytest.raises(AdjustError) as caught:
        RULE.check({"points": points})
    assert says in str(caught.value)
    assert "accepted: " in str(caught.value)


@pytest.mark.parametrize("at", ["2026-13-01", "2026-12-24T25:00Z", "24.12.2026", "2026-12-24T18:00+01:00"])
def test_times_that_are_not_accepted(at: str) -> None:
    with pytest.raises(AdjustError, match="accepted: "):
        RULE.check({"points": [{"at": at, "weights": {"a": 1}}], "unit": "time"})


@given(points, between)
def test_settings_hold_a_schedule_as_it_was_checked(found: list[dict[str, Any]], between: str) -> None:
    text = str({"rule": "schedule", "parameters": {"points": found, "between": between}}).replace("'", '"')
    settings = read_settings(text.encode())
    assert read_settings(settings.text.encode()) == settings
