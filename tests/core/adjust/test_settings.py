"""Settings and states of rules: whatever Redis holds, it is read, or refused by a sentence."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.adjust.rules import RULES
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State, read_state
from worker.errors import AdjustError

LEAST = {"rule": "cooldown", "parameters": {"over": 1000}}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read(**values: Any) -> Settings:
    return read_settings(json.dumps({**LEAST, **values}).encode())


def test_only_the_rule_is_required() -> None:
    found = read()
    assert (found.mode, found.most_change, found.strength, found.interval_s, found.prior) == (
        "off",
        None,
        0.0,
        30,
        None,
    )
    assert found.parameters == {"from": 5.0, "to": 1.0, "over": 1000.0, "unit": "chunks", "by": "chunks", "steps": 200}


def test_settings_are_written_as_they_are_read() -> None:
    found = read(
        mode="shadow", floor=0.01, ceiling={"*": 0.5, "voice": 0.9}, prior={"voice": 7, "music": 3}, who="ann",
        set_at_ms=5, found="absent", interval_s=1.5, warm_up=10, most_change=None,
    )  # fmt: skip
    assert read_settings(found.text.encode()) == found


def test_a_rule_is_another_one_once_it_is_set_again_and_the_same_in_another_mode() -> None:
    marks = [read(**one).rule_mark for one in ({}, {"mode": "on"}, {"floor": 0.1}, {"resumed_ms": 7})]
    assert len(set(marks)) == 1
    assert read(set_at_ms=1).rule_mark != marks[0]
    assert read(parameters={"over": 1001}).rule_mark != marks[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rule": "magic"}, "rule is 'magic'; accepted: "),
        ({"mode": "fast"}, "mode is 'fast'; accepted: off, shadow, on"),
        ({"parameters": {}}, "over is missing; accepted: a number from 1 to 1e+15"),
        ({"parameters": {"over": 10, "under": 2}}, "rule cooldown has no 'under'; accepted: from, to, over"),
        ({"parameters": {"over": 10, "steps": 1.5}}, "steps is 1.5; accepted: a whole number from 1 to 1000"),
        ({"parameters": [1]}, "parameters is [1]; accepted: an object"),
        ({"floor": 2}, "floor of * is 2; accepted: a number from 0 to 1"),
        ({"floor": {"Voice": 0.1}}, "floor names 'Voice'; accepted: categories"),
        ({"floor": {"voice": 0.6, "music": 0.6}}, "the floors add up to 1.2; accepted: at most 1"),
        ({"floor": {"voice": 0.6}, "ceiling": 0.5}, "the floor of voice is 0.6 and its ceiling 0.5"),
        ({"most_change": 0}, "most_change is 0; accepted: a number from 0.0001 to 1"),
        ({"prior": {"voice": -1}}, "prior: the weight of 'voice' is -1"),
        ({"prior": {"voice": 0}}, "prior weighs nothing"),
        ({"prior": 3}, "prior is 3; accepted: an object of weights, or null"),
        ({"strength": True}, "strength is True; accepted: a number from 0 to 1"),
        ({"interval_s": -1}, "interval_s is -1; accepted"),
        ({"who": 3}, "who is 3; accepted: a text"),
        ({"prior_given": 3}, "prior_given is 3; accepted: true or false"),
        ({"more": 3}, "a rule's settings has no 'more'; accepted: rule, parameters"),
    ],
)
def test_bad_settings_are_refused_by_a_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(AdjustError) as refused:
        read(**values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff", b"[]", b"3", b"{", b"{}", b'{"rule": "cooldown", "rule": "cooldown", "parameters": {"over": 9}}',
        b'{"rule": "cooldown", "parameters": {"over": NaN}}', b'{"rule": "cooldown", "parameters": {"over": 1e999}}',
        b'{"rule": "\\ud800"}', b"[" * 100_000, b'{"rule": ' + b"9" * 5000 + b"}", b" " * ((8 << 20) + 1),
    ],
)  # fmt: skip
def test_texts_that_are_no_settings_are_refused(text: bytes) -> None:
    with pytest.raises(AdjustError):
        read_settings(text)
    with pytest.raises(AdjustError):
        read_state(text)


@given(st.dictionaries(st.sampled_from([*Settings.__slots__, "x"]), anything, max_size=5))
def test_settings_of_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    try:
        found = read(**values)
    except AdjustError:
        return
    assert read_settings(found.text.encode()) == found


@given(st.sampled_from(sorted(RULES)), st.dictionaries(st.text(max_size=6), anything, max_size=5))
def test_parameters_of_any_values_are_read_or_refused(name: str, values: dict[str, Any]) -> None:
    try:
        found = RULES[name].check(values)
    except AdjustError:
        return
    assert RULES[name].check(found) == found
    assert RULES[name].units(found) or RULES[name].learns


@given(st.dictionaries(st.sampled_from([*State.__slots__, "x"]), anything, max_size=6))
@example({"mode": []})
def test_states_of_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    try:
        found = read_state(json.dumps({"rule_mark": "m", **values}).encode())
    except AdjustError:
        return
    assert read_state(found.text.encode()) == found


@pytest.mark.parametrize("shadow", [{"a": 0}, {"a": -1}, {"a": 1.5}, {"a": 10**400}, {"A": 1}, {"a": True}, [], None])
def test_a_shadow_that_no_weights_can_be_made_of_is_refused(shadow: object) -> None:
    with pytest.raises(AdjustError, match="the state of a rule has shadow"):
        read_state(json.dumps({"rule_mark": "m", "shadow": shadow}).encode())


def test_states_are_written_as_they_are_read() -> None:
    state = State("mark", 7, "stored", None, "why", 1, 2, 3, "1-1", 9, {"a": [1]}, {"voice": 1.0}, "so", ("floor: x",))
    assert read_state(state.text.encode()) == state
