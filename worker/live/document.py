"""The view document: what one dataset looks like now, as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.core.keys import CHECK, NAME_PATTERN
from worker.core.live.marks import heaviest
from worker.core.live.rows import Strips, count_categories, missing_and_unweighted, row_of
from worker.core.live.rules import rule_document
from worker.core.live.texts import cut
from worker.core.live.workers import Wanted, applied_of, recent_events, took_ms, worker_rows
from worker.core.weights.in_force import source_of
from worker.core.weights.temporary import Return
from worker.core.weights.values import parse_weights
from worker.core.workers.states import doubts
from worker.live.history import SPAN_S, Setter
from worker.live.reading import Reader, Reading
from worker.live.track import InSight, Track

_MOST_DATASETS: Final = 1_000
_LONGEST_SENTENCE: Final = 1_000
_MIXED: Final = "counts by chunks and by seconds are mixed, so that shares say nothing; accepted: stats --clear"
_LISTS: Final = ("categories", "unweighted", "empty", "workers", "marks", "events", "datasets", "presets", "sessions")


def empty_document(prefix: str, dataset: str | None) -> dict[str, Any]:
    """Return the view before the first look.

    Args:
        prefix: Start of the names in Redis.
        dataset: The dataset; None: the global weights.
    """
    return {
        "at_ms": 0,
        "prefix": prefix,
        "dataset": dataset,
        "unit": "chunks",
        "weights": dict.fromkeys(("version", "stored_version", "source", "problem", "set_by", "until_ms", "then")),
        "rule": None,
        **{name: [] for name in (*_LISTS, "problems")},
        "categories_total": 0,
        "categories_left_out": 0,
        "sessions_left_out": 0,
        "window_s": 0.0,
        "counts_every_s": 1.0,
        "fit": {"p": None, "chunks": 0, "is_enough": False},
        "applied": {"workers": 0, "of": 0, "missing": [], "took_ms": None},
        "rate": {"requests_per_s": None, "chunks_per_s": None, "errors_per_s": None},
        "backlog": {"lag": None, "pending": None, "oldest_ms": None},
    }


def document_of(prefix: str, track: Track, reader: Reader, setter: Setter | None) -> dict[str, Any]:
    """Write a dataset's view after a look.

    Args:
        prefix: Start of the names in Redis.
        track: The dataset; it was looked at.
        reader: What was read.
        setter: Who put its weights in force; None: that is not known.
    """
    reading, seen, strips = reader.reading, track.seen, track.strips
    assert seen is not None  # noqa: S101 - it was looked at
    assert strips is not None  # noqa: S101 - the same
    wanted = Wanted(track.name, seen.version, is_default=seen.stored.weights.source == "default")
    workers = worker_rows(reading.documents, wanted)
    total = count_categories(strips, max((worker.categories for worker in reading.workers), default=0))
    return {
        **empty_document(prefix, track.name),
        "at_ms": reading.at_ms,
        "unit": _unit(reading),
        "weights": _weights(seen, reading, setter),
        "rule": None if track.rule is None else rule_document(track.rule),
        "categories": [row_of(name, strips) for name in track.names],
        "categories_total": total,
        "categories_left_out": total - len(track.names),
        **missing_and_unweighted(strips),
        "window_s": round(track.window.length_s, 3),
        "counts_every_s": round(reading.counts_every_s, 1),
        "fit": track.window.fit._asdict(),
        "workers": workers,
        "applied": _applied(track, workers, reading, setter),
        "rate": reader.rates(),
        "backlog": _backlog(reading),
        "marks": reader.history.marks([track.name, seen.stored.dataset], reading.at_ms - round(1000 * SPAN_S)),
        "events": recent_events(reading.documents),
        "datasets": _datasets(reading, track.name),
        **reader.rarely.document(),
        "problems": _problems(reading, strips),
    }


def _weights(seen: InSight, reading: Reading, setter: Setter | None) -> dict[str, Any]:
    pending = reading.returns.get(seen.stored.dataset)
    if pending is not None and pending.mark.encode() != seen.key.held.mark:
        pending = None  # somebody has changed them since
    return {
        "version": cut(seen.use.version),
        "stored_version": seen.stored.weights.version,
        "source": cut(seen.use.source),
        "problem": seen.problem,
        "set_by": setter,
        "until_ms": None if pending is None else pending.due_ms,
        "then": None if pending is None else _then(pending, seen.stored.dataset),
    }


def _then(pending: Return, name: str | None) -> dict[str, Any]:
    """Write the weights that come after temporary ones."""
    weights = None if pending.back is None else parse_weights(pending.back.encode(), source_of(name))
    if weights is None:
        return {"version": None, "shares": None}
    return {"version": weights.version, "shares": heaviest(weights.shares)}


def _applied(
    track: Track, workers: Sequence[Mapping[str, Any]], reading: Reading, setter: Setter | None
) -> dict[str, Any]:
    """Count who has applied the weights; how long that took is found once, before later changes hide it."""
    applied = applied_of(workers)
    entry = setter["entry"] if setter else ""
    if setter and entry != track.took[0] and applied["of"] and not applied["missing"]:
        names = {row["name"] for row in workers if row["has_applied"]}
        states = [state for state in reading.documents if state["consumer"] in names]
        track.took = (entry, took_ms(states, setter["at_ms"]))
    return {**applied, "took_ms": track.took[1] if entry and entry == track.took[0] else None}


def _backlog(reading: Reading) -> dict[str, int | None]:
    backlog = reading.backlog
    if backlog is None:
        return {"lag": None, "pending": None, "oldest_ms": None}
    oldest_ms = None if backlog.oldest_at_ms is None else max(0, reading.at_ms - backlog.oldest_at_ms)
    return {"lag": backlog.lag, "pending": backlog.pending, "oldest_ms": oldest_ms}


def _unit(reading: Reading) -> str:
    """Return what weights are shares of: as workers say, or else as the counts do."""
    if reading.workers:
        return reading.workers[0].weight_unit
    counted = () if reading.counts is None else reading.counts.categories
    return "seconds" if any(row.seconds is not None for row in counted) else "chunks"


def _datasets(reading: Reading, own: str | None) -> list[str]:
    """Name the datasets that workers were asked for lately, or that chunks were drawn for."""
    names = {name for worker in reading.workers for name in worker.datasets}
    names |= {own or "", *(() if reading.counts is None else reading.counts.requests)}
    return sorted(name for name in names if NAME_PATTERN.fullmatch(name) and not name.startswith(CHECK))[
        :_MOST_DATASETS
    ]


def _problems(reading: Reading, strips: Strips) -> list[str]:
    """Write what could not be read, and what is doubtful, a sentence each."""
    told = [f"{part} could not be read: {why}" for part, why in sorted(reading.problems.items())]
    told += doubts(reading.workers)
    if strips.ready.problem:
        told.append(f"which categories are READY is not known of all: {strips.ready.problem}")
    if reading.counts is not None:
        told += [*reading.counts.problems, *([_MIXED] if reading.counts.is_mixed else [])]
    return [sentence[:_LONGEST_SENTENCE] for sentence in told]
