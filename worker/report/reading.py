"""Read log lines, whatever other programs have written around them."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import Any

from worker.core.events import (
    CatalogChanged,
    CategoryStats,
    HealthWriteFailed,
    MixComplete,
    MixLeftOut,
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    RequestClaimed,
    RequestDeadLettered,
    RequestFailed,
    RequestRejected,
    StatsWriteFailed,
    WeightsChanged,
    WeightsRejected,
    WeightsVanished,
    WorkerFailed,
    WorkerReady,
    WorkerStarted,
    WorkerStats,
    WorkerStopped,
)
from worker.core.keys import CHECK
from worker.report.files import plain
from worker.report.records import LARGEST, Draws, Fields, Interval, MissingCategories, NewWeights, Occurrence, Records
from worker.report.unwrap import Found, Unwrapper

_LATEST = 7.3e9
"""Unix time in s; no log is from beyond the year 2200."""

_CONSOLE = re.compile(r"\[(?:debug|info|warning|error)\s*\] [a-z_]+\.[a-z_]+ ")


def read_lines(sources: Iterable[tuple[str, Iterable[bytes | str]]], *, with_checks: bool = True) -> Records:
    """Read lines, whatever other programs have written around them (see `worker.report.unwrap`).

    Args:
        sources: Names and lines. A name stands for the worker if its lines do not name it.
        with_checks: Whether the draws of `check` count too.
    """
    reader = _Reader(with_checks=with_checks)
    for name, lines in sources:
        unwrapper = Unwrapper()
        for line in lines:
            text = plain(line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
            if text:
                reader.add_line(name, text, unwrapper.find(text))
    return reader.records


class _Reader:
    """Turn lines into records, and remember what later lines need from earlier ones."""

    def __init__(self, *, with_checks: bool) -> None:
        self.records = Records()
        self._with_checks = with_checks
        self._seen: set[int] = set()
        self._lengths: dict[str, float] = {}
        self._kinds: dict[str, Callable[[float, str, Fields], None]] = {
            WorkerStats.event: self._add_interval,
            CategoryStats.event: self._add_draws,
            WeightsChanged.event: self._add_change,
            MixLeftOut.event: self._add_missing,
            MixComplete.event: self._end_missing,
            **{name: self._counted(name, count) for name, count in _COUNTS.items()},
        }

    def add_line(self, source: str, text: str, found: Sequence[Found]) -> None:
        """Add one line, with the objects that are complete at its end."""
        self.records.lines += 1
        self.records.unused += 1
        self.records.console += bool(not found and _CONSOLE.search(text))
        outcomes = {self._add_entry(source, entry): lines for entry, lines in found}
        if True in outcomes:
            self.records.unused -= outcomes[True]
        elif False in outcomes:
            self.records.unused -= outcomes[False]
            self.records.repeated += outcomes[False]

    def _add_entry(self, source: str, entry: Fields) -> bool | None:
        """Add one object; return whether it is new, or None if it cannot be used."""
        try:
            known = hash(json.dumps(entry, sort_keys=True))
            if known in self._seen:
                return False
            self._add(source, entry)
        except (LookupError, OverflowError, RecursionError, TypeError, ValueError):
            return None
        self._seen.add(known)
        return True

    def _add(self, source: str, entry: Any) -> None:
        at = datetime.fromisoformat(entry["timestamp"])
        seconds = _number((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), most=_LATEST)
        add = self._kinds.get(entry["event"])
        dataset = str(entry.get("dataset") or "")
        if dataset.startswith(CHECK) and not self._with_checks:
            self.records.checks.add(dataset)
        elif add:
            add(seconds, intern(str(entry.get("consumer") or source)), entry)

    def _add_interval(self, at: float, worker: str, fields: Fields) -> None:
        length_s = _number(fields["interval_s"])
        counts = [_number(fields[name]) for name in ("requests", "chunks", "errors")]
        latencies = [_number_or_none(fields[name]) for name in ("latency_p50_ms", "latency_p99_ms")]
        self._lengths[worker] = length_s
        self.records.intervals.append(Interval(at, length_s, worker, *counts, *latencies))

    def _add_draws(self, at: float, worker: str, fields: Fields) -> None:
        audio_s = _number_or_none(fields.get("audio_s"))
        self.records.draws.append(
            Draws(
                at,
                self._lengths.get(worker, 0.0),  # a worker logs worker.stats, with the length, first
                intern(str(fields["dataset"] or "")),
                intern(str(fields["category"])),
                _number(fields["count"]) if audio_s is None else audio_s,
                _number(fields["share"]),
                _number(fields["expected"]),
                _number_or_none(fields["z"], least=-LARGEST),
                _number(fields["weight"]),
                intern(str(fields["weights_version"])),
                "count" if audio_s is None else "seconds",
            )
        )

    def _add_change(self, at: float, worker: str, fields: Fields) -> None:
        before, after = (_weights(fields[name]) for name in ("before", "after"))
        dataset, version = str(fields["dataset"] or ""), str(fields["version"])
        self.records.new_weights.append(NewWeights(at, worker, dataset, version, before, after))

    def _end_missing(self, _at: float, worker: str, fields: Fields) -> None:
        self.records.missing.pop((worker, str(fields["dataset"] or "")), None)

    def _add_missing(self, at: float, worker: str, fields: Fields) -> None:
        self.records.occurrences.append(Occurrence(at, worker, MixLeftOut.event, 1.0))
        found = MissingCategories(str(fields["categories"]), _number(fields["share"], most=1.0))
        self.records.missing[worker, str(fields["dataset"] or "")] = found

    def _counted(self, event: str, count: Callable[[Fields], Any]) -> Callable[[float, str, Fields], None]:
        def add(at: float, worker: str, fields: Fields) -> None:
            down_s = _number(fields.get("down_s", 0))
            version = str(fields["weights_version"]) if event == WorkerReady.event else ""
            self.records.occurrences.append(Occurrence(at, worker, event, _number(count(fields)), down_s, version))

        return add


def _one(_fields: Fields) -> int:
    return 1


def _with_suppressed(fields: Fields) -> Any:
    return 1 + fields["suppressed"]


_COUNTS: Mapping[str, Callable[[Fields], Any]] = {
    WorkerStarted.event: _one,
    WorkerReady.event: _one,
    WorkerStopped.event: _one,
    WorkerFailed.event: _one,
    HealthWriteFailed.event: _with_suppressed,
    RedisLost.event: _one,
    RedisRestored.event: _one,
    PostgresLost.event: _one,
    PostgresRestored.event: _one,
    CatalogChanged.event: _one,
    WeightsRejected.event: _one,
    WeightsVanished.event: _one,
    RequestRejected.event: _with_suppressed,
    RequestClaimed.event: lambda fields: fields["count"],
    RequestFailed.event: lambda fields: fields["requests"] + fields["suppressed"],
    RequestDeadLettered.event: _with_suppressed,
    StatsWriteFailed.event: lambda fields: fields["requests"],
}
"""Notable events, and for how many occurrences one line stands."""


def _number(value: Any, *, least: float = 0.0, most: float = LARGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(value)
    return float(value)


def _number_or_none(value: Any, *, least: float = 0.0) -> float | None:
    return None if value is None else _number(value, least=least)


def _weights(text: str | None) -> dict[str, float] | None:
    """Read the weights of a log line; None for a long text, which was logged without its middle and is not JSON."""
    try:
        return {str(name): _number(weight) for name, weight in json.loads(text or "null").items()}
    except (AttributeError, ValueError):
        return None
