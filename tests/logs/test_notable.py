"""The last notable events: short, without passwords, and none of them pushes out all others."""

from collections import Counter
from pathlib import Path

from worker.core.events import RequestServed, WeightsChanged, WorkerFailed
from worker.core.workers.state_document import LONGEST_NOTE, MOST_NOTES
from worker.logs.emit import configure, emit, notable_events, shutdown
from worker.logs.notable import Notes

_LINE = {
    "dataset": None,
    "version": "v",
    "reason": "why \x1b[31m",
    "suppressed": 0,
    "traceback": "long",
    "consumer": "w",
    "before": "{}",
    "after": "{}",
    "entry": "1-1",
}


def test_an_event_is_kept_in_short() -> None:
    notes = Notes()
    notes.add("warning", "weights.rejected", _LINE)
    notes.add("info", "mix.repeats", {"repeats": 0.147751606, "limit": 8.0, "expected": 123456.7, "drawn": 621})
    long = {"names": "x" * 500, "more": "y" * 500, "z": "z" * 99}
    notes.add("info", "catalog.loaded", {"message": "", "chunks": 3, **long})
    first, numbers, second = notes.documents()
    assert numbers["text"] == "repeats=0.1478 limit=8.0 expected=123457 drawn=621"
    assert first.pop("at_ms") > 0
    assert first == {"level": "warning", "event": "weights.rejected", "text": "why \\x1b[31m; version=v"}
    assert second["text"].startswith("chunks=3 names=xxx")
    assert len(second["text"]) == LONGEST_NOTE


def test_an_event_that_comes_often_pushes_out_its_own_kind() -> None:
    notes = Notes()
    notes.add("error", "worker.failed", {})
    for number in range(1000):
        notes.add("info", "catalog.changed", {"added": number})
    notes.add("error", "loop.failed", {})
    kept = notes.documents()
    assert Counter(note["event"] for note in kept) == {"worker.failed": 1, "catalog.changed": 14, "loop.failed": 1}
    assert (len(kept), kept[-2]["text"]) == (MOST_NOTES, "added=999")


def test_what_is_notable_is_kept_below_the_level_that_is_logged(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as file:
        configure("error", "json", context={}, fd=file.fileno())
        emit(WeightsChanged(dataset="d", version="v", source="dataset", before=None, after="{}"))
        emit(WorkerFailed(error="E", message="a://b:secret@c", traceback="t"))
        emit(
            RequestServed(
                request_id="r",
                entry_id="1-1",
                size=1,
                status="ok",
                dataset=None,
                weights_version="v",
                latency_ms=1,
                sampled_1_in=1,
            )
        )
        shutdown(5)
    changed, failed = notable_events()[-2:]
    assert changed["text"] == "dataset=d version=v source=dataset"
    assert failed["text"] == "a://b:***@c; error=E"
    assert (tmp_path / "log").read_text().count("\n") == 1
