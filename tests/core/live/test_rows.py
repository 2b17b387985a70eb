"""The categories, workers, events and changes that are shown: those that matter, and not more than have room."""

import json
from typing import Any

import pytest

from worker.core.live.marks import heaviest, mark_of, unrecorded_mark
from worker.core.live.rows import (
    MOST_NAMED,
    MOST_ROWS,
    Strips,
    choose,
    count_categories,
    missing_and_unweighted,
    row_of,
)
from worker.core.live.workers import Wanted, applied_of, recent_events, slowest, took_ms, worker_rows
from worker.core.weights.history import read_change
from worker.core.workers.ready import Ready
from worker.core.workers.state_document import read_state


def test_weighted_categories_come_first_then_muted_then_the_largest() -> None:
    strips = Strips({"a": 0.2, "b": 0.8}, {"a": 1, "b": 4, "muted": 0}, Ready({"b": 5, "x": 9, "y": 3, "z": 7}))
    assert choose(strips) == ["b", "a", "muted", "x", "z", "y"]
    assert choose(strips, 4) == ["b", "a", "muted", "x"]
    assert choose(strips, 1) == ["b"]
    assert (count_categories(strips, 0), count_categories(strips, 50)) == (6, 50)
    assert missing_and_unweighted(strips) == {"empty": ["a"], "unweighted": ["x", "y", "z"]}
    assert row_of("b", strips) == {
        "name": "b",
        "weight": 4,
        "share": 0.8,
        "shadow": None,
        "ready": 5,
        "repeats": None,
        "most_repeats": None,
        "drawn": None,
        "repeats_per_hour": None,
    }


def test_a_row_says_how_often_its_chunks_were_drawn() -> None:
    strips = Strips({"a": 1.0}, {}, Ready({"a": 1, "b": 4}), heard={"a": 3})
    told = [tuple(row_of(name, strips)[part] for part in ("ready", "repeats", "most_repeats")) for name in "abc"]
    assert told == [(1, 3.0, 3.0), (4, 0.0, 0.0), (0, None, None)]


def test_the_shares_of_a_shadow_stand_beside_those_in_force() -> None:
    strips = Strips({"a": 1.0}, {"a": 1.0}, Ready({"a": 5, "b": 5}), shadow={"b": 0.25, "c": 0.75})
    assert [row_of(name, strips)["shadow"] for name in ("a", "b", "c")] == [0.0, 0.25, 0.75]


def test_what_is_not_known_to_be_ready_is_not_called_empty() -> None:
    strips = Strips({"a": 1.0}, {}, Ready({"b": 5}, is_whole=False, problem="cut"))
    assert missing_and_unweighted(strips) == {"empty": [], "unweighted": ["b"]}
    assert (row_of("a", strips)["ready"], row_of("a", strips)["weight"]) == (None, 1.0)
    assert missing_and_unweighted(Strips({"a": 1.0}, {}, Ready(None, is_whole=False)))["empty"] == []


def test_many_categories_are_bounded() -> None:
    names = {f"c{number}": 1 / 500 for number in range(500)}
    strips = Strips(names, {}, Ready({f"d{number}": number for number in range(500)}))
    assert len(choose(strips)) == MOST_ROWS
    assert {len(found) for found in missing_and_unweighted(strips).values()} == {MOST_NAMED}


def _state(consumer: str, **fields: Any) -> dict[str, Any]:
    return read_state(consumer, json.dumps({"consumer": consumer, **fields}).encode())


STATES = (
    _state("a", weights_version="new", weights_at_ms=1500, datasets={"d": "own"}, latency_p99_ms=7.5),
    _state("b", weights_version="old", weights_at_ms=9000, datasets={"d": ""}, latency_p99_ms=3),
    _state("c", weights_version="new", weights_at_ms=1200, source="default", latency_p99_ms=None),
    read_state("d", b"no state"),
)


@pytest.mark.parametrize(
    ("wanted", "shown", "applied"),
    [
        (Wanted(None, "new"), ["new", "old", "new", None], {"workers": 2, "of": 3, "missing": ["b"]}),
        (Wanted("d", "own"), ["own", "old", None, None], {"workers": 1, "of": 2, "missing": ["b"]}),
        (Wanted("d", "old"), ["own", "old", None, None], {"workers": 1, "of": 2, "missing": ["a"]}),
        (
            Wanted(None, "defaults", is_default=True),
            ["new", "old", "new", None],
            {"workers": 1, "of": 3, "missing": ["a", "b"]},
        ),
    ],
)
def test_who_has_applied_some_weights(wanted: Wanted, shown: list[str | None], applied: dict[str, Any]) -> None:
    rows = worker_rows(STATES, wanted)
    assert [row["version"] for row in rows] == shown
    assert applied_of(rows) == applied
    assert "accepted: once its key is deleted" in rows[3]["problem"]
    assert [row["problem"] for row in rows[:3]] == ["", "", ""]


def test_how_long_a_change_took_is_told_where_clocks_tell_it() -> None:
    assert took_ms([STATES[0], STATES[2]], 1100) == 400
    assert took_ms(STATES, 9001) is None  # the clocks differ
    assert took_ms([], 1) is None
    assert took_ms([STATES[1]], 100_000 - 200_000) is None
    assert (slowest(STATES, "latency_p99_ms"), slowest(STATES, "latency_p50_ms")) == (7.5, None)


def test_events_of_all_workers_come_newest_first() -> None:
    def events(*at_ms: int) -> list[dict[str, Any]]:
        return [{"at_ms": one, "level": "warning", "event": "redis.lost", "text": "t"} for one in at_ms]

    found = recent_events([_state("a", events=events(5, 9)), _state("b", events=events(7)), read_state("c", b"")])
    assert [(one["worker"], one["at_ms"]) for one in found] == [("a", 9), ("b", 7), ("a", 5)]
    many = [_state(f"w{number:02}", events=events(*range(16))) for number in range(20)]
    assert len(recent_events(many)) == 50


def test_a_mark_says_who_why_and_what_moved() -> None:
    fields = {"dataset": "d", "who": "ann", "reason": "why", "before": '{"a": 1}', "after": '{"a": 1, "b": 3}'}
    mark = mark_of(read_change("1700-3", fields))
    assert (mark["at_ms"], mark["dataset"], mark["who"], mark["reason"], mark["entry"]) == (
        1700,
        "d",
        "ann",
        "why",
        "1700-3",
    )
    assert mark["points"] == {"a": -75.0, "b": 75.0}
    assert (mark["before"], mark["after"]) == ({"a": 1.0}, {"b": 0.75, "a": 0.25})
    other = unrecorded_mark("d", 1700, ("v", {"a": 1.0}), ("w", {"a": 0.25, "b": 0.75}))
    told = {"who", "reason", "entry"}
    assert {name: value for name, value in other.items() if name not in told | {"version_before", "version_after"}} == {
        name: mark[name] for name in other if name not in told | {"version_before", "version_after"}
    }
    assert (other["who"], other["entry"], other["version_after"]) == ("", None, "w")


def test_a_mark_is_bounded() -> None:
    many = {f"c{number:05}": 1.0 + number for number in range(10_000)}
    mark = mark_of(read_change("1-1", {"before": json.dumps(many), "after": json.dumps(dict.fromkeys(many, 1))}))
    assert max(len(mark["points"]), len(mark["before"]), len(mark["after"])) == 64
    assert next(iter(heaviest({"a": 0.1, "b": 0.9}))) == "b"
    assert len(json.dumps(unrecorded_mark(None, 1, ("", {}), ("v", many)))) < 10_000
