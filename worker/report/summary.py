"""What a report says beside its picture: figures for people, and the same as a JSON document."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from worker.core.wording import plural
from worker.report.changes import WeightsChange
from worker.report.changes_list import ChangeText, describe_changes
from worker.report.fit import Fit
from worker.report.missing import missing_at_end
from worker.report.records import MissingCategories, Records
from worker.report.timeline import Timeline
from worker.report.workers import Run, WorkerLog, clock_offsets

GLOBAL = "global"
"""What stands for a dataset's name where the global weights are meant."""

_CHANGE_COLUMNS = ("number", "time", "dataset", "weights", "who and why", "applied by")
_WORKER_COLUMNS = ("worker", "requests", "errors", "chunks", "highest p99 ms", "starts", "at the end")


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says.

    Attributes:
        document: All figures, for JSON.
        sentences: The summary for people.
        tables: Tables for people, below the sentences.
    """

    document: dict[str, Any]
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]


def sum_up(timeline: Timeline, records: Records) -> Summary:
    """Sum up a log."""
    events, missing = count_events(timeline), missing_at_end(records, timeline.workers)
    document = {
        **_lines_document(records),
        "from": iso_time(timeline.bins.start),
        "to": iso_time(float(timeline.bins.edges[-1])),
        "workers": [worker.worker for worker in timeline.workers],
        "requests": round(timeline.totals.requests),
        "errors": round(timeline.totals.errors),
        "chunks": round(timeline.totals.chunks),
        "categories": [
            {
                "dataset": fit.dataset or None,
                "category": fit.category,
                fit.unit: round(fit.count),
                "share": share,
                "expected": round(fit.expected, 3),
                "expected_share": expected_share,
                "z": None if fit.z is None else round(fit.z, 3),
            }
            for mix in timeline.mixes
            for fit, share, expected_share in shares(mix.fits)
        ],
        "runs": [_run_document(worker, run) for worker in timeline.workers for run in worker.runs],
        "missing": [{"dataset": dataset or None, **asdict(found)} for dataset, found in missing],
        "weights_changes": [_change_document(change) for change in timeline.changes],
        "events": events,
    }
    said = [*_lines_sentences(records), describe_span(timeline), describe_totals(timeline)]
    said += [*describe_missing(missing), *_clock_sentences(timeline)]
    return Summary(document, (*said,), (*_tables(timeline, events),))


def _tables(timeline: Timeline, events: Mapping[str, int]) -> Iterator[Table]:
    for mix in timeline.mixes:
        yield Table(title_of(mix.dataset), *_distribution(mix.fits))
    if timeline.changes:
        yield Table("changes of weights", _CHANGE_COLUMNS, (*map(_change_row, _described(timeline)),))
    if timeline.workers:
        yield Table("workers", _WORKER_COLUMNS, (*map(_worker_row, timeline.workers),))
    if events:
        yield Table("events", ("event", "count"), (*events.items(),))


def describe_span(timeline: Timeline) -> str:
    """Describe the time span and the number of workers."""
    start, end = (datetime.fromtimestamp(at, UTC) for at in (timeline.bins.start, float(timeline.bins.edges[-1])))
    shown = f"{end:%T}" if start.date() == end.date() else f"{end:%F %T}"
    return f"{start:%F %T} to {shown} UTC, {plural(len(timeline.workers), 'worker')}"


def describe_totals(timeline: Timeline) -> str:
    """Describe what was served, and how far the worst category is from its weight."""
    totals = timeline.totals
    said = [
        plural(round(totals.requests), "request"),
        f"{round(totals.errors):,} of them errors",
        plural(round(totals.chunks), "chunk"),
        plural(len(timeline.changes), "weights change"),
    ]
    fits = [(abs(fit.z), fit) for mix in timeline.mixes for fit in mix.fits if fit.z is not None]
    if fits:
        z, worst = max(fits, key=lambda pair: pair[0])
        place = f" of dataset {worst.dataset}" if worst.dataset else ""
        said.append(f"biggest |z| {z:.2f} ({worst.category}{place})")
    return ", ".join(said)


def describe_missing(missing: Sequence[tuple[str, MissingCategories]]) -> list[str]:
    """Describe the weighted categories that had no READY chunk at the end."""
    return [
        f"{title_of(dataset)}: {found.categories} had no READY chunk at the end, {found.share:.1%} of the weights"
        for dataset, found in missing
    ]


def _clock_sentences(timeline: Timeline) -> list[str]:
    """Describe workers whose clock differs from that of the others."""
    return [
        f"{worker} logs each change {abs(late_s):,.1f} s {'after' if late_s > 0 else 'before'} the others: "
        "the clocks of their machines differ, so its lines are drawn at other times than theirs"
        for worker, late_s in clock_offsets(timeline.changes).items()
    ]


def _distribution(fits: Sequence[Fit]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Lay out what was drawn of each category beside what was expected."""
    rows = (
        (fit.category, round(fit.count), share, expected, "-" if fit.z is None else round(fit.z, 2))
        for fit, share, expected in shares(fits)
    )
    return ("category", fits[0].unit, "share", "expected", "z"), tuple(rows)


