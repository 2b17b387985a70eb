"""Logs of several workers as one: changes that each of them logged, their runs, clocks and gaps."""

import json
from pathlib import Path

import pytest

from tests.report.test_report import document_of, texts, write
from tests.report.test_report_parts import (
    T0,
    A,
    B,
    category_stats,
    read,
    timeline_of,
    weights_changed,
    worker_ready,
    worker_started,
    worker_stats,
    worker_stopped,
    written,
)
from worker.core.events import MixLeftOut, WeightsChanged, WorkerFailed
from worker.report.changes import WeightsChange, find_changes
from worker.report.changes_list import describe_changes
from worker.report.missing import missing_at_end
from worker.report.workers import clock_offsets, list_workers

BUILT_IN = {"voice": 0.5, "music": 0.5}


def told(
    at: float, event: WeightsChanged, consumer: str, *, entry: str | None = None, who: str = "ann", reason: str = "why"
) -> bytes:
    """Write a line of a change that names its entry in the history."""
    line = json.loads(written(at, event, consumer))
    return json.dumps({**line, "who": who, "reason": reason, "entry": entry}).encode() + b"\n"


def start(at: float, consumer: str, version: str, weights: dict[str, float]) -> list[bytes]:
    """Write what a worker logs as it starts: its first weights stand there as a change of the built-in ones."""
    return [
        written(at, worker_started(consumer), consumer),
        written(at + 0.1, weights_changed(weights, version=version, before=BUILT_IN), consumer),
        written(at + 0.2, worker_ready(version, consumer), consumer),
    ]


def shown(*lines: bytes) -> list[WeightsChange]:
    return [change for change in find_changes(read(*lines)) if not change.is_first]


def test_a_change_tells_who_made_it_and_how_many_workers_have_it_within_which_time() -> None:
    lines = [
        *start(0, "w-1", "a", A),
        *start(1, "w-2", "a", A),
        *start(2, "w-3", "a", A),
        told(20, weights_changed(B, version="b", before=A), "w-1", entry="20-0", reason="more music"),
        told(20.004, weights_changed(B, version="b", before=A), "w-2", entry="20-0", reason="more music"),
        written(30, worker_stats(), "w-1"),
        written(30, worker_stats(), "w-2"),
        written(30, worker_stats(), "w-3"),
    ]
    (change,) = shown(*lines)
    assert (change.who, change.reason, change.entry) == ("ann", "more music", "20-0")
    assert change.applied == {"w-1": T0 + 20, "w-2": T0 + 20.004}
    assert change.spread_ms == pytest.approx(4, abs=0.01)
    (text,) = describe_changes([change], list_workers(read(*lines), T0 + 30))
    assert (text.moves, text.who) == ("music 30→60 %, voice 70→40 %", "ann: more music")
    assert text.applied == "2 of 3 workers within 4 ms"


def test_a_worker_that_starts_is_not_one_that_applies_late() -> None:
    (change,) = shown(
        *start(0, "w-1", "a", A),
        written(20, weights_changed(B, version="b", before=A), "w-1"),
        *start(50, "w-2", "b", B),
        *start(90, "w-1", "b", B),
    )
    assert change.applied == {"w-1": T0 + 20}


def test_weights_that_were_changed_while_no_worker_ran_are_compared_with_those_of_before() -> None:
    (change,) = shown(*start(0, "w-1", "a", A), written(5, worker_stopped()), *start(50, "w-1", "b", B))
    assert (change.new.before, change.new.after, change.applied) == (A, B, {})


def test_lines_of_one_entry_are_one_change_however_the_clocks_differ() -> None:
    there = weights_changed(B, version="b", before=A)
    back = weights_changed(A, version="a", before=B)
    lines = []
    for late, consumer in ((0, "w-1"), (0.01, "w-2"), (9, "w-3")):
        lines += start(late, consumer, "a", A)
        lines += [told(20 + late, there, consumer, entry="1-0"), told(26 + late, back, consumer, entry="2-0")]
    changes = shown(*lines)
    assert [(change.new.version, len(change.applied)) for change in changes] == [("b", 3), ("a", 3)]
    assert clock_offsets(changes) == {"w-3": pytest.approx(8.99)}


def test_one_late_worker_is_not_a_wrong_clock() -> None:
    changes = shown(
        *start(0, "w-1", "a", A),
        *start(0, "w-2", "a", A),
        written(20, weights_changed(B, version="b", before=A), "w-1"),
        written(60, weights_changed(B, version="b", before=A), "w-2"),
        written(80, weights_changed(A, version="a", before=B), "w-1"),
        written(80, weights_changed(A, version="a", before=B), "w-2"),
    )
    assert [change.spread_ms for change in changes] == [40_000, 0]
    assert clock_offsets(changes) == {}


