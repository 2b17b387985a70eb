"""A log over time: the mix of each dataset, rates, latencies and events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

import numpy as np
from numpy.typing import ArrayLike

from worker.core.events import (
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from worker.report.bins import Bins, Floats, column, divide
from worker.report.changes import WeightsChange, choose_changes, find_changes
from worker.report.fit import Fit, fit_categories, group_draws
from worker.report.records import Draws, Interval, NewWeights, Occurrence, Records
from worker.report.weight_steps import WeightStep, find_steps
from worker.report.workers import WorkerLog, list_workers

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
        workers: The workers, by name.
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
    workers: tuple[WorkerLog, ...]
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
    end = bins.start + bins.width_s * bins.count
    occurrences = tuple(sorted(records.occurrences, key=lambda occurrence: occurrence.at))
    intervals = records.intervals
    rates = [_spread(bins, intervals, column(intervals, name)) for name in ("requests", "chunks")]
    p50_ms, p99_ms = _latencies(
        bins, [interval for interval in intervals if interval.p50_ms is not None and interval.requests]
    )
    return Timeline(
        bins=bins,
        workers=tuple(list_workers(records, end)),
        totals=Totals(*(sum(getattr(i, name) for i in intervals) for name in ("requests", "chunks", "errors"))),
        mixes=tuple(_mixes(records, bins, changes)),
        requests_per_s=rates[0] / bins.width_s,
        chunks_per_s=rates[1] / bins.width_s,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        changes=tuple(change for change in changes if not change.is_first),
        occurrences=occurrences,
        outages=tuple(_outages(occurrences, end)),
    )


def _bins(records: Records) -> Bins:
    """Divide the time from the first line, or the start of its interval, to the last line."""
    noted: list[NewWeights | Occurrence] = [*records.new_weights, *records.occurrences]
    ends = [column(records.intervals, "at"), column(records.draws, "at"), column(noted, "at")]
    lengths_s = [column(records.intervals, "length_s"), column(records.draws, "length_s"), np.zeros(len(noted))]
    times = np.concatenate(ends)
    start = float((times - np.concatenate(lengths_s)).min())
    lengths = [interval.length_s for interval in records.intervals if interval.length_s > 0]
    width_s = median(lengths) if lengths else 1.0
    return divide(start, float(times.max()), width_s=width_s, most=_MOST_BINS)


def _spread(bins: Bins, records: Sequence[Interval | Draws], amounts: ArrayLike) -> Floats:
    return bins.spread(column(records, "at"), column(records, "length_s"), amounts)


def _latencies(bins: Bins, intervals: Sequence[Interval]) -> tuple[Floats, Floats]:
    """Join the latencies of workers. Percentiles do not add up, so the picture says how they were joined."""
    requests = _spread(bins, intervals, column(intervals, "requests"))
    weighted = _spread(bins, intervals, [i.requests * (i.p50_ms or 0.0) for i in intervals])
    p50_ms = np.divide(weighted, requests, out=np.full(bins.count, np.nan), where=requests > 0)
    ends, lengths = [i.at for i in intervals], [i.length_s for i in intervals]
    return p50_ms, bins.highest(ends, lengths, [i.p99_ms or 0.0 for i in intervals])


def _mixes(records: Records, bins: Bins, changes: Sequence[WeightsChange]) -> Iterator[Mix]:
    groups = group_draws(records.draws)
    for dataset, fits in fit_categories(groups).items():
        own = groups[dataset]
        own_changes = choose_changes(dataset, changes, chain.from_iterable(own.values()))
        steps = tuple(find_steps(own_changes, chain.from_iterable(own.values())))
        weighted = {name for step in steps for name, weight in step.weights.items() if weight > 0}
        undrawn = sorted(weighted - {fit.category for fit in fits})
        all_fits = (*fits, *(Fit(dataset, name, 0.0, 0.0, None, fits[0].unit) for name in undrawn))
        counts = np.stack([_drawn(bins, own.get(fit.category, [])) for fit in all_fits])
        yield Mix(dataset, all_fits, counts, steps, tuple(change for change in own_changes if not change.is_first))


def _drawn(bins: Bins, draws: Sequence[Draws]) -> Floats:
    return _spread(bins, draws, column(draws, "drawn"))


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
