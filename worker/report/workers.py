"""When each worker ran, how each run ended, and what each worker did."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import median_low
from typing import Final, Literal

from worker.core.events import WorkerFailed, WorkerStarted, WorkerStopped
from worker.report.changes import WeightsChange
from worker.report.records import Interval, Records

Ending = Literal["running", "stopped", "failed", "lost", "silent"]
_ENDINGS: Final[dict[str, Ending]] = {WorkerStopped.event: "stopped", WorkerFailed.event: "failed"}
_SILENT_AFTER = 2.5  # intervals without a line
_LATE_S = 1.0  # after its end, a line is of another run
_TELLING_S = 1.0  # a smaller difference of clocks changes nothing that is drawn
_LEAST_CHANGES = 2

_Mark = tuple[float, float, str]
"""When a line begins to count, when it was written (both Unix time in s), and its event if notable."""


@dataclass(frozen=True, slots=True)
class Run:
    """The time from a worker's start to its end.

    Attributes:
        start: Unix time in s.
        end: Unix time in s; of its last line if the log does not say how it ended.
        ending: `running` to the end of the log; `stopped` or `failed` by its own words; `lost` if it was started
            again without a word of its end; `silent` if its lines end before those of the log do.
    """

    start: float
    end: float
    ending: Ending


@dataclass(frozen=True, slots=True)
class WorkerLog:
    """What the log of one worker says.

    Attributes:
        runs: Its runs, oldest first, at least one.
        p99_ms: Highest 99th percentile of an interval; None if it served nothing.
    """

    worker: str
    runs: tuple[Run, ...]
    requests: float
    errors: float
    chunks: float
    p99_ms: float | None


def list_workers(records: Records, end: float) -> list[WorkerLog]:
    """List the workers of a log by name.

    Args:
        records: All lines.
        end: End of the log, Unix time in s.
    """
    marks: dict[str, list[_Mark]] = defaultdict(list)
    intervals: dict[str, list[Interval]] = defaultdict(list)
    for interval in records.intervals:
        intervals[interval.worker].append(interval)
        marks[interval.worker].append((interval.at - interval.length_s, interval.at, ""))
    for change in records.new_weights:
        marks[change.worker].append((change.at, change.at, ""))
    for occurrence in records.occurrences:
        marks[occurrence.worker].append((occurrence.at, occurrence.at, occurrence.event))
    return [_worker_log(worker, marks[worker], intervals[worker], end) for worker in sorted(marks)]


def count_running(workers: Sequence[WorkerLog], at: float) -> int:
    """Count the workers that ran at a time, Unix time in s."""
    return sum(any(run.start <= at <= run.end for run in worker.runs) for worker in workers)


def clock_offsets(changes: Sequence[WeightsChange]) -> dict[str, float]:
    """Find workers whose clock differs from that of the others, by when they say that they applied changes.

    Args:
        changes: Changes that several workers applied.

    Returns:
        Worker -> by how many seconds it is late, < 0 if early. Only workers that are so in each of several changes.
        Of two workers, the one with the later clock is late.
    """
    offsets: dict[str, list[float]] = defaultdict(list)
    for change in changes:
        if len(change.applied) > 1:
            middle = median_low(change.applied.values())
            for worker, at in change.applied.items():
                offsets[worker].append(at - middle)
    found = {}
    for worker, late in sorted(offsets.items()):
        least = min(late, key=abs)
        if len(late) >= _LEAST_CHANGES and abs(least) > _TELLING_S and all(one * least > 0 for one in late):
            found[worker] = least
    return found


def _worker_log(worker: str, marks: Sequence[_Mark], own: Sequence[Interval], end: float) -> WorkerLog:
    patience_s = _SILENT_AFTER * max((interval.length_s for interval in own), default=end)
    return WorkerLog(
        worker,
        tuple(_runs(sorted(marks, key=itemgetter(1)), end, patience_s)),
        requests=sum(interval.requests for interval in own),
        errors=sum(interval.errors for interval in own),
        chunks=sum(interval.chunks for interval in own),
        p99_ms=max((interval.p99_ms for interval in own if interval.p99_ms is not None), default=None),
    )


def _runs(marks: Sequence[_Mark], end: float, patience_s: float) -> Iterator[Run]:
    """Divide the lines of one worker, oldest first, into its runs."""
    start, last, before = None, 0.0, float("-inf")
    for begin, at, event in marks:
        if event == WorkerStarted.event:
            if start is not None:
                yield Run(start, last, "lost")
                before = last
            start = at
        elif start is None:
            if at - before < _LATE_S:
                continue
            start = max(begin, before)
        last = at
        if event in _ENDINGS:
            yield Run(start, at, _ENDINGS[event])
            start, before = None, at
    if start is not None:
        yield Run(start, last, "silent") if end - last > patience_s else Run(start, end, "running")