def test_who_and_why_are_left_out_where_a_line_has_something_else() -> None:
    line = told(20, weights_changed(B, version="b", before=A), "w-1")
    broken = line.replace(b'"ann"', b"7").replace(b'"why"', b"[1]")
    (change,) = shown(*start(0, "w-1", "a", A), broken)
    assert (change.who, change.reason, change.entry) == ("", "", "")


def test_runs_end_by_their_own_words_or_are_found_to_have_ended() -> None:
    lines = [
        *start(0, "killed", "a", A),
        written(10, worker_stats(), "killed"),
        *start(15, "killed", "a", A),
        written(20, worker_stats(), "killed"),
        *start(0, "failed", "a", A),
        written(5, WorkerFailed(error="E", message="m", traceback="t"), "failed"),
        *start(0, "stopped", "a", A),
        written(8, worker_stopped(), "stopped"),
        written(8.1, worker_stats(), "stopped"),
        *start(0, "silent", "a", A),
        written(10, worker_stats(), "silent"),
        *(written(10 * i, worker_stats(), "w-1") for i in range(1, 7)),
        *(written(10 * i, worker_stats(), "killed") for i in range(3, 7)),
    ]
    workers = {worker.worker: worker for worker in timeline_of(*lines).workers}
    runs = {
        name: [(round(run.start - T0, 1), round(run.end - T0, 1), run.ending) for run in worker.runs]
        for name, worker in workers.items()
    }
    assert runs == {
        "killed": [(0, 10, "lost"), (15, 60, "running")],
        "failed": [(0, 5, "failed")],
        "stopped": [(0, 8, "stopped")],
        "silent": [(0, 10, "silent")],
        "w-1": [(0, 60, "running")],
    }
    assert (workers["w-1"].requests, workers["w-1"].p99_ms, workers["failed"].p99_ms) == (60, 9.0, None)


def test_what_an_earlier_run_or_an_ended_worker_left_out_is_not_missing_at_the_end() -> None:
    def left_out(categories: str) -> MixLeftOut:
        return MixLeftOut(dataset=None, categories=categories, share=0.3, weights_version="a", catalog_version="c")

    lines = [
        *start(0, "w-1", "a", A),
        written(1, left_out("jazz"), "w-1"),
        *start(20, "w-1", "a", A),
        *start(0, "w-2", "a", A),
        written(1, left_out("rock"), "w-2"),
        written(5, worker_stopped(), "w-2"),
    ]
    assert missing_at_end(read(*lines), timeline_of(*lines).workers) == []
    ended = [*lines, written(30, worker_stopped(), "w-1"), written(31, left_out("folk"), "w-3")]
    assert [one.categories for _, one in missing_at_end(read(*ended), timeline_of(*ended).workers)] == ["folk"]


def test_a_mixed_stream_of_many_workers_is_drawn_as_their_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"w-{i:02}" for i in range(12)]
    logs = {
        name: [
            *start(i / 10, name, "a", A),
            written(20, worker_stats(100 + i, 1000), name),
            written(20, category_stats("voice", 700, 700.0, 0.1, weight=0.7, version="a"), name),
            told(24 + i / 1000, weights_changed(B, version="b", before=A), name, entry="9-0", who="<b>ann</b>"),
            written(40, worker_stats(50, 500, p50=1.0, p99=40.0 + i), name),
        ]
        for i, name in enumerate(names)
    }
    files = [write(f"{name}.log", lines) for name, lines in logs.items()]
    apart = document_of(capsys, *files, "--output", "apart.svg")
    mixed = [line for lines in zip(*logs.values(), strict=True) for line in lines]
    merged = document_of(capsys, write("all.log", mixed), "--output", "merged.svg")
    for document in (apart, merged):
        assert document["requests"] == sum(150 + i for i in range(12))
        (change,) = document["weights_changes"]
        assert (change["who"], change["entry"], len(change["applied"]), change["spread_ms"]) == (
            "<b>ann</b>",
            "9-0",
            12,
            pytest.approx(11, abs=0.01),
        )
        assert [run["worker"] for run in document["runs"]] == names
    assert Path("apart.svg").read_bytes() == Path("merged.svg").read_bytes()
    drawn = texts("merged.svg")
    assert "12 of 12 workers within 11 ms" in drawn
    assert "<b>ann</b>: why" in drawn
    assert "not drawn: 2 more workers" in drawn
