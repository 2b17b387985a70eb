"""Counts of requests that draw a length bucket: what they drew, and what was expected; see `spread`."""

import numpy as np

from worker.core.draw.buckets import Buckets
from worker.core.draw.moments import RequestCounts
from worker.core.draw.spread import finite
from worker.core.stats import Tally


def count_bucketed(dataset: str | None, buckets: Buckets, drawn: RequestCounts, tally: Tally) -> None:
    """Count what some requests drew from buckets, and what was expected of them.

    Args:
        dataset: Whose weights they were drawn under; None for the global ones.
        buckets: What was drawn from.
        drawn: What they drew.
        tally: Where to count.
    """
    mixture, spread, chosen = buckets.mixture, buckets.spread, drawn.buckets
    if chosen is None:
        raise AssertionError("requests without buckets are counted elsewhere")
    chunks = int(np.add.reduce(drawn.sizes))
    tally.asked.add_together(dataset or "", buckets.most)
    if mixture.left_out:
        tally.asked.add_incomplete(dataset or "", mixture, chunks)
    means, variances = chunks * spread.each, len(chosen) * spread.variances
    runs_out = spread.may_run_out[chosen] if not buckets.replace else None
    if runs_out is not None and runs_out.any():
        rows, counts = chosen[runs_out], drawn.counts[runs_out]
        of_chunks = np.add.reduce(
            finite(counts, np.square(counts), buckets.cells.ready[rows]) * spread.variances_s2[rows], axis=0
        )
        more = np.add.reduce(spread.own[rows] - counts * spread.means_s[rows], axis=0)
        means, variances = means - more, variances + of_chunks
        within = np.add.reduce(spread.within[rows], axis=0)
        tally.asked.add_more(dataset or "", mixture.categories, more, within - of_chunks)
    totals = np.add.reduce(drawn.counts, axis=0).tolist()
    if drawn.time is None:
        of_each = {"expected": means.tolist(), "variances": variances.tolist()}
        tally.add_chunks(dataset, mixture.categories, totals, **of_each)
        return
    amounts = zip(totals, np.add.reduce(drawn.time.milliseconds, axis=0).tolist(), strict=True)
    moments = zip(means.tolist(), variances.tolist(), strict=True)
    for name, amount, (mean, variance) in zip(mixture.categories, amounts, moments, strict=True):
        tally.add_seconds(dataset, name, amount, expected_s=mean, variance_s2=variance)
