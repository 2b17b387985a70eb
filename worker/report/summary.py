"""What a report says beside its picture: figures for people, and the same as a document."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from worker.core.wording import plural
from worker.report.fit import Fit
from worker.report.records import LeftOut, Reading
from worker.report.timeline import History
from worker.report.weight_steps import Turn


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a table for people."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Hold what a report says.

    Attributes:
        document: All of it, as JSON has it.
        sentences: For people, before the tables.
        tables: For people.
    """

    document: dict[str, Any]
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]


def sum_up_history(history: History, reading: Reading) -> Summary:
    """Sum up a log."""
    events = count_events(history)
    document = {
        **_lines_document(reading),
        "from": iso_time(history.bins.start),
        "to": iso_time(float(history.bins.edges[-1])),
        "workers": list(history.workers),
        "requests": round(history.totals.requests),
        "errors": round(history.totals.errors),
        "chunks": round(history.totals.chunks),
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
            for mix in history.mixes
            for fit, share, expected_share in shares(mix.fits)
        ],
        "missing": _left_out_document(reading),
        "weights_changes": [_change_document(turn) for turn in history.changes],
        "events": events,
    }
    tables = [Table(title_of(mix.dataset), *_distribution(mix.fits)) for mix in history.mixes]
    if events:
        tables.append(Table("events", ("event", "count"), tuple(events.items())))
    said = (*_lines_sentences(reading), describe_span(history), describe_totals(history), *describe_left_out(reading))
    return Summary(document, said, (*tables,))


def describe_span(history: History) -> str:
    """Tell when it was, and who worked."""
    start, end = (datetime.fromtimestamp(at, UTC) for at in (history.bins.start, float(history.bins.edges[-1])))
    shown = f"{end:%T}" if start.date() == end.date() else f"{end:%F %T}"
    return f"{start:%F %T} to {shown} UTC, {plural(len(history.workers), 'worker')}"


def describe_totals(history: History) -> str:
    """Tell what was served, and how far from its weights the worst category is."""
    totals = history.totals
    said = [
        plural(round(totals.requests), "request"),
        f"{round(totals.errors):,} of them errors",
        plural(round(totals.chunks), "chunk"),
        plural(len(history.changes), "weights change"),
    ]
    fits = [(abs(fit.z), fit) for mix in history.mixes for fit in mix.fits if fit.z is not None]
    if fits:
        z, worst = max(fits, key=lambda pair: pair[0])
        place = f" of dataset {worst.dataset}" if worst.dataset else ""
        said.append(f"biggest |z| {z:.2f} ({worst.category}{place})")
    return ", ".join(said)


def describe_left_out(reading: Reading) -> list[str]:
    """Tell which weighted categories had no READY chunk at the end."""
    return [
        f"{title_of(dataset)}: {found.categories} had no READY chunk at the end, {found.share:.1%} of the weights"
        for dataset, found in _left_out(reading)
    ]


def _distribution(fits: Sequence[Fit]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Lay out what was drawn of each category beside what was expected."""
    rows = (
        (fit.category, round(fit.count), share, expected, "-" if fit.z is None else round(fit.z, 2))
        for fit, share, expected in shares(fits)
    )
    return ("category", fits[0].unit, "share", "expected", "z"), tuple(rows)


def _left_out_document(reading: Reading) -> list[dict[str, Any]]:
    return [{"dataset": dataset or None, **asdict(found)} for dataset, found in _left_out(reading)]


def _left_out(reading: Reading) -> list[tuple[str, LeftOut]]:
    """List what workers said was left out, each once, however many said so."""
    said = {(dataset, found): None for (_, dataset), found in reading.left_outs.items()}
    return sorted(said, key=lambda one: one[0])


def shares(fits: Sequence[Fit]) -> list[tuple[Fit, float, float]]:
    """Put beside each category its share of what was drawn, and of what was expected."""
    total = sum(fit.count for fit in fits) or 1.0
    return [(fit, fit.count / total, fit.expected / total) for fit in fits]


def count_events(history: History) -> dict[str, int]:
    """Count what happened, by the name of the event."""
    counts: Counter[str] = Counter()
    for mark in history.marks:
        counts[mark.event] += round(mark.count)
    return dict(sorted(counts.items()))


def title_of(dataset: str) -> str:
    """Name a dataset's mix."""
    return f"dataset {dataset}" if dataset else "global weights"


def iso_time(at: float) -> str:
    """Write Unix seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change_document(turn: Turn) -> dict[str, Any]:
    change = turn.change
    return {"at": iso_time(change.at), "dataset": change.dataset or None, "version": change.version}


def _lines_document(reading: Reading) -> dict[str, Any]:
    return {
        "lines": reading.lines,
        "lines_used": reading.used,
        "lines_left_out": reading.left_out,
        "lines_repeated": reading.repeated,
        "checks_left_out": len(reading.checks),
    }


def _lines_sentences(reading: Reading) -> list[str]:
    """Tell how many lines were used, and why others were not."""
    said = [f"{plural(reading.lines, 'line')}, {reading.used:,} used"]
    if reading.left_out:
        said.append(f"{reading.left_out:,} left out: not log lines")
    if reading.console:
        said.append(f"{reading.console:,} of these are written for people: LOG_FORMAT=json makes them usable")
    if reading.repeated:
        said.append(f"{reading.repeated:,} left out: they stood there before")
    if reading.checks:
        said.append(f"{plural(len(reading.checks), 'dataset')} of `check` left out: --all shows them")
    return ["; ".join(said)]