def shares(fits: Sequence[Fit]) -> list[tuple[Fit, float, float]]:
    """Return each category with its share of the draws and its expected share."""
    total = sum(fit.count for fit in fits) or 1.0
    return [(fit, fit.count / total, fit.expected / total) for fit in fits]


def count_events(timeline: Timeline) -> dict[str, int]:
    """Count occurrences by the name of the event."""
    counts: Counter[str] = Counter()
    for occurrence in timeline.occurrences:
        counts[occurrence.event] += round(occurrence.count)
    return dict(sorted(counts.items()))


def title_of(dataset: str) -> str:
    """Name a dataset's mix."""
    return f"dataset {dataset}" if dataset else "global weights"


def iso_time(at: float) -> str:
    """Write Unix seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change_document(change: WeightsChange) -> dict[str, Any]:
    new = change.new
    return {
        "at": iso_time(new.at),
        "dataset": new.dataset or None,
        "version": new.version,
        "before": new.before,
        "after": new.after,
        **{name: getattr(change, name) or None for name in ("who", "reason", "entry")},
        "applied": {worker: iso_time(at) for worker, at in sorted(change.applied.items())},
        "spread_ms": None if change.spread_ms is None else round(change.spread_ms, 3),
    }


def _run_document(worker: WorkerLog, run: Run) -> dict[str, Any]:
    return {"worker": worker.worker, "from": iso_time(run.start), "to": iso_time(run.end), "ending": run.ending}


def _described(timeline: Timeline) -> list[ChangeText]:
    return describe_changes(timeline.changes, timeline.workers)


def _change_row(change: ChangeText) -> tuple[Any, ...]:
    return change.number, iso_time(change.at), change.dataset or GLOBAL, change.moves, change.who, change.applied


def _worker_row(worker: WorkerLog) -> tuple[Any, ...]:
    served = (round(worker.requests), round(worker.errors), round(worker.chunks))
    return (
        worker.worker,
        *served,
        "-" if worker.p99_ms is None else worker.p99_ms,
        len(worker.runs),
        worker.runs[-1].ending,
    )


def _lines_document(records: Records) -> dict[str, Any]:
    return {
        "lines": records.lines,
        "lines_used": records.used,
        "lines_left_out": records.unused,
        "lines_repeated": records.repeated,
        "records_older": records.older,
        "checks_left_out": len(records.checks),
    }


def _lines_sentences(records: Records) -> list[str]:
    """Describe how many lines were used, and why others were not."""
    said = [f"{plural(records.lines, 'line')}, {records.used:,} used"]
    if records.unused:
        said.append(f"{records.unused:,} left out: not log lines")
    if records.console:
        said.append(f"{records.console:,} of these are in the format for people: LOG_FORMAT=json makes them usable")
    if records.repeated:
        said.append(f"{records.repeated:,} left out: they came before")
    if records.older:
        said.append(f"{records.older:,} older than the end that is drawn")
    if records.checks:
        said.append(f"{plural(len(records.checks), 'dataset')} of `check` left out: --all shows them")
    return ["; ".join(said)]
