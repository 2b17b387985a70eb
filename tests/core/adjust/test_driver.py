"""What the driver decides, by what Redis holds: no server, no clock."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.driver import (
    MadeStep,
    current_state,
    plan_begin,
    plan_end,
    plan_pause,
    plan_step,
    what_is_due,
)
from worker.core.adjust.inputs import Evidence, Library, make_inputs
from worker.core.adjust.orders import plan_freeze, plan_off, plan_resume, plan_rollback, plan_set
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import Found, PlannedStep
from worker.core.events import WeightsAdjusted
from worker.core.weights.changes import StoredWeights
from worker.core.weights.in_force import ABSENT, mark_of
from worker.core.weights.values import parse_weights
from worker.errors import AdjustError

LIBRARY = Library({"voice": 900, "music": 100})
NOW = 1_000_000
HALF = b'{"voice": 1, "music": 1}'


class Redis:
    """What Redis holds about one rule; steps are stored as the script stores them."""

    def __init__(self, value: bytes | None = HALF, name: str | None = "d") -> None:
        stored = StoredWeights(name, NOW, mark_of(value), value, ABSENT, None)
        self.found = Found(stored)
        self.history: list[Mapping[str, Any]] = []

    def store(self, planned: PlannedStep) -> None:
        assert planned.found == self.found
        found = self.found
        if planned.change is not None:
            value = planned.change.value if planned.change.verb == "SET" else None
            self.history.append(planned.change.record)
            self.put(value)
        for part in ("settings", "state"):
            text = getattr(planned, part)
            if text is not None:
                self.found = replace(self.found, **{part: text.encode()})
        heard: Mapping[str, float] = planned.heard if planned.restarts else found.heard
        self.found = replace(self.found, bounds=dict(planned.bounds), heard=heard)

    def put(self, value: bytes | None) -> None:
        """Write the weights as a person does."""
        self.found = replace(self.found, weights=replace(self.found.weights, mark=mark_of(value), value=value))

    def pass_time(self, ms: int = 0, **heard: float) -> None:
        weights = replace(self.found.weights, now_ms=self.found.now_ms + ms)
        self.found = replace(self.found, weights=weights, heard={**self.found.heard, **heard})

    def set(self, **wanted: Any) -> None:
        given = {"rule": "cooldown", "parameters": {"over": 1000, "steps": 10}, "mode": "on", "interval_s": 5}
        self.store(plan_set(self.found, {**given, **wanted}, "ann"))

    @property
    def settings(self) -> Settings | None:
        return read_settings(self.found.settings) if self.found.settings else None

    @property
    def state(self) -> State | None:
        return current_state(self.settings, read_state(self.found.state) if self.found.state else None, self.found)

    @property
    def due(self) -> str:
        return what_is_due(self.settings, self.state, self.found)

    def begin(self) -> None:
        assert self.due == "begin"
        assert self.settings is not None
        self.store(plan_begin(self.settings, self.found, {}))

    def plan(self, evidence: Evidence | None = None) -> MadeStep | None:
        assert self.settings is not None
        assert self.state is not None
        inputs = make_inputs(self.settings, self.state, self.found, LIBRARY, evidence or Evidence())
        return plan_step(self.settings, self.state, self.found, inputs, evidence)

    def step(self, **served: int) -> MadeStep:
        assert self.due == "step"
        made = self.plan(Evidence(served))
        assert made is not None
        self.store(made.planned)
        return made

    def shares(self) -> Mapping[str, float]:
        weights = parse_weights(self.found.weights.value or b"", "redis")
        assert weights is not None
        return weights.shares


@pytest.fixture
def redis() -> Redis:
    return Redis()


def test_nothing_is_due_without_a_rule(redis: Redis) -> None:
    assert redis.due == "nothing"


def test_a_rule_begins_by_a_step_of_its_own_that_positions_the_weights(redis: Redis) -> None:
    redis.set()
    redis.begin()
    assert redis.found.weights.value == b" " + HALF
    assert redis.state is not None
    assert (redis.state.step, redis.state.before, redis.state.began_ms) == (0, HALF.decode(), NOW)
    assert [entry["reason"] for entry in redis.history] == ["the rule begins"]
    assert redis.history[0]["version_before"] == redis.history[0]["version_after"]
    assert redis.due == "step"


@pytest.mark.parametrize(
    "wanted",
    [{"mode": "off"}, {"mode": "shadow"}, {"parameters": {"over": 1000, "unit": "seconds"}}],
)
def test_a_rule_that_goes_by_no_counts_has_no_bounds(redis: Redis, wanted: Mapping[str, Any]) -> None:
    redis.set(**wanted)
    if redis.due == "begin":
        redis.begin()
    redis.found = replace(redis.found, bounds={"chunks": 100})
    assert redis.due == "end"
    redis.store(plan_end(redis.found))
    assert (redis.due == "end", redis.found.bounds) == (False, {})


def test_steps_are_made_at_bounds_and_told_of(redis: Redis) -> None:
    redis.set()
    redis.begin()
    first = redis.step()
    assert redis.found.bounds == {"chunks": 100}
    assert redis.due == "nothing"
    redis.pass_time(chunks=99)
    assert redis.due == "nothing"
    redis.pass_time(chunks=104)
    second = redis.step()
    assert redis.found.bounds == {"chunks": 200}
    [event] = second.events
    assert isinstance(event, WeightsAdjusted)
    assert (event.step, event.mode, event.rule, event.dataset) == (2, "on", "cooldown", "d")
    assert event.inputs == "chunks 104, time_ms 0, reports 0"
    assert json.loads(event.after)["voice"] > json.loads(event.before)["voice"]
    assert len(first.events) == 1
    assert [entry["who"] for entry in redis.history] == ["rule cooldown"] * 3


def test_a_step_that_changes_nothing_is_not_made(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.pass_time(5000)
    assert redis.due == "step"
    assert redis.plan() is None


def test_the_last_step_has_no_next_one(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.pass_time(chunks=1000)
    redis.step()
    assert redis.found.bounds == {}
    assert redis.shares() == {"music": 0.1, "voice": 0.9}
    redis.pass_time(10**9, chunks=10**9)
    assert redis.plan() is None


@pytest.mark.parametrize("value", [b'{"voice": 1}', None, b"junk", b"  " + HALF])
def test_a_change_by_a_person_pauses_the_rule_until_it_is_told_to_go_on(redis: Redis, value: bytes | None) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.put(value)
    redis.pass_time(10**6, chunks=500)
    assert redis.due == "pause"
    assert redis.state is not None
    redis.store(plan_pause(redis.state, redis.found, "ann changed the weights at noon"))
    assert redis.found.weights.value == value
    assert redis.found.bounds == {}
    redis.pass_time(10**6)
    assert redis.due == "nothing"
    if value == b"junk":
        with pytest.raises(AdjustError, match="what the weights key holds is refused"):
            plan_resume(redis.found, None)
        return
    redis.store(plan_resume(redis.found, None))
    assert redis.found.weights.value == value
    redis.step()
    assert redis.found.weights.value != value
    assert redis.state.paused == ""
    assert (redis.state.step, redis.found.bounds) == (2, {"chunks": 600})


def test_a_person_who_writes_the_same_again_changes_nothing_and_who_writes_back_is_seen(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    own = redis.found.weights.value
    redis.put(own)
    assert redis.due == "nothing"
    redis.put(HALF)
    assert redis.due == "pause"


def test_a_change_between_resume_and_the_next_step_pauses_again(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.put(HALF)
    redis.store(plan_resume(redis.found, None))
    redis.put(b'{"voice": 1}')
    assert redis.due == "pause"


def test_a_change_before_the_rule_begins_pauses_it(redis: Redis) -> None:
    redis.set()
    redis.put(b'{"voice": 1}')
    redis.begin()
    assert redis.found.weights.value == b'{"voice": 1}'
    assert redis.due == "pause"


def test_the_prior_follows_a_person_unless_it_was_given(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.put(b'{"voice": 3, "music": 1}')
    redis.store(plan_resume(redis.found, None))
    assert redis.settings is not None
    assert redis.settings.prior == {"voice": 0.75, "music": 0.25}
    other = Redis()
    other.set(prior={"voice": 1, "music": 1})
    other.begin()
    other.put(b'{"voice": 3, "music": 1}')
    other.store(plan_resume(other.found, None))
    assert other.settings is not None
    assert other.settings.prior == {"voice": 1, "music": 1}


def test_a_shadow_stores_its_state_and_nothing_else(redis: Redis) -> None:
    redis.set(mode="shadow", most_change=0.01)
    redis.begin()
    assert redis.found.weights.value == HALF
    for number in range(1, 4):
        redis.pass_time(5000)
        assert redis.due == "step"
        redis.step(chunks=100)
        assert redis.state is not None
        assert redis.state.shadow == {"music": 0.5 - number / 100, "voice": 0.5 + number / 100}
    assert redis.found.weights.value == HALF
    assert redis.history == []
    assert redis.found.bounds == {}


@pytest.mark.parametrize("is_told", [True, False])
def test_a_shadow_that_is_turned_on_goes_on_from_its_position(redis: Redis, *, is_told: bool) -> None:
    redis.set(mode="shadow")
    assert redis.settings is not None
    redis.store(plan_begin(redis.settings, redis.found, {"chunks": 5000, "chunks:voice": 4000}))
    redis.pass_time(5000)
    redis.step(**{"chunks": 5350, "chunks:voice": 4300})
    if is_told:
        redis.store(plan_resume(redis.found, "on"))
    else:  # as HSET writes it
        redis.found = replace(redis.found, settings=replace(redis.settings, mode="on").text.encode())
        redis.pass_time(5000)
    redis.step(**{"chunks": 5360, "chunks:voice": 4310})
    assert redis.found.is_positioned
    assert redis.found.heard == {"chunks": 360, "chunks:voice": 310}
    assert redis.found.bounds == {"chunks": 400}
    assert redis.state is not None
    assert (redis.state.step, redis.state.began_ms, redis.state.served) == (2, NOW, {})
    assert redis.state.evidence == "temperature 3.8 after 3 of 10 steps over 1,000 chunks"
    redis.pass_time(chunks=400)
    redis.step()
    assert redis.found.heard == {"chunks": 400, "chunks:voice": 310}


def test_a_rule_that_becomes_a_shadow_goes_on_from_its_position_and_back_again(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.pass_time(5000, chunks=350)
    redis.step()
    redis.store(plan_resume(redis.found, "shadow"))
    redis.step(chunks=50)  # the counts of all that was served have been cleared meanwhile
    assert redis.found.bounds == {}
    assert redis.state is not None
    assert (redis.state.mode, redis.state.served) == ("shadow", {"chunks": -300})
    redis.pass_time(5000)
    redis.step(chunks=250)
    assert redis.state.evidence == "temperature 3 after 5 of 10 steps over 1,000 chunks"
    redis.store(plan_freeze(redis.found))
    redis.store(plan_resume(redis.found, "on"))
    redis.step(chunks=250)
    assert (redis.found.heard, redis.found.bounds) == ({"chunks": 550}, {"chunks": 600})


def test_a_frozen_rule_keeps_its_state_and_has_no_bounds(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    value, state = redis.found.weights.value, redis.state
    redis.store(plan_freeze(redis.found))
    redis.pass_time(10**6, chunks=500)
    assert redis.due == "nothing"
    assert (redis.found.bounds, redis.found.weights.value, redis.state) == ({}, value, state)
    redis.store(plan_resume(redis.found, None))
    assert redis.settings is not None
    assert redis.settings.mode == "on"
    redis.step()
    assert redis.found.bounds == {"chunks": 600}


def test_a_rule_that_is_removed_leaves_the_weights_and_nothing_else(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    shares = redis.shares()
    redis.store(plan_off(redis.found, "ann"))
    assert redis.shares() == shares
    assert not redis.found.is_positioned
    assert (redis.found.settings, redis.found.state, redis.found.bounds, redis.found.heard) == (b"", b"", {}, {})
    assert redis.due == "nothing"


@pytest.mark.parametrize("value", [HALF, None])
def test_a_rollback_brings_back_what_was_before_the_rule(value: bytes | None) -> None:
    redis = Redis(value)
    redis.set()
    redis.begin()
    redis.step()
    redis.store(plan_rollback(redis.found, "ann"))
    assert redis.found.weights.value == value
    assert redis.found.settings == redis.found.state == b""
    assert redis.history[-1]["reason"] == "rollback to the weights before rule cooldown began"


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_rollback_after_a_rest_goes_back_to_what_a_person_wrote_last(redis: Redis, *, is_changed: bool) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.store(plan_freeze(redis.found))
    if is_changed:
        redis.put(b'{"voice": 1}')
    redis.store(plan_resume(redis.found, None))
    redis.step()
    redis.store(plan_rollback(redis.found, "ann"))
    assert redis.found.weights.value == (b'{"voice": 1}' if is_changed else HALF)


def test_a_rollback_before_the_first_step_after_a_resume_leaves_what_a_person_wrote(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.put(b'{"voice": 1}')
    redis.store(plan_resume(redis.found, None))
    redis.store(plan_rollback(redis.found, "ann"))
    assert redis.found.weights.value == b'{"voice": 1}'
    assert redis.found.settings == redis.found.state == b""


def test_a_rollback_of_a_rule_that_was_set_again_goes_by_nothing_of_the_rule_before(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    value = redis.found.weights.value
    told = json.loads(redis.found.settings)
    changed = json.dumps({**told, "parameters": {"over": 7}}).encode()
    redis.found = replace(redis.found, settings=changed)  # as HSET writes it: the state of the rule before stays
    redis.store(plan_rollback(redis.found, "ann"))
    assert redis.found.weights.value == (value or b"").removeprefix(b" ")


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_rollback_of_a_shadow_leaves_what_a_person_wrote_beside_it(redis: Redis, steps: int) -> None:
    redis.set(mode="shadow", most_change=0.01)
    redis.begin()
    redis.put(b'{"voice": 1}')
    for _ in range(steps):
        redis.pass_time(5000)
        redis.step()
    redis.store(plan_rollback(redis.found, "ann"))
    assert redis.found.weights.value == b'{"voice": 1}'
    assert redis.found.settings == redis.found.state == b""


def test_weights_that_are_all_zero_are_no_start_but_those_in_force_are() -> None:
    redis = Redis(b'{"voice": 0}')
    redis.set()
    redis.begin()
    assert redis.shares() == {"conference": 0.1, "documentary": 0.2, "music": 0.3, "voice": 0.4}


def test_what_is_left_of_a_rule_without_settings_is_removed(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    redis.found = replace(redis.found, settings=b"")
    assert redis.due == "end"
    redis.store(plan_end(redis.found))
    assert (redis.found.state, redis.found.bounds) == (b"", {})
    assert redis.due == "nothing"


def test_bounds_of_a_rule_that_was_turned_off_by_hand_are_removed(redis: Redis) -> None:
    redis.set()
    redis.begin()
    redis.step()
    settings = redis.settings
    assert settings is not None
    redis.found = replace(redis.found, settings=replace(settings, mode="off").text.encode())
    assert redis.due == "end"
    redis.store(plan_end(redis.found))
    assert (redis.found.state != b"", redis.found.bounds) == (True, {})
    assert redis.due == "nothing"


def test_warm_up_holds_the_first_move_back(redis: Redis) -> None:
    redis.set(warm_up=60)
    redis.begin()
    redis.pass_time(59_999)
    assert redis.due == "nothing"
    redis.pass_time(1)
    assert redis.due == "step"


def test_limits_are_said_in_state_history_and_event(redis: Redis) -> None:
    redis.set(most_change=0.01, ceiling={"voice": 0.6})
    redis.begin()
    redis.pass_time(chunks=1000)
    [event] = redis.step().events
    assert redis.state is not None
    assert redis.state.held_by == ("ceiling: voice", "most change 0.01")
    assert redis.history[-1]["reason"].endswith("(held by ceiling: voice; most change 0.01)")
    assert isinstance(event, WeightsAdjusted)
    assert event.held_by == "ceiling: voice; most change 0.01"
    redis.pass_time(5000)
    redis.step()
    assert redis.shares()["voice"] == pytest.approx(0.52)


def test_a_refused_value_is_no_start_for_a_rule() -> None:
    redis = Redis(b"junk")
    with pytest.raises(AdjustError, match="what the weights key holds is refused"):
        redis.set()
    redis.found = replace(redis.found, settings=b'{"rule": "cooldown", "parameters": {"over": 9}, "mode": "on"}')
    with pytest.raises(AdjustError, match="the weights key holds a value that is refused"):
        redis.begin()


def test_a_dataset_without_weights_of_its_own_begins_from_those_in_force() -> None:
    redis = Redis(None)
    redis.set()
    redis.begin()
    assert redis.shares() == {"conference": 0.1, "documentary": 0.2, "music": 0.3, "voice": 0.4}


@given(st.lists(st.sampled_from(["time", "hear", "person", "freeze", "resume", "set", "step", "off"]), max_size=30))
def test_whatever_happens_a_person_s_change_stays_and_bounds_belong_to_rules_that_run(acts: list[str]) -> None:
    redis, typed, persons = Redis(), 0, None
    for act in acts:
        if act == "time":
            redis.pass_time(7000)
        elif act == "hear":
            redis.pass_time(chunks=redis.found.heard.get("chunks", 0) + 73)
        elif act == "person":
            typed += 1
            persons = json.dumps({"voice": typed, "music": 3}).encode()
            redis.put(persons)
        elif act == "set":
            redis.set()
            persons = None
        elif act == "off":
            redis.store(plan_off(redis.found, "ann"))
        elif act in {"freeze", "resume"} and redis.settings is not None:
            redis.store(plan_freeze(redis.found) if act == "freeze" else plan_resume(redis.found, None))
            persons = None if act == "resume" else persons
        elif act == "step":
            _do_what_is_due(redis)
            assert persons in {None, redis.found.weights.value}
        is_running = redis.settings is not None and redis.settings.mode == "on"
        assert is_running or not redis.found.bounds


def _do_what_is_due(redis: Redis) -> None:
    due = redis.due
    if due == "begin":
        redis.begin()
    elif due == "end":
        redis.store(plan_end(redis.found))
    elif due == "pause":
        assert redis.state is not None
        redis.store(plan_pause(redis.state, redis.found, "somebody"))
    elif due == "step" and (made := redis.plan()) is not None:
        redis.store(made.planned)
