"""Moments: mean and variance of what a group of requests should have drawn, counted beside what it drew.

Counts are of chunks; if weights are shares of audio time, of seconds. Means and variances are those of the draw itself.
Comparing them with the counts shows whether draws follow the weights. Independent draws of n chunks have mean n p and
variance n p (1 - p). A stratified count is the floor or ceiling of n p. With f the fraction of n p, its variance is f
(1 - f).

Without replacement a category may run out, and its surplus goes to the others; see `allocation`. Their counts have no
closed form then. So the observed counts are taken as expected, with no variance. This depends on whether a category
*may* run out, not on whether one did. Choosing by the outcome would bias the comparison of all other requests.

What weights ask for beyond that is counted apart, see `core.stats.asked`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import MS_A_SECOND
from worker.core.draw.plans import Plan
from worker.core.mixture import Floats, Integers, Times
from worker.core.stats import Tally


class TimeDrawn(NamedTuple):
    """How long the chunks of some requests last.

    Attributes:
        of: The durations that their weights apply to.
        milliseconds: int64, shape (r, k): sum over the chunks of each category.
        squares_s2: float64, shape (r, k): sum of the squares of their seconds; None unless there are many categories.
    """

    of: Times
    milliseconds: Integers
    squares_s2: Floats | None


class RequestCounts(NamedTuple):
    """What some requests of a plan drew.

    Attributes:
        sizes: int64, shape (r,).
        counts: int64, shape (r, k): how many chunks of each category.
        time: How long these last, if weights are shares of audio time; else None.
        buckets: int64, shape (r,): the bucket of each request; None if there are none.
    """

    sizes: Integers
    counts: Integers
    time: TimeDrawn | None
    buckets: Integers | None = None

    def take(self, rows: Sequence[int] | NDArray[np.bool_]) -> "RequestCounts":
        """Return the counts of some rows, given as numbers or as a mask."""
        time = self.time
        if time is not None:
            squares_s2 = None if time.squares_s2 is None else time.squares_s2[rows]
            time = TimeDrawn(time.of, time.milliseconds[rows], squares_s2)
        buckets = None if self.buckets is None else self.buckets[rows]
        return RequestCounts(self.sizes[rows], self.counts[rows], time, buckets)


def add_up_times(plan: Plan, times: Times, positions: Integers) -> TimeDrawn:
    """Add up how long the chunks of each request and category last.

    Args:
        plan: What was drawn from.
        times: The durations that its weights apply to.
        positions: int64, shape (n,): the chunks drawn, request after request.
    """
    milliseconds = times.milliseconds.take(positions)
    rows, width = len(plan.sizes), len(plan.mixture.categories)
    cells = np.searchsorted(plan.mixture.starts, positions, "right") - 1
    cells += np.repeat(np.arange(0, rows * width, width), plan.sizes)
    sums = np.bincount(cells, milliseconds, rows * width).astype(np.int64).reshape(rows, width)
    if not plan.mixture.is_wide:
        return TimeDrawn(times, sums, None)
    squares_s2 = np.bincount(cells, np.square(milliseconds / MS_A_SECOND), rows * width).astype(np.float64)
    return TimeDrawn(times, sums, squares_s2.reshape(rows, width))


def count_drawn(dataset: str | None, plan: Plan, drawn: RequestCounts, tally: Tally) -> None:
    """Count what some requests of a plan drew.

    Args:
        dataset: Whose weights they were drawn under; None for the global ones.
        plan: What was drawn from.
        drawn: What they drew.
        tally: Where to count.
    """
    if plan.mixture.left_out:
        tally.asked.add_incomplete(dataset or "", plan.mixture, int(np.add.reduce(drawn.sizes)))
    may_run_out = np.zeros(len(drawn.sizes), np.bool_) if plan.replace else _may_run_out(plan, drawn.sizes)
    if may_run_out.any():
        of_these = drawn.take(may_run_out)
        counts = np.add.reduce(of_these.counts, axis=0)
        tally.asked.add_exhausted(dataset or "", plan.mixture, int(np.add.reduce(of_these.sizes)), counts)
    if not plan.mixture.is_wide:
        _count_all(dataset, plan, drawn, tally)
        return
    if not may_run_out.all():
        _count_touched(dataset, plan, drawn.take(~may_run_out), tally)
    if may_run_out.any():
        _count_all(dataset, plan, drawn.take(may_run_out), tally)


def _count_all(dataset: str | None, plan: Plan, drawn: RequestCounts, tally: Tally) -> None:
    """Count each category, and what was expected of it."""
    names, counts = plan.mixture.categories, np.add.reduce(drawn.counts, axis=0).tolist()
    if drawn.time is None:
        means, variances = _moments(plan, drawn)
        tally.add_chunks(dataset, names, counts, expected=means, variances=variances)
        return
    amounts = zip(counts, np.add.reduce(drawn.time.milliseconds, axis=0).tolist(), strict=True)
    moments = _moments_s(plan, drawn, drawn.time.of)
    for name, amount, mean, variance in zip(names, amounts, *moments, strict=True):
        tally.add_seconds(dataset, name, amount, expected_s=mean, variance_s2=variance)


def _count_touched(dataset: str | None, plan: Plan, drawn: RequestCounts, tally: Tally) -> None:
    """Count the categories that were drawn; expectations follow from the number of chunks.

    Stratified draws are counted as independent ones. With so many categories, shares are so small that the variances
    are nearly the same.
    """
    totals = np.add.reduce(drawn.counts, axis=0)
    columns = np.flatnonzero(totals)
    names, counts = [plan.mixture.categories[i] for i in columns.tolist()], totals[columns].tolist()
    if drawn.time is None or drawn.time.squares_s2 is None:
        tally.add_drawn(dataset, plan.mixture, dict(zip(names, counts, strict=True)))
        return
    milliseconds = np.add.reduce(drawn.time.milliseconds[:, columns], axis=0).tolist()
    squares_s2 = np.add.reduce(drawn.time.squares_s2[:, columns], axis=0).tolist()
    amounts = dict(zip(names, zip(counts, milliseconds, squares_s2, strict=True), strict=True))
    tally.add_seconds_drawn(dataset, plan.mixture, drawn.time.of.mean_s, amounts)


def _may_run_out(plan: Plan, sizes: Integers) -> NDArray[np.bool_]:
    """Return for each request whether a category may run out within it, shape (r,)."""
    largest = np.ceil(sizes[:, None] * plan.mixture.probabilities) if plan.stratified else sizes[:, None]
    found: NDArray[np.bool_] = np.logical_or.reduce(largest > plan.mixture.ready, axis=1)
    return found


def _moments(plan: Plan, drawn: RequestCounts) -> tuple[Sequence[float], Sequence[float]]:
    """Compute mean and variance of the counts summed over some requests, shape (k,) each."""
    if plan.replace and not plan.stratified:
        total = int(np.add.reduce(drawn.sizes))
        return [total * share for share in plan.mixture.shares], [total * s * (1.0 - s) for s in plan.mixture.shares]
    mean, variance = _moments_of_each(plan, drawn)
    return mean.sum(axis=0).tolist(), variance.sum(axis=0).tolist()


def _moments_of_each(plan: Plan, drawn: RequestCounts) -> tuple[Floats, Floats]:
    """Compute mean and variance of the counts of each request, shape (r, k) each; see the module."""
    probabilities = plan.mixture.probabilities
    mean = drawn.sizes[:, None] * probabilities
    fraction = mean - np.floor(mean)
    variance = fraction * (1.0 - fraction) if plan.stratified else mean * (1.0 - probabilities)
    if not plan.replace:
        may_run_out = _may_run_out(plan, drawn.sizes)
        mean[may_run_out], variance[may_run_out] = drawn.counts[may_run_out], 0.0
    return mean, variance


def _moments_s(plan: Plan, drawn: RequestCounts, times: Times) -> tuple[Sequence[float], Sequence[float]]:
    """Compute mean and variance of the seconds drawn of each category, shape (k,) each.

    The seconds of a category are a sum over N chunks, where N is random, too. Each chunk has mean m and variance v. The
    sum has mean E[N] m and variance E[N] v + Var[N] m^2. For independent draws this is n (p E[d^2] - (p E[d])^2).
    Without replacement from R chunks, N v becomes N v (R - N) / (R - 1).

    Source: Wald, "On Cumulative Sums of Random Variables", Ann. Math. Stat. 15 (1944), for the random number of
    terms; Cochran, "Sampling Techniques", section 2.6, for the finite population.
    """
    if plan.replace:
        mean, variance = (np.array(moment) for moment in _moments(plan, drawn))
        terms = mean
    else:
        means, variances = _moments_of_each(plan, drawn)
        mean, variance = means.sum(axis=0), variances.sum(axis=0)
        ready = plan.mixture.ready
        terms = (ready * mean - variance - np.square(means).sum(axis=0)) / np.maximum(ready - 1, 1)
    variance_s2 = terms * times.variances_s2 + variance * np.square(times.means_s)
    return (mean * times.means_s).tolist(), variance_s2.tolist()
