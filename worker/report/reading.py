"""Read log lines, whatever other programs have written around them."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from sys import intern
from typing import Any

from worker.core.events import (
    EVENTS,
    CatalogChanged,
    CategoryStats,
    Event,
    MixComplete,
    MixFits,
    MixLeftOut,
    PostgresRestored,
    RedisRestored,
    RequestClaimed,
    RequestFailed,
    StatsWriteFailed,
    WeightsChanged,
    WorkerReady,
    WorkerStarted,
    WorkerStats,
    WorkerStopped,
)
from worker.core.keys import CHECK
from worker.report.files import plain
from worker.report.records import (
    LARGEST,
    Draws,
    Fields,
    Interval,
    MissingCategories,
    MixSaid,
    NewWeights,
    Occurrence,
    Records,
)
from worker.report.unwrap import Found, Unwrapper

_LATEST = 7.3e9
"""Unix time in s; no log is from beyond the year 2200."""

_NUMBERS = frozenset((int, float))
_drawn_of = itemgetter("count", "share", "expected", "weight", "z", "dataset", "category", "weights_version")
_CONSOLE = re.compile(r"\[(?:debug|info|warning|error)\s*\] [a-z_]+\.[a-z_]+ ")


def read_lines(
    sources: Iterable[tuple[str, Iterable[bytes | str]]], *, with_checks: bool = True, last_s: float | None = None
) -> Records:
    """Read lines, whatever other programs have written around them (see `worker.report.unwrap`).

    Args:
        sources: Names and lines. A name stands for the worker if its lines do not name it.
        with_checks: Whether the draws of `check` count too.
        last_s: Length of the end that is kept, in s; None: all.
    """
    reader = LogReader(with_checks=with_checks)
    for name, lines in sources:
        reader.add(name, lines, Unwrapper())
    if last_s is not None:
        reader.forget(last_s)
    return reader.records


class LogReader:
    """Turn lines into records, and remember what later lines need from earlier ones.

    Args:
        with_checks: Whether the draws of `check` count too.
    """

    def __init__(self, *, with_checks: bool) -> None:
        self.records = Records()
        self._with_checks = with_checks
        self._seen: dict[int, float] = {}  # of each line, and when it was written
        self._lengths: dict[str, float] = {}
        self._kinds: dict[str, Callable[[float, str, Fields], None]] = {
            **{name: self._counted(name, count) for name, count in _COUNTS.items()},
            WorkerStats.event: self._add_interval,
            CategoryStats.event: self._add_draws,
            WeightsChanged.event: self._add_change,
            MixLeftOut.event: self._add_missing,
            MixComplete.event: self._end_missing,
        }

    def add(self, source: str, lines: Iterable[bytes | str], unwrapper: Unwrapper) -> None:
        """Add lines of one source.

        Args:
            source: Its name, which stands for the worker if a line does not name it.
            lines: Whole lines.
            unwrapper: What finds the worker's objects in this source.
        """
        for line in lines:
            text = plain(line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
            if not text:
                continue
            self.records.lines += 1
            entry = unwrapper.find_whole(text)
            if entry is None:
                self._add_found(source, text, unwrapper.find(text))
            else:
                self._add_only(source, entry)

    def forget(self, last_s: float) -> None:
        """Forget what happened earlier than `last_s` seconds before the newest record."""
        before = self.records.newest() - last_s
        self.records.forget(before)
        self._seen = {line: at for line, at in self._seen.items() if at >= before}

    def _add_only(self, source: str, entry: Fields) -> None:
        """Add the only object of a line."""
        outcome = self._add_entry(source, entry)
        if not outcome:
            self.records.unused += outcome is None
            self.records.repeated += outcome is False

    def _add_found(self, source: str, text: str, found: Sequence[Found]) -> None:
        """Add the objects that are complete at the end of a line."""
        if len(found) == 1 and found[0].lines == 1:
            self._add_only(source, found[0].entry)
            return
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
            known = _fingerprint(entry)
            if known in self._seen:
                return False
            at = self._add(source, entry)
        except (LookupError, OverflowError, RecursionError, TypeError, ValueError):
            return None
        self._seen[known] = at
        return True

    def _add(self, source: str, entry: Any) -> float:
        """Add one object; return when it was written, Unix time in s."""
        at = datetime.fromisoformat(entry["timestamp"])
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if not 0.0 <= seconds <= _LATEST:
            raise ValueError(seconds)
        add, dataset = self._kinds.get(entry["event"]), entry.get("dataset")
        if dataset and not self._with_checks and str(dataset).startswith(CHECK):
            self.records.checks.add(str(dataset))
        elif add:
            add(seconds, intern(str(entry.get("consumer") or source)), entry)
        return seconds

    def _add_interval(self, at: float, worker: str, fields: Fields) -> None:
        length_s = _number(fields["interval_s"])
        counts = [_number(fields[name]) for name in ("requests", "chunks", "errors")]
        latencies = [_number_or_none(fields[name]) for name in ("latency_p50_ms", "latency_p99_ms")]
        self._lengths[worker] = length_s
        self.records.intervals.append(Interval(at, length_s, worker, *counts, *latencies))

    def _add_draws(self, at: float, worker: str, fields: Fields) -> None:
        count, share, expected, weight, z, dataset, category, version = _drawn_of(fields)
        audio_s = fields.get("audio_s")
        if audio_s is not None:
            count = audio_s
        # Nearly all lines come here, so that a call for each number would be felt.
        for number in (count, share, expected, weight):
            if type(number) not in _NUMBERS or not 0 <= number <= LARGEST:
                raise ValueError(number)
        if z is not None and not (type(z) in _NUMBERS and -LARGEST <= z <= LARGEST):
            raise ValueError(z)
        self.records.draws.append(
            Draws(
                at,
                self._lengths.get(worker, 0.0),  # a worker logs worker.stats, with the length, first
                intern(str(dataset)) if dataset else "",
                intern(str(category)),
                count,
                share,
                expected,
                z,
                weight,
                intern(str(version)),
                "count" if audio_s is None else "seconds",
            )
        )

    def _add_change(self, at: float, worker: str, fields: Fields) -> None:
        before, after = (_weights(fields[name]) for name in ("before", "after"))
        dataset, version = str(fields["dataset"] or ""), str(fields["version"])
        told = (_text(fields.get(name)) for name in ("who", "reason", "entry"))
        line = NewWeights(at, worker, dataset, version, before, after, fields["before"] is None, *told)
        self.records.new_weights.append(line)

    def _end_missing(self, at: float, worker: str, fields: Fields) -> None:
        self.records.mixes_said.append(MixSaid(at, worker, str(fields["dataset"] or ""), None))

    def _add_missing(self, at: float, worker: str, fields: Fields) -> None:
        self.records.occurrences.append(Occurrence(at, worker, MixLeftOut.event, 1.0))
        found = MissingCategories(str(fields["categories"]), _number(fields["share"], most=1.0))
        self.records.mixes_said.append(MixSaid(at, worker, str(fields["dataset"] or ""), found))

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


def _count_of(kind: type[Event]) -> Callable[[Fields], Any]:
    return _with_suppressed if any(field.name == "suppressed" for field in dataclasses.fields(kind)) else _one


_TOLD = (WorkerStarted, WorkerReady, WorkerStopped, RedisRestored, PostgresRestored, CatalogChanged, MixFits)
_COUNTS: Mapping[str, Callable[[Fields], Any]] = {
    **{kind.event: _one for kind in _TOLD},
    **{kind.event: _count_of(kind) for kind in EVENTS.values() if kind.level in {"warning", "error"}},
    RequestClaimed.event: lambda fields: fields["count"],
    RequestFailed.event: lambda fields: fields["requests"] + fields["suppressed"],
    StatsWriteFailed.event: lambda fields: fields["requests"],
}
"""Notable events, every warning and error among them, and for how many occurrences one line stands."""


def _fingerprint(entry: Fields) -> int:
    """Return a number that is the same for the same fields, in whatever order a collector has written them.

    The values alone distinguish lines, as each has its time in microseconds among them.
    """
    try:
        return hash(frozenset(entry.values()))
    except TypeError:  # a collector has added objects or lists
        return hash(json.dumps(entry, sort_keys=True))


def _number(value: Any, *, least: float = 0.0, most: float = LARGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(value)
    return float(value)


def _number_or_none(value: Any, *, least: float = 0.0) -> float | None:
    return None if value is None else _number(value, least=least)


def _text(value: Any) -> str:
    """Read a text that a line need not have."""
    return value if isinstance(value, str) else ""


def _weights(text: str | None) -> dict[str, float] | None:
    """Read the weights of a log line; None for a long text, which was logged without its middle and is not JSON."""
    try:
        return {str(name): _number(weight) for name, weight in json.loads(text or "null").items()}
    except (AttributeError, ValueError):
        return None
