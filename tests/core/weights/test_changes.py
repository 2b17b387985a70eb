"""A change is planned by what stands there: what it replaces, what it gives way to, and what the history says of it."""

import json
from typing import Any

import pytest

from worker.core.weights.changes import (
    Return,
    Standing,
    WantedChange,
    read_return,
    return_step,
    step_of,
    version_by_key,
)
from worker.core.weights.values import ABSENT, WRONG_TYPE, default_weights, mark_of, parse_weights
from worker.errors import WeightsError

VOICE, MUSIC, ZERO = '{"voice": 1}', '{"music": 1}', '{"voice": 0}'
NOW_MS = 1_000_000
HOUR_MS = 3_600_000


def standing(value: str | None, name: str | None = None, *, pending: Return | None = None, **more: Any) -> Standing:
    own = None if value is None else value.encode()
    text = pending.text.encode() if pending else b""
    found: dict[str, Any] = {"mark": mark_of(own), "shared_mark": ABSENT, "shared_value": None, **more}
    return Standing(name=name, now_ms=NOW_MS, value=own, return_text=text, **found)


def version(text: str) -> str:
    weights = parse_weights(text.encode(), "redis")
    assert weights is not None
    return weights.version


def lasting(value: str, mark_text: str, due_ms: int, back: str | None) -> Standing:
    pending = Return(due_ms, mark_of(mark_text.encode()).decode(), back, "ann", "1h")
    return standing(value, pending=pending)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (None, VOICE, version(VOICE)),
        ("d", VOICE, version(VOICE)),
        (None, None, default_weights().version),
        (None, ZERO, default_weights().version),
        ("d", None, ""),
        ("d", ZERO, ""),
        ("preset:p", None, ""),
        (None, "[]", ""),
        ("d", "no JSON", ""),
    ],
)
def test_a_version_is_that_of_what_the_key_puts_in_force(name: str | None, value: str | None, expected: str) -> None:
    assert version_by_key(name, None if value is None else value.encode()) == expected


def test_a_change_says_what_it_replaces() -> None:
    found = standing(VOICE, "d")
    step = step_of(found, WantedChange(MUSIC, "ann", "a test"))
    assert (step.found, step.verb, step.value, step.return_text) == (found, "SET", MUSIC.encode(), "")
    assert step.record == {
        "before": VOICE.encode(),
        "after": MUSIC.encode(),
        "dataset": "d",
        "who": "ann",
        "reason": "a test",
        "version_before": version(VOICE),
        "version_after": version(MUSIC),
    }


def test_a_removal_leaves_nothing() -> None:
    step = step_of(standing(VOICE), WantedChange(None, "ann", "", undone_from="5-0"))
    assert (step.verb, step.value) == ("DEL", b"")
    assert (step.record["after"], step.record["version_after"]) == (b"", default_weights().version)
    assert step.record["undone_from"] == "5-0"


def test_what_is_in_force_is_what_a_worker_sees_that_starts_now() -> None:
    shared: dict[str, Any] = {"shared_mark": mark_of(VOICE.encode()), "shared_value": VOICE.encode()}
    assert standing(MUSIC, "d", **shared).in_force.weights.shares == {"music": 1.0}
    assert standing(None, "d", **shared).in_force.weights.shares == {"voice": 1.0}
    assert standing(VOICE, None, **shared).in_force.weights.source == "redis"
    assert standing(None).in_force.weights.source == "default"


def test_a_value_that_is_refused_is_a_problem() -> None:
    assert standing(VOICE).problem is standing(None, "d").problem is None
    assert "not JSON" in str(standing("no JSON").problem)


@pytest.mark.parametrize("before", [VOICE, None])
def test_temporary_weights_give_way_to_what_stood_before(before: str | None) -> None:
    step = step_of(standing(before), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))
    due = read_return(step.return_text.encode())
    assert due == Return(NOW_MS + HOUR_MS, mark_of(MUSIC.encode()).decode(), before, "ann", "1h")
    assert step.record["until"] == str(NOW_MS + HOUR_MS)


def test_temporary_weights_upon_temporary_ones_give_way_to_what_stood_before_the_first() -> None:
    step = step_of(lasting(MUSIC, MUSIC, NOW_MS + 5, VOICE), WantedChange(ZERO, "bob", "", HOUR_MS, "1h"))
    due = read_return(step.return_text.encode())
    assert due is not None
    assert (due.back, due.due_ms, due.who) == (VOICE, NOW_MS + HOUR_MS, "bob")
    assert "lapsed" not in step.record


