"""A log over time: the mix of each dataset, rates, latencies and events."""

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
from worker.report.records import Draws, Interval, NewWeights, Occurrence, Records
from worker.report.weight_steps import WeightsChange, WeightStep, choose_changes, find_changes, find_steps

_MOST_BINS = 240
_RESTORES = {RedisRestored.event: RedisLost.event, PostgresRestored.event: PostgresLost.event}
_ENDS = {WorkerStarted.event, WorkerStopped.event, WorkerFailed.event}


@dataclass(frozen=True, slots=True)
class Mix:
    """The draws for one dataset.

    Attributes:
        dataset: "" are the global weights.
        fits: Its categories, the most frequent first. Weighted ones that were never drawn come last.
        counts: Chunks drawn from each category in each part of the time, float64, shape (categories, bins).
        steps: The weights in force, oldest first.
        changes: Changes of the weights, oldest first.
    """

    dataset: str
    fits: tuple[Fit, ...]
    counts: Floats
    steps: tuple[WeightStep, ...]
    changes: tuple[WeightsChange, ...]


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a server did not answer one worker.

    Attributes:
        event: Name of the event that reported the loss.
        start: Unix time in s.
        end: Unix time in s at which the server answered again, or the worker or the log ended.
    """

    event: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the intervals of all workers."""

    requests: float
    chunks: float
    errors: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """A log over time. Arrays are float64 of shape (bins,), NaN where nothing is known.

    Attributes:
        workers: Names of the workers.
        mixes: The global weights first, then the busiest dataset.
        requests_per_s: Sum over workers.
        chunks_per_s: Sum over workers.
        p50_ms: Mean of the workers' median latencies, by requests.
        p99_ms: Highest of the workers' 99th percentiles.
        changes: Changes of weights, of all datasets.
        occurrences: Notable events, oldest first.
        outages: Times in which a server was away.
    """

    bins: Bins
    workers: tuple[str, ...]
    totals: Totals
    mixes: tuple[Mix, ...]
    requests_per_s: Floats
    chunks_per_s: Floats
    p50_ms: Floats
    p99_ms: Floats
    changes: tuple[WeightsChange, ...]
    occurrences: tuple[Occurrence, ...]
    outages: tuple[Outage, ...]


def build_timeline(records: Records) -> Timeline | None:
    """Join the records of all workers; return None if there are none."""
    if not (records.intervals or records.draws or records.new_weights or records.occurrences):
        return None
    bins, changes = _bins(records), find_changes(records)
    occurrences = tuple(sorted(records.occurrences, key=lambda occurrence: occurrence.at))
    intervals = records.intervals
    rates = [_spread(bins, intervals, [getattr(i, name) for i in intervals]) for name in ("requests", "chunks")]
    p50_ms, p99_ms = _latencies(
        bins, [interval for interval in intervals if interval.p50_ms is not None and interval.requests]
    )
    return Timeline(
        bins=bins,
        workers=_workers(records),
        totals=Totals(*(sum(getattr(i, name) for i in intervals) for name in ("requests", "chunks", "errors"))),
        mixes=tuple(_mixes(records, bins, changes)),
        requests_per_s=rates[0] / bins.width_s,
        chunks_per_s=rates[1] / bins.width_s,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        changes=tuple(change for change in changes if not change.is_first),
        occurrences=occurrences,
        outages=tuple(_outages(occurrences, bins.start + bins.width_s * bins.count)),
    )


def _bins(records: Records) -> Bins:
    """Divide the time from the first line, or the start of its interval, to the last line."""
    measured: list[Interval | Draws] = [*records.intervals, *records.draws]
    noted: list[NewWeights | Occurrence] = [*records.new_weights, *records.occurrences]
    times = [*(record.at for record in measured), *(record.at for record in noted)]
    start = min([*times, *(record.at - record.length_s for record in measured)])
    lengths = [interval.length_s for interval in records.intervals if interval.length_s > 0]
    width_s = median(lengths) if lengths else 1.0
    return divide(start, max(times), width_s=width_s, most=_MOST_BINS)


def _workers(records: Records) -> tuple[str, ...]:
    named: list[Interval | NewWeights | Occurrence] = [*records.intervals, *records.new_weights, *records.occurrences]
    return tuple(sorted({record.worker for record in named}))


def _spread(bins: Bins, records: Sequence[Interval | Draws], amounts: Sequence[float]) -> Floats:
    return bins.spread([record.at for record in records], [record.length_s for record in records], amounts)


def _latencies(bins: Bins, intervals: Sequence[Interval]) -> tuple[Floats, Floats]:
    """Join the latencies of workers. Percentiles do not add up, so the picture says how they were joined."""
    requests = _spread(bins, intervals, [i.requests for i in intervals])
    weighted = _spread(bins, intervals, [i.requests * (i.p50_ms or 0.0) for i in intervals])
    p50_ms = np.divide(weighted, requests, out=np.full(bins.count, np.nan), where=requests > 0)
    ends, lengths = [i.at for i in intervals], [i.length_s for i in intervals]
    return p50_ms, bins.highest(ends, lengths, [i.p99_ms or 0.0 for i in intervals])


def _mixes(records: Records, bins: Bins, changes: Sequence[WeightsChange]) -> Iterator[Mix]:
    drawn: dict[str, list[Draws]] = defaultdict(list)
    for line in sorted(records.draws, key=lambda line: line.at):
        drawn[line.dataset].append(line)
    for dataset, fits in fit_categories(records.draws).items():
        own_changes = choose_changes(dataset, changes, drawn[dataset])
        steps = tuple(find_steps(own_changes, drawn[dataset]))
        weighted = {name for step in steps for name, weight in step.weights.items() if weight > 0}
        undrawn = sorted(weighted - {fit.category for fit in fits})
        all_fits = (*fits, *(Fit(dataset, name, 0.0, 0.0, None, fits[0].unit) for name in undrawn))
        counts = _counts(bins, drawn[dataset], [fit.category for fit in all_fits])
        yield Mix(dataset, all_fits, counts, steps, tuple(change for change in own_changes if not change.is_first))


def _counts(bins: Bins, draws: Sequence[Draws], categories: Sequence[str]) -> Floats:
    own: dict[str, list[Draws]] = {category: [] for category in categories}
    for line in draws:
        own[line.category].append(line)
    return np.stack([_spread(bins, lines, [line.count for line in lines]) for lines in own.values()])


def _outages(occurrences: Sequence[Occurrence], end: float) -> Iterator[Outage]:
    """Pair losses with recoveries, by worker. The end of a worker ends its outages."""
    lost: dict[tuple[str, str], float] = {}
    for occurrence in occurrences:
        if occurrence.event in _RESTORES.values():
            lost.setdefault((occurrence.worker, occurrence.event), occurrence.at)
        elif occurrence.event in _RESTORES:
            event = _RESTORES[occurrence.event]
            yield Outage(event, lost.pop((occurrence.worker, event), occurrence.at - occurrence.down_s), occurrence.at)
        elif occurrence.event in _ENDS:
            for event in _RESTORES.values():
                if (occurrence.worker, event) in lost:
                    yield Outage(event, lost.pop((occurrence.worker, event)), occurrence.at)
    for (_, event), at in lost.items():
        yield Outage(event, at, end)
