"""What is to come: the steps of a rule, played ahead."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.core.adjust.test_driver import LIBRARY, Redis
from worker.core.adjust.inputs import Evidence, make_inputs
from worker.core.adjust.preview import preview
from worker.core.adjust.rule import TIME_MS, Inputs
from worker.core.adjust.settings import read_settings

READY = np.array([1000, 10, 0])


def inputs(**heard: float) -> Inputs:
    shares = np.array([0.5, 0.3, 0.2])
    return Inputs(None, 0, ("a", "b", "c"), shares, shares, READY, None, heard, np.zeros(3, np.int64))


def rows(rule: str, given: Inputs, parameters: dict[str, Any], **settings: Any) -> list[Any]:
    found = read_settings(json.dumps({"rule": rule, "parameters": parameters, **settings}).encode())
    return list(preview(found, given, {}))


def test_a_schedule_is_played_from_where_it_is() -> None:
    points = "100 a=1; 300 b=1; 900 c=1"
    found = rows("schedule", inputs(chunks=50.0), {"points": points})
    assert [(row.unit, row.position) for row in found] == [("chunks", at) for at in (50, 100, 300, 900)]
    assert [row.shares for row in found] == [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 1}, {"b": 1}, {"c": 1}]
    later = rows("schedule", inputs(chunks=250.0), {"points": points})
    assert [row.position for row in later] == [250, 300, 900]
    smooth = rows("schedule", inputs(chunks=250.0), {"points": points, "between": "linear"})
    assert len(smooth) == 1 + 50 + 200
    assert smooth[0].shares == {"a": 0.25, "b": 0.75}
    assert smooth[-1].shares == {"c": 1}


def test_limits_hold_what_is_to_come() -> None:
    found = rows("schedule", inputs(chunks=0.0), {"points": "0 a=1; 10 b=1"}, ceiling=0.6)
    assert found[-1].shares["b"] == pytest.approx(0.6)
    assert found[-1].held_by == ("ceiling: b",)


def test_a_most_change_takes_several_steps_at_a_count() -> None:
    points = "0 a=0.5 b=0.3 c=0.2; 10 a=0.8 c=0.2; 20 a=0.5 b=0.3 c=0.2"
    found = rows("schedule", inputs(chunks=0.0), {"points": points}, most_change=0.125, interval_s=30)
    assert [(row.unit, row.position, row.after_s) for row in found] == [
        *[("chunks", 0, 0), ("chunks", 10, 0), ("chunks", 10, 30), ("chunks", 10, 60)],
        *[("chunks", 20, 0), ("chunks", 20, 30), ("chunks", 20, 60)],
    ]
    assert [round(row.shares["a"], 9) for row in found] == [0.5, 0.625, 0.75, 0.8, 0.675, 0.55, 0.5]
    assert [bool(row.held_by) for row in found] == [False, True, True, False, True, True, False]


def test_a_warm_up_comes_first() -> None:
    parameters = {"points": "0 a=1; 60 b=1; 100 c=1", "unit": "seconds"}
    found = rows("schedule", inputs(**{TIME_MS: 10_000.0}), parameters, warm_up=90)
    assert [(row.unit, row.position) for row in found] == [("", 0), ("time_ms", 90_000), ("time_ms", 100_000)]
    assert [row.shares for row in found] == [{"a": 0.5, "b": 0.3, "c": 0.2}, {"b": 1}, {"c": 1}]
    assert found[0].evidence == "warm-up: nothing moves for 80 s"
    later = rows("schedule", inputs(**{TIME_MS: 90_000.0}), parameters, warm_up=90)
    assert [row.position for row in later] == [90_000, 100_000]


Moves = list[tuple[float, Mapping[str, float]]]


def rounded(shares: Mapping[str, float]) -> Mapping[str, float]:
    return {name: round(share, 6) for name, share in shares.items()}


def foreseen(redis: Redis) -> Moves:
    """Return position and shares of each step to come."""
    settings, state = redis.settings, redis.state
    assert settings is not None
    assert state is not None
    known = make_inputs(settings, state, redis.found, LIBRARY, Evidence())
    rest_s = max(0.0, (state.stepped_ms - redis.found.now_ms) / 1000 + settings.interval_s)
    now = rounded(state.shadow or redis.shares())
    found = [(row.position, rounded(row.shares)) for row in preview(settings, known, state.memory, rest_s=rest_s)]
    return found[1:] if found[0][1] == now else found


def made(redis: Redis, seconds: int) -> Moves:
    """Make the steps that are due, looked at every 5 s, and return those that moved something."""
    moves: Moves = []
    for _ in range(0, seconds, 5):
        assert redis.state is not None
        position = redis.found.now_ms - redis.state.began_ms
        if redis.due == "step" and (step := redis.plan()) is not None:
            redis.store(step.planned)
            if step.events:
                moves.append((position, rounded(redis.state.shadow or redis.shares())))
        redis.pass_time(5000)
    return moves


@pytest.mark.parametrize("mode", ["on", "shadow"])
@pytest.mark.parametrize(
    "guards", [{}, {"most_change": 0.1}, {"most_change": 0.1, "warm_up": 35}, {"ceiling": 0.7, "most_change": 0.2}]
)
@pytest.mark.parametrize("looked_s", [0, 35, 65])
def test_what_is_foreseen_in_time_is_what_the_driver_does(mode: str, guards: dict[str, Any], looked_s: int) -> None:
    redis = Redis()
    parameters = {"points": "0 voice=1; 60 music=1; 105 music=1 voice=3", "unit": "seconds"}
    redis.set(rule="schedule", parameters=parameters, mode=mode, interval_s=20, **guards)
    redis.begin()
    made(redis, looked_s)
    expected = foreseen(redis)
    assert expected
    assert made(redis, 250) == expected


def test_a_cap_is_expected_where_the_weights_make_one_expect_it() -> None:
    found = rows("cap", inputs(chunks=0.0), {"times": 3})
    assert [row.unit for row in found] == ["chunks", "chunks"]
    assert found[1].position == pytest.approx(30 / (0.3 / 0.8), abs=2)  # c has no READY chunk, so others get its share
    assert found[1].shares == {"a": pytest.approx(0.5 / 0.7), "c": pytest.approx(0.2 / 0.7)}


def test_a_cooldown_is_played_to_its_end() -> None:
    found = rows("cooldown", inputs(chunks=0.0), {"over": 100, "steps": 4})
    assert [row.position for row in found] == [0, 25, 50, 75, 100]
