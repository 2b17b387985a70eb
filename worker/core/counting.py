"""What a group of requests drew, counted beside what its weights make one expect."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.core.mixture import Integers
from worker.core.sampling import Plan
from worker.core.tally import Tally

_WIDE = 64  # categories: from here on few of them are drawn in a request


def is_wide(plan: Plan) -> bool:
    """Tell whether there are so many categories that only what was drawn of them is looked at."""
    return len(plan.mixture.categories) > _WIDE


def count_chunks(dataset: str | None, plan: Plan, requests: tuple[Integers, Integers], tally: Tally) -> None:
    """Count what some requests of a plan drew.

    Args:
        dataset: Whose weights they were drawn under; None for the global ones.
        plan: What was drawn from.
        requests: Their sizes, int64, shape (r,), and how many chunks of each category they drew, int64, shape (r, k).
        tally: Where to count.
    """
    if is_wide(plan):
        _count_wide(dataset, plan, requests, tally)
    else:
        _count_narrow(dataset, plan, requests, tally)


def _count_narrow(dataset: str | None, plan: Plan, requests: tuple[Integers, Integers], tally: Tally) -> None:
    """Count sizes and counts of requests, each category beside what was expected of it."""
    sizes, counts = requests
    totals = np.add.reduce(counts, axis=0).tolist()
    for name, count, mean, spread in zip(plan.mixture.categories, totals, *_moments(plan, sizes, counts), strict=True):
        tally.add_chunks(dataset, name, count, expected=mean, variance=spread)


def _count_wide(dataset: str | None, plan: Plan, requests: tuple[Integers, Integers], tally: Tally) -> None:
    """Count sizes and counts of requests without a look at the many categories that they drew nothing of.

    Stratified draws are counted as independent ones: shares are so small that their variances are nearly the same.
    """
    sizes, counts = requests
    bound = np.zeros(len(sizes), dtype=np.bool_) if plan.replace else _bound_to_run_out(plan, sizes)
    names = plan.mixture.categories
    for rows, is_bound in ((~bound, False), (bound, True)):
        totals = np.add.reduce(counts[rows], axis=0)
        columns = np.flatnonzero(totals)
        drawn = {names[i]: count for i, count in zip(columns.tolist(), totals[columns].tolist(), strict=True)}
        if is_bound:
            for name, count in drawn.items():
                tally.add_chunks(dataset, name, count, expected=count, variance=0.0)
        elif drawn:
            tally.add_drawn(dataset, plan.mixture, drawn)


def _bound_to_run_out(plan: Plan, sizes: Integers) -> NDArray[np.bool_]:
    """Tell of each request whether a category may run out within it, shape (r,)."""
    largest = np.ceil(sizes[:, None] * plan.mixture.probabilities) if plan.stratified else sizes[:, None]
    bound: NDArray[np.bool_] = np.logical_or.reduce(largest > plan.mixture.ready, axis=1)
    return bound


def _moments(plan: Plan, sizes: Integers, counts: Integers) -> tuple[Sequence[float], Sequence[float]]:
    """Compute mean and variance of the summed counts of some requests, shape (k,) each.

    Where a category may run out within a request, its counts stand for their own mean: what is passed on has no
    simple law. Whether one did run out must not decide this: the others would be off by what these hide.
    """
    if plan.replace and not plan.stratified:
        total = int(np.add.reduce(sizes))
        return [total * share for share in plan.mixture.shares], [total * s * (1.0 - s) for s in plan.mixture.shares]
    probabilities = plan.mixture.probabilities
    mean = sizes[:, None] * probabilities
    fraction = mean - np.floor(mean)
    variance = fraction * (1.0 - fraction) if plan.stratified else mean * (1.0 - probabilities)
    if not plan.replace:
        bound = _bound_to_run_out(plan, sizes)
        mean[bound], variance[bound] = counts[bound], 0.0
    return mean.sum(axis=0).tolist(), variance.sum(axis=0).tolist()