def test_temporary_weights_upon_somebody_elses_give_way_to_those() -> None:
    step = step_of(lasting(VOICE, MUSIC, NOW_MS + 5, None), WantedChange(ZERO, "bob", "", HOUR_MS, "1h"))
    due = read_return(step.return_text.encode())
    assert due is not None
    assert due.back == VOICE


def test_weights_for_good_end_the_return_and_say_so() -> None:
    step = step_of(lasting(MUSIC, MUSIC, NOW_MS + 5, VOICE), WantedChange(MUSIC, "bob", ""))
    assert (step.return_text, step.record["lapsed"]) == ("", str(NOW_MS + 5))


@pytest.mark.parametrize("value", ["[]", "no JSON", '{"voice": -1}'])
def test_nothing_is_to_return_to_a_value_that_is_refused(value: str) -> None:
    with pytest.raises(WeightsError, match=r"refused, so that nothing could return to it: .*accepted"):
        step_of(standing(value), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))


def test_nothing_is_to_return_to_a_key_of_another_type() -> None:
    with pytest.raises(WeightsError, match="does not hold a string"):
        step_of(standing(None, mark=WRONG_TYPE), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))


def test_a_return_that_is_due_is_a_change_like_any_other() -> None:
    step = return_step(lasting(MUSIC, MUSIC, NOW_MS, VOICE))
    assert step is not None
    assert (step.verb, step.value, step.return_text) == ("SET", VOICE.encode(), "")
    assert step.record == {
        "before": MUSIC.encode(),
        "after": VOICE.encode(),
        "dataset": "",
        "who": "ann",
        "reason": "return after 1h",
        "version_before": version(MUSIC),
        "version_after": version(VOICE),
        "returned": str(NOW_MS),
    }


def test_where_no_key_was_the_return_removes_it() -> None:
    step = return_step(lasting(MUSIC, MUSIC, NOW_MS - 1, None))
    assert step is not None
    assert (step.verb, step.record["after"]) == ("DEL", b"")


def test_a_return_never_overwrites_what_somebody_else_has_set() -> None:
    step = return_step(lasting(VOICE, MUSIC, NOW_MS, ZERO))
    assert step is not None
    assert (step.verb, step.return_text) == ("KEEP", "")
    assert step.record["before"] == step.record["after"] == VOICE.encode()
    assert "somebody else had changed the weights" in str(step.record["reason"])


def test_before_its_time_and_without_one_nothing_returns() -> None:
    assert return_step(lasting(MUSIC, MUSIC, NOW_MS + 1, VOICE)) is None
    assert return_step(standing(MUSIC)) is None


GOOD: dict[str, object] = {"due_ms": 5, "mark": "", "back": None, "who": "ann", "lasts": "1h"}
NO_TEXTS: list[Any] = [None, 5, [], {}, True]
NO_TIMES: list[Any] = [None, True, 1.5, "5", -1, 2**64, [], {}]
NO_WEIGHTS: list[Any] = [5, [], {}, True, "", "no JSON", "[]", '{"voice": -1}', '{"voice": NaN}']
STRANGE_RETURNS: list[dict[str, Any]] = [
    *({name: "\ud800"} for name in ("mark", "who", "lasts", "back")),
    *({name: wrong} for name in ("mark", "who", "lasts") for wrong in NO_TEXTS),
    *({"due_ms": wrong} for wrong in NO_TIMES),
    *({"back": wrong} for wrong in NO_WEIGHTS),
]


def test_what_a_return_is_made_strange_from_is_one() -> None:
    assert read_return(json.dumps(GOOD).encode()) == Return(5, "", None, "ann", "1h")


@pytest.mark.parametrize("name", ["who", "reason"])
def test_a_name_that_is_no_utf8_is_escaped(name: str) -> None:
    """The operating system hands on such bytes as halves of surrogate pairs."""
    step = step_of(
        standing(VOICE),
        WantedChange(MUSIC, lasts_ms=HOUR_MS, lasts="1h", **{"who": "a", "reason": "b", name: "\udcff"}),
    )
    assert step.record[name] == r"\udcff"
    assert read_return(step.return_text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"due_ms": "soon", "mark": "", "back": None, "who": "", "lasts": ""}).encode(),
        b'{"due_ms": Infinity, "mark": "", "back": null, "who": "", "lasts": ""}',
        *(json.dumps(GOOD | wrong).encode() for wrong in STRANGE_RETURNS),
        json.dumps(GOOD).encode() + b"\xff",
        json.dumps(GOOD).replace("5", "9" * 5000).encode(),
    ],
)
def test_what_is_no_return_is_none(text: bytes) -> None:
    assert read_return(text) is None


def test_a_return_is_read_as_it_was_written() -> None:
    written = Return(5, "mark", '{"voice": 1}', "änn", "1.5h")
    assert read_return(written.text.encode()) == written
