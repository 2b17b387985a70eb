"""A change is planned from what Redis holds: what it replaces, what it gives way to, and its entry in the history."""

from typing import Any

import pytest

from worker.core.weights.changes import StoredWeights, WantedChange, plan_change, plan_return, version_by_key
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.core.weights.temporary import Return, read_return
from worker.core.weights.values import default_weights, parse_weights
from worker.errors import WeightsError

VOICE, MUSIC, ZERO = '{"voice": 1}', '{"music": 1}', '{"voice": 0}'
NOW_MS = 1_000_000
HOUR_MS = 3_600_000


def stored(value: str | None, name: str | None = None, *, pending: Return | None = None, **more: Any) -> StoredWeights:
    own = None if value is None else value.encode()
    text = pending.text.encode() if pending else b""
    found: dict[str, Any] = {"mark": mark_of(own), "shared_mark": ABSENT, "shared_value": None, **more}
    return StoredWeights(name=name, now_ms=NOW_MS, value=own, return_text=text, **found)


def version(text: str) -> str:
    weights = parse_weights(text.encode(), "redis")
    assert weights is not None
    return weights.version


def lasting(value: str, mark_text: str, due_ms: int, back: str | None) -> StoredWeights:
    pending = Return(due_ms, mark_of(mark_text.encode()).decode(), back, "ann", "1h")
    return stored(value, pending=pending)


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
    found = stored(VOICE, "d")
    planned = plan_change(found, WantedChange(MUSIC, "ann", "a test"))
    assert (planned.found, planned.verb, planned.value, planned.return_text) == (found, "SET", MUSIC.encode(), "")
    assert planned.record == {
        "before": VOICE.encode(),
        "after": MUSIC.encode(),
        "dataset": "d",
        "who": "ann",
        "reason": "a test",
        "version_before": version(VOICE),
        "version_after": version(MUSIC),
    }


def test_a_removal_leaves_nothing() -> None:
    planned = plan_change(stored(VOICE), WantedChange(None, "ann", "", undone_from="5-0"))
    assert (planned.verb, planned.value) == ("DEL", b"")
    assert (planned.record["after"], planned.record["version_after"]) == (b"", default_weights().version)
    assert planned.record["undone_from"] == "5-0"


def test_what_is_in_force_is_what_a_worker_sees_that_starts_now() -> None:
    shared: dict[str, Any] = {"shared_mark": mark_of(VOICE.encode()), "shared_value": VOICE.encode()}
    assert stored(MUSIC, "d", **shared).in_force.weights.shares == {"music": 1.0}
    assert stored(None, "d", **shared).in_force.weights.shares == {"voice": 1.0}
    assert stored(VOICE, None, **shared).in_force.weights.source == "redis"
    assert stored(None).in_force.weights.source == "default"


def test_a_value_that_is_refused_is_a_problem() -> None:
    assert stored(VOICE).problem is stored(None, "d").problem is None
    assert "not JSON" in str(stored("no JSON").problem)


@pytest.mark.parametrize("before", [VOICE, None])
def test_temporary_weights_give_way_to_what_stood_before(before: str | None) -> None:
    planned = plan_change(stored(before), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))
    due = read_return(planned.return_text.encode())
    assert due == Return(NOW_MS + HOUR_MS, mark_of(MUSIC.encode()).decode(), before, "ann", "1h")
    assert planned.record["until"] == str(NOW_MS + HOUR_MS)


@pytest.mark.parametrize("name", [None, "d"])
def test_temporary_weights_do_not_give_way_to_what_positions_the_weights_of_a_rule(name: str | None) -> None:
    planned = plan_change(stored(f" {VOICE}", name), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))
    due = read_return(planned.return_text.encode())
    assert due is not None
    assert due.back == VOICE


def test_temporary_weights_upon_temporary_ones_give_way_to_what_stood_before_the_first() -> None:
    planned = plan_change(lasting(MUSIC, MUSIC, NOW_MS + 5, VOICE), WantedChange(ZERO, "bob", "", HOUR_MS, "1h"))
    due = read_return(planned.return_text.encode())
    assert due is not None
    assert (due.back, due.due_ms, due.who) == (VOICE, NOW_MS + HOUR_MS, "bob")
    assert "lapsed" not in planned.record


def test_temporary_weights_upon_somebody_elses_give_way_to_those() -> None:
    planned = plan_change(lasting(VOICE, MUSIC, NOW_MS + 5, None), WantedChange(ZERO, "bob", "", HOUR_MS, "1h"))
    due = read_return(planned.return_text.encode())
    assert due is not None
    assert due.back == VOICE


def test_weights_for_good_end_the_return_and_say_so() -> None:
    planned = plan_change(lasting(MUSIC, MUSIC, NOW_MS + 5, VOICE), WantedChange(MUSIC, "bob", ""))
    assert (planned.return_text, planned.record["lapsed"]) == ("", str(NOW_MS + 5))


@pytest.mark.parametrize("value", ["[]", "no JSON", '{"voice": -1}'])
def test_nothing_is_to_return_to_a_value_that_is_refused(value: str) -> None:
    with pytest.raises(WeightsError, match=r"refused, so that nothing could return to it: .*accepted"):
        plan_change(stored(value), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))


def test_nothing_is_to_return_to_a_key_of_another_type() -> None:
    with pytest.raises(WeightsError, match="does not hold a string"):
        plan_change(stored(None, mark=WRONG_TYPE), WantedChange(MUSIC, "ann", "", HOUR_MS, "1h"))


def test_a_return_that_is_due_is_a_change_like_any_other() -> None:
    planned = plan_return(lasting(MUSIC, MUSIC, NOW_MS, VOICE))
    assert planned is not None
    assert (planned.verb, planned.value, planned.return_text) == ("SET", VOICE.encode(), "")
    assert planned.record == {
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
    planned = plan_return(lasting(MUSIC, MUSIC, NOW_MS - 1, None))
    assert planned is not None
    assert (planned.verb, planned.record["after"]) == ("DEL", b"")


def test_a_return_never_overwrites_what_somebody_else_has_set() -> None:
    planned = plan_return(lasting(VOICE, MUSIC, NOW_MS, ZERO))
    assert planned is not None
    assert (planned.verb, planned.return_text) == ("KEEP", "")
    assert planned.record["before"] == planned.record["after"] == VOICE.encode()
    assert "somebody else had changed the weights" in str(planned.record["reason"])


def test_before_its_time_and_without_one_nothing_returns() -> None:
    assert plan_return(lasting(MUSIC, MUSIC, NOW_MS + 1, VOICE)) is None
    assert plan_return(stored(MUSIC)) is None


@pytest.mark.parametrize("name", ["who", "reason"])
def test_a_name_that_is_no_utf8_is_escaped(name: str) -> None:
    """The operating system hands over such bytes as lone surrogates."""
    planned = plan_change(
        stored(VOICE),
        WantedChange(MUSIC, lasts_ms=HOUR_MS, lasts="1h", **{"who": "a", "reason": "b", name: "\udcff"}),
    )
    assert planned.record[name] == r"\udcff"
    assert read_return(planned.return_text.encode()) is not None
