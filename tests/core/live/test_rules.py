"""The rule that moves some weights is shown as Redis holds it: how far it is, and what comes next."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rules import SET_MS, rule_settings, rule_state
from worker.core.adjust.settings import Settings
from worker.core.adjust.state import State
from worker.core.live.rules import RuleSeen, observe_rule, rule_document, shadow_of

STATUSES = {"refused", "frozen", "not begun", "paused", "running"}


def seen(told: Settings, state: State | None = None) -> RuleSeen:
    rule = observe_rule("d", told.text.encode(), None if state is None else state.text.encode())
    assert rule is not None
    return rule


def test_a_rule_that_runs_says_what_it_did_and_what_comes() -> None:
    told = rule_settings()
    state = rule_state(told, step=3, evidence="warmer", held_by=("floor: a",), next_at={"chunks": 15.0, "other": 1.0})
    counts = [{"unit": "chunks", "category": None, "at": 15.0, "heard": 9}]
    assert rule_document(replace(seen(told, state), heard={"chunks": 9, "ms": 4})) == {
        "dataset": "d",
        "name": "cooldown",
        "mode": "on",
        "status": "running",
        "paused": "",
        "problem": "",
        "steps": 3,
        "stepped_ms": SET_MS + 5000,
        "next": {"at_ms": SET_MS + 35_000, "counts": counts, "counts_left_out": 0},
        "evidence": "warmer",
        "held_by": ["floor: a"],
        "who": "ann",
        "set_ms": SET_MS,
    }


@pytest.mark.parametrize(
    ("more", "moved", "at_ms", "counts"),
    [
        ({}, {"next_at": {"ms": 7.0, "requests": 2.0}}, None, {"ms": 7.0, "requests": 2.0}),
        ({}, {"next_at": {"time_ms": 60_000.0}}, SET_MS + 60_000, {}),
        ({}, {}, SET_MS + 35_000, {}),
        ({"interval_s": 300}, {}, SET_MS + 305_000, {}),
        ({"warm_up": 90}, {}, SET_MS + 90_000, {}),
        ({"interval_s": 0}, {"stepped_ms": 0, "began_ms": 0}, None, {}),
        ({}, {"next_at": {"time_ms": 1e300, "chunks": -1.0}}, SET_MS + 2**53, {}),
        ({}, {"next_at": {"chunks": 1e300}, "began_ms": 2**62, "stepped_ms": 2**62}, None, {}),
    ],
)
def test_the_next_step_is_due_at_a_time_or_at_a_count(
    more: dict[str, Any], moved: dict[str, Any], at_ms: int | None, counts: dict[str, float]
) -> None:
    told = rule_settings(**more)
    due = rule_document(seen(told, replace(rule_state(told), **moved)))["next"]
    assert due["at_ms"] == (None if at_ms is None or at_ms > 8_640_000_000_000_000 else at_ms)
    assert {one["unit"]: one["at"] for one in due["counts"]} == counts


def test_of_many_counts_the_lowest_are_shown() -> None:
    told = rule_settings("shadow")
    state = rule_state(told, next_at={f"chunks:c{number}": float(number) for number in range(9999, 0, -1)})
    due = rule_document(replace(seen(told, state), heard={"chunks": 5}))["next"]
    assert (len(due["counts"]), due["counts_left_out"]) == (8, 9991)
    assert due["counts"][0] == {"unit": "chunks", "category": "c1", "at": 1.0, "heard": None}


def test_a_rule_that_waits_for_people_says_why_until_it_was_told_to_go_on() -> None:
    told = rule_settings()
    paused = rule_state(told, paused="ann changed the weights", step=2)
    shown = rule_document(seen(told, paused))
    assert (shown["status"], shown["paused"], shown["next"], shown["steps"]) == (
        "paused",
        "ann changed the weights",
        None,
        2,
    )
    resumed = replace(told, resumed_ms=SET_MS + 9000)
    again = rule_document(seen(resumed, paused))
    assert (again["status"], again["paused"], again["stepped_ms"]) == ("running", "", None)
    frozen = rule_document(seen(replace(told, mode="off"), paused))
    assert (frozen["status"], frozen["paused"], frozen["steps"]) == ("frozen", "", 2)


def test_a_state_of_an_earlier_rule_says_nothing_of_this_one() -> None:
    told = rule_settings(mode="shadow")
    earlier = State("another", step=9, shadow={"a": 1.0}, evidence="old")
    for state in (None, earlier):
        rule = seen(told, state)
        assert (rule.status, shadow_of(rule), rule_document(rule)["steps"]) == ("not begun", {}, 0)


def test_only_a_rule_in_shadow_has_a_shadow() -> None:
    for mode, expected in (("shadow", {"a": 0.25, "b": 0.75}), ("on", {}), ("off", {})):
        told = rule_settings(mode=mode)
        assert shadow_of(seen(told, rule_state(told, shadow={"a": 0.25, "b": 0.75}))) == expected
    assert shadow_of(None) == {}


@pytest.mark.parametrize(
    ("settings_text", "state_text", "says"),
    [
        (b"no JSON", None, "settings: the text is not JSON"),
        (b'{"rule": "nothing"}', None, "rule is 'nothing'; accepted: "),
        (rule_settings().text.encode(), b"[]", "the state of a rule: [] is not a JSON object"),
        (rule_settings().text.encode(), b'{"rule_mark": 5}', "the state of a rule has rule_mark 5"),
        (
            rule_settings().text.encode(),
            rule_state(rule_settings(), shadow={"a": 1.5}).text.encode(),
            "the state of a rule has shadow",
        ),
        (
            rule_settings().text.encode(),
            rule_state(rule_settings(), shadow={"a": 10**400}).text.encode(),
            "the state of a rule has shadow",
        ),
    ],
)
def test_what_cannot_be_read_is_said(settings_text: bytes, state_text: bytes | None, says: str) -> None:
    rule = observe_rule(None, settings_text, state_text)
    assert rule is not None
    shown = rule_document(rule)
    assert says in shown["problem"]
    assert (shown["status"], shown["next"], shadow_of(rule)) == ("refused", None, {})


def test_without_settings_there_is_no_rule() -> None:
    assert observe_rule(None, None, b"anything") is None


TEXTS = st.one_of(
    st.binary(max_size=40),
    st.fixed_dictionaries(
        {"rule": st.just("cooldown"), "parameters": st.just({"over": 5})},
        optional={
            "mode": st.sampled_from(["on", "off", "shadow", "x"]),
            "set_at_ms": st.integers(-1, 2**60),
            "warm_up": st.floats(0, 1e9),
        },
    ).map(lambda found: json.dumps(found).encode()),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400))


@given(TEXTS, st.one_of(st.none(), st.binary(max_size=40)))
def test_no_text_breaks_the_view(settings_text: bytes, state_text: bytes | None) -> None:
    rule = observe_rule(None, settings_text, state_text)
    assert rule is not None
    shown = rule_document(rule)
    assert shown["status"] in STATUSES
    json.dumps(shown, allow_nan=False)


@given(st.dictionaries(st.sampled_from(["chunks", "ms", "requests", "time_ms", "x"]), NUMBERS), NUMBERS, NUMBERS)
def test_no_number_breaks_the_view(next_at: dict[str, float], began: float, share: float) -> None:
    told = rule_settings(mode="shadow")
    text = {"rule_mark": told.rule_mark, "next_at": next_at, "began_ms": began, "shadow": {"a": share}}
    rule = observe_rule(None, told.text.encode(), json.dumps(text).encode())
    assert rule is not None
    json.dumps([rule_document(rule), dict(shadow_of(rule))], allow_nan=False)


def test_long_texts_are_cut() -> None:
    told = rule_settings()
    long = rule_state(told, evidence="e" * 9000, paused="p" * 9000, held_by=("h" * 900,) * 900)
    assert len(json.dumps(rule_document(seen(told, long)))) < 4000
