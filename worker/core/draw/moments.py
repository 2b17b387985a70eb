"""What a group of requests drew, counted beside what its weights make one expect: in chunks, or in seconds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import MS_A_SECOND
from worker.core.draw.allocation import Plan
from worker.core.mixture import Floats, Integers, Times
from worker.core.stats import Tally


class TimeDrawn(NamedTuple):
    """Hold how long the chunks of some requests last.

    Attributes:
        of: What durations make of the weights they were drawn under.
        milliseconds: int64, shape (r, k): sum over the chunks of each category.
        squares_s2: float64, shape (r, k): sum of their squares, where there are many categories; else None.
    """

    of: Times
    milliseconds: Integers
    squares_s2: Floats | None


class Requests(NamedTuple):
    """Hold what some requests of a plan drew.

    Attributes:
        sizes: int64, shape (r,).
        counts: int64, shape (r, k): how many chunks of each category.
        time: How long these last, where weights are shares of audio time; else None.
    """

    sizes: Integers
    counts: Integers
    time: TimeDrawn | None

    def take(self, rows: Sequence[int] | NDArray[np.bool_]) -> "Requests":
        """Take some of them, by number or by yes and no."""
        time = self.time
        if time is not None:
            squares_s2 = None if time.squares_s2 is None else time.squares_s2[rows]
            time = TimeDrawn(time.of, time.milliseconds[rows], squares_s2)
        return Requests(self.sizes[rows], self.counts[rows], time)


def add_up_times(plan: Plan, times: Times, places: Integers) -> TimeDrawn:
    """Add up how long the chunks of each request and category last.

    Args:
        plan: What was drawn from.
        times: What durations make of its weights.
        places: int64, shape (plan.sizes.sum(),): what was drawn, request after request.
    """
    milliseconds = times.milliseconds.take(places)
    rows, width = len(plan.sizes), len(plan.mixture.categories)
    cells = np.searchsorted(plan.mixture.starts, places, "right") - 1
    cells += np.repeat(np.arange(0, rows * width, width), plan.sizes)
    sums = np.bincount(cells, milliseconds, rows * width).astype(np.int64).reshape(rows, width)
    if not plan.mixture.is_wide:
        return TimeDrawn(times, sums, None)
    squares_s2 = np.bincount(cells, np.square(milliseconds / MS_A_SECOND), rows * width).astype(np.float64)
    return TimeDrawn(times, sums, squares_s2.reshape(rows, width))


def count_drawn(dataset: str | None, plan: Plan, requests: Requests, tally: Tally) -> None:
    """Count what some requests of a plan drew.

    Args:
        dataset: Whose weights they were drawn under; None for the global ones.
        plan: What was drawn from.
        requests: What they drew.
        tally: Where to count.
    """
    if not plan.mixture.is_wide:
        _count_all(dataset, plan, requests, tally)
        return
    bound = np.zeros(len(requests.sizes), np.bool_) if plan.replace else _bound_to_run_out(plan, requests.sizes)
    if not bound.all():
        _count_some(dataset, plan, requests.take(~bound), tally)
    if bound.any():
        _count_all(dataset, plan, requests.take(bound), tally)


def _count_all(dataset: str | None, plan: Plan, requests: Requests, tally: Tally) -> None:
    """Count each category beside what was expected of it."""
    names, counts = plan.mixture.categories, np.add.reduce(requests.counts, axis=0).tolist()
    if requests.time is None:
        means, spreads = _moments(plan, requests)
        tally.add_chunks(dataset, names, counts, expected=means, variances=spreads)
        return
    drawn = zip(counts, np.add.reduce(requests.time.milliseconds, axis=0).tolist(), strict=True)
    for name, of_name, mean, spread in zip(names, drawn, *_moments_s(plan, requests, requests.time.of), strict=True):
        tally.add_seconds(dataset, name, of_name, expected_s=mean, variance_s2=spread)


def _count_some(dataset: str | None, plan: Plan, requests: Requests, tally: Tally) -> None:
    """Count without a look at the many categories that nothing was drawn of.

    Stratified draws are counted as independent ones: shares are so small that their variances are nearly the same.
    """
    totals = np.add.reduce(requests.counts, axis=0)
    columns = np.flatnonzero(totals)
    names, counts = [plan.mixture.categories[i] for i in columns.tolist()], totals[columns].tolist()
    if requests.time is None or requests.time.squares_s2 is None:
        tally.add_drawn(dataset, plan.mixture, dict(zip(names, counts, strict=True)))
        return
    milliseconds = np.add.reduce(requests.time.milliseconds[:, columns], axis=0).tolist()
    squares_s2 = np.add.reduce(requests.time.squares_s2[:, columns], axis=0).tolist()
    drawn = dict(zip(names, zip(counts, milliseconds, squares_s2, strict=True), strict=True))
    tally.add_seconds_drawn(dataset, plan.mixture, requests.time.of.mean_s, drawn)


def _bound_to_run_out(plan: Plan, sizes: Integers) -> NDArray[np.bool_]:
    """Tell of each request whether a category may run out within it, shape (r,)."""
    largest = np.ceil(sizes[:, None] * plan.mixture.probabilities) if plan.stratified else sizes[:, None]
    bound: NDArray[np.bool_] = np.logical_or.reduce(largest > plan.mixture.ready, axis=1)
    return bound


def _moments(plan: Plan, requests: Requests) -> tuple[Sequence[float], Sequence[float]]:
    """Compute mean and variance of the summed counts of some requests, shape (k,) each."""
    if plan.replace and not plan.stratified:
        total = int(np.add.reduce(requests.sizes))
        return [total * share for share in plan.mixture.shares], [total * s * (1.0 - s) for s in plan.mixture.shares]
    mean, variance = _moments_of_each(plan, requests)
    return mean.sum(axis=0).tolist(), variance.sum(axis=0).tolist()


def _moments_of_each(plan: Plan, requests: Requests) -> tuple[Floats, Floats]:
    """Compute mean and variance of the counts of each request, shape (r, k) each.

    Where a category may run out within a request, its counts stand for their own mean: what is passed on has no
    simple law. Whether one did run out must not decide this: the others would be off by what these hide.
    """
    probabilities = plan.mixture.probabilities
    mean = requests.sizes[:, None] * probabilities
    fraction = mean - np.floor(mean)
    variance = fraction * (1.0 - fraction) if plan.stratified else mean * (1.0 - probabilities)
    if not plan.replace:
        bound = _bound_to_run_out(plan, requests.sizes)
        mean[bound], variance[bound] = requests.counts[bound], 0.0
    return mean, variance


def _moments_s(plan: Plan, requests: Requests, times: Times) -> tuple[Sequence[float], Sequence[float]]:
    """Compute mean and variance of the seconds drawn of each category, shape (k,) each.

    A category's seconds are a sum over N chunks, N by chance too, each of mean m and variance v: their mean is E[N] m
    and their variance E[N] v + Var[N] m^2. For independent draws this is n (p E[d^2] - (p E[d])^2). Without
    replacement from R chunks, N v becomes N v (R - N) / (R - 1).

    Source: Wald, "On Cumulative Sums of Random Variables", Ann. Math. Stat. 15 (1944), for the random number of
    terms; Cochran, "Sampling Techniques", section 2.6, for the finite population.
    """
    if plan.replace:
        mean, variance = (np.array(moment) for moment in _moments(plan, requests))
        spread = mean
    else:
        means, variances = _moments_of_each(plan, requests)
        mean, variance = means.sum(axis=0), variances.sum(axis=0)
        ready = plan.mixture.ready
        spread = (ready * mean - variance - np.square(means).sum(axis=0)) / np.maximum(ready - 1, 1)
    variance_s2 = spread * times.variances_s2 + variance * np.square(times.means_s)
    return (mean * times.means_s).tolist(), variance_s2.tolist()
