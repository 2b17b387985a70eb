"""What a log tells over time: the mix of each dataset, rates, latencies, and what happened."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from worker.core.events import (
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from worker.report.bins import Bins, Floats, divide
from worker.report.fit import Fit, fit_categories
from worker.report.records import Change, Draws, Interval, Mark, Reading
from worker.report.weight_steps import Step, Turn, find_turns, steps_of, turns_of

_MOST_BINS = 240
_RESTORES = {RedisRestored.event: RedisLost.event, PostgresRestored.event: PostgresLost.event}
_ENDS = {WorkerStarted.event, WorkerStopped.event, WorkerFailed.event}


@dataclass(frozen=True, slots=True)
class Mix:
    """Hold what was drawn for one dataset.

    Attributes:
        dataset: "" are the global weights.
        fits: Its categories, the most frequent first; weighted ones that were never drawn at the end.
        counts: Chunks drawn of each category in each part of the time, float64, shape (categories, bins).
        steps: The weights in force.
        turns: When they changed.
    """

    dataset: str
    fits: tuple[Fit, ...]
    counts: Floats
    steps: tuple[Step, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Outage:
    """Hold that a server did not answer one worker.

    Attributes:
        event: Name of the event that told its loss.
        start: Unix time in s.
        end: The same: when it answered again, or the worker or the log ended.
    """

    event: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Hold what the intervals of all workers add up to."""

    requests: float
    chunks: float
    errors: float


@dataclass(frozen=True, slots=True)
class History:
    """Hold what a log tells; arrays are float64 of shape (bins,), NaN where there is nothing to tell.

    Attributes:
        workers: Their names.
        mixes: The global weights first, then the busiest dataset.
        requests_per_s: Sum over workers.
        chunks_per_s: The same.
        p50_ms: Mean of the workers' median latencies, by requests.
        p99_ms: Highest of the workers' 99th percentiles.
        changes: When weights changed, of all datasets.
        marks: What happened, oldest first.
        outages: When a server was away.
    """

    bins: Bins
    workers: tuple[str, ...]
    totals: Totals
    mixes: tuple[Mix, ...]
    requests_per_s: Floats
    chunks_per_s: Floats
    p50_ms: Floats
    p99_ms: Floats
    changes: tuple[Turn, ...]
    marks: tuple[Mark, ...]
    outages: tuple[Outage, ...]


def build_history(reading: Reading) -> History | None:
    """Add up the lines of all workers; None where there is nothing to tell."""
    if not (reading.intervals or reading.draws or reading.changes or reading.marks):
        return None
    bins, turns = _bins(reading), find_turns(reading)
    marks = tuple(sorted(reading.marks, key=lambda mark: mark.at))
    intervals = reading.intervals
    rates = [_spread(bins, intervals, [getattr(i, name) for i in intervals]) for name in ("requests", "chunks")]
    p50_ms, p99_ms = _latencies(
        bins, [interval for interval in intervals if interval.p50_ms is not None and interval.requests]
    )
    return History(
        bins=bins,
        workers=_workers(reading),
        totals=Totals(*(sum(getattr(i, name) for i in intervals) for name in ("requests", "chunks", "errors"))),
        mixes=tuple(_mixes(reading, bins, turns)),
        requests_per_s=rates[0] / bins.width_s,
        chunks_per_s=rates[1] / bins.width_s,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        changes=tuple(turn for turn in turns if not turn.is_first),
        marks=marks,
        outages=tuple(_outages(marks, bins.start + bins.width_s * bins.count)),
    )


def _bins(reading: Reading) -> Bins:
    """Divide the time from the first line, or the beginning of its interval, to the last."""
    measured: list[Interval | Draws] = [*reading.intervals, *reading.draws]
    noted: list[Change | Mark] = [*reading.changes, *reading.marks]
    told = [*(record.at for record in measured), *(record.at for record in noted)]
    start = min([*told, *(record.at - record.length_s for record in measured)])
    lengths = [interval.length_s for interval in reading.intervals if interval.length_s > 0]
    width_s = median(lengths) if lengths else 1.0
    return divide(start, max(told), width_s=width_s, most=_MOST_BINS)


def _workers(reading: Reading) -> tuple[str, ...]:
    told: list[Interval | Change | Mark] = [*reading.intervals, *reading.changes, *reading.marks]
    return tuple(sorted({record.worker for record in told}))


def _spread(bins: Bins, records: Sequence[Interval | Draws], amounts: Sequence[float]) -> Floats:
    return bins.spread([record.at for record in records], [record.length_s for record in records], amounts)


def _latencies(bins: Bins, intervals: Sequence[Interval]) -> tuple[Floats, Floats]:
    """Join the latencies of workers; percentiles do not add up, so that what is shown says how they were joined."""
    requests = _spread(bins, intervals, [i.requests for i in intervals])
    weighted = _spread(bins, intervals, [i.requests * (i.p50_ms or 0.0) for i in intervals])
    p50_ms = np.divide(weighted, requests, out=np.full(bins.count, np.nan), where=requests > 0)
    ends, lengths = [i.at for i in intervals], [i.length_s for i in intervals]
    return p50_ms, bins.highest(ends, lengths, [i.p99_ms or 0.0 for i in intervals])


def _mixes(reading: Reading, bins: Bins, turns: Sequence[Turn]) -> Iterator[Mix]:
    drawn: dict[str, list[Draws]] = defaultdict(list)
    for line in sorted(reading.draws, key=lambda line: line.at):
        drawn[line.dataset].append(line)
    for dataset, fits in fit_categories(reading.draws).items():
        own_turns = turns_of(dataset, turns, drawn[dataset])
        steps = tuple(steps_of(own_turns, drawn[dataset]))
        weighted = {name for step in steps for name, weight in step.weights.items() if weight > 0}
        undrawn = sorted(weighted - {fit.category for fit in fits})
        all_fits = (*fits, *(Fit(dataset, name, 0.0, 0.0, None, fits[0].unit) for name in undrawn))
        counts = _counts(bins, drawn[dataset], [fit.category for fit in all_fits])
        yield Mix(dataset, all_fits, counts, steps, tuple(turn for turn in own_turns if not turn.is_first))


def _counts(bins: Bins, draws: Sequence[Draws], categories: Sequence[str]) -> Floats:
    own: dict[str, list[Draws]] = {category: [] for category in categories}
    for line in draws:
        own[line.category].append(line)
    return np.stack([_spread(bins, lines, [line.count for line in lines]) for lines in own.values()])


def _outages(marks: Sequence[Mark], end: float) -> Iterator[Outage]:
    """Pair what was lost with what was restored, by worker; the end of a worker is the end of its outages."""
    lost: dict[tuple[str, str], float] = {}
    for mark in marks:
        if mark.event in _RESTORES.values():
            lost.setdefault((mark.worker, mark.event), mark.at)
        elif mark.event in _RESTORES:
            event = _RESTORES[mark.event]
            yield Outage(event, lost.pop((mark.worker, event), mark.at - mark.down_s), mark.at)
        elif mark.event in _ENDS:
            for event in _RESTORES.values():
                if (mark.worker, event) in lost:
                    yield Outage(event, lost.pop((mark.worker, event)), mark.at)
    for (_, event), at in lost.items():
        yield Outage(event, at, end)
