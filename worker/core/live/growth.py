"""How counts have grown between two looks at the stats hash.

Theory. Each batch adds three values to the hash: what it drew, and the mean and variance under its own weights. So the
difference of two readings is a sum over the batches that were settled in between. It compares every draw with the
weights that it was drawn under, however often these changed meanwhile. Counts that fall were cleared, or belong to
another server. Then there is no difference.

There may be thousands of categories, of which few are shown. So sums are made once a look, and rows on demand.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from worker.core.stats import CategoryCount, Counts


class Sums(NamedTuple):
    """Sums over the categories of a dataset.

    Attributes:
        chunks: Chunks drawn.
        amount: The same, or the seconds that they last where weights are shares of audio time.
        expected: What the weights made one expect of the amount.
    """

    chunks: int
    amount: float
    expected: float


class Look(NamedTuple):
    """One reading of a dataset's counts.

    Attributes:
        at_s: When, in seconds of a monotonic clock.
        at_ms: The same as Unix time in ms.
        rows: Category -> its counts since they were cleared.
        sums: Their sums.
        is_in_seconds: Whether weights are shares of audio time.
    """

    at_s: float
    at_ms: int
    rows: Mapping[str, CategoryCount]
    sums: Sums
    is_in_seconds: bool


def look_at(counts: Counts, dataset: str, at_s: float, at_ms: int) -> Look:
    """Make a look of the counts of one dataset.

    Args:
        counts: The contents of a stats hash.
        dataset: Its name; "" for the global weights.
        at_s: When it was read, in seconds of a monotonic clock.
        at_ms: The same as Unix time in ms.
    """
    rows = {row.category: row for row in counts.categories if row.dataset == dataset}
    sums = Sums(
        sum(row.count for row in rows.values()),
        math.fsum(row.amount for row in rows.values()),
        math.fsum(row.expected for row in rows.values()),
    )
    return Look(at_s, at_ms, rows, sums, any(row.seconds is not None for row in rows.values()))


class Growth:
    """What was drawn between two looks.

    Attributes:
        before: The earlier look.
        after: The later one.
        sums: What was drawn, over all categories.
    """

    def __init__(self, before: Look, after: Look) -> None:
        """Compare two looks of one dataset; see `grew`."""
        self.before = before
        self.after = after
        pairs = zip(after.sums, before.sums, strict=True)
        chunks, amount, expected = (max(0, now - then) for now, then in pairs)
        self.sums = Sums(int(chunks), amount, expected)

    def __repr__(self) -> str:
        """Return it in one line, for logs and tests."""
        return f"<Growth of {self.sums.chunks} chunks in {self.length_s:.1f} s>"

    @property
    def length_s(self) -> float:
        """Return the seconds between the looks."""
        return self.after.at_s - self.before.at_s

    @property
    def names(self) -> list[str]:
        """List the categories that were counted until now."""
        return list(self.after.rows)

    def row(self, name: str) -> CategoryCount:
        """Return what was drawn of a category; zeros if nothing was, and nothing was expected.

        Means and variances are rounded in the hash, so that a tiny difference may come out below 0.
        """
        now, then = self.after.rows.get(name), self.before.rows.get(name)
        if now is None:
            return CategoryCount("", name, 0, 0.0, 0.0, 0.0 if self.after.is_in_seconds else None)
        if then is None:
            return now
        seconds = None if now.seconds is None else max(0.0, now.seconds - (then.seconds or 0.0))
        expected, variance = max(0.0, now.expected - then.expected), max(0.0, now.variance - then.variance)
        return CategoryCount(now.dataset, name, max(0, now.count - then.count), expected, variance, seconds)


def grew(before: Look, after: Look) -> bool:
    """Return whether the later look can be compared: its counts did not fall, and have the same unit."""
    has_unit = not before.rows or before.is_in_seconds == after.is_in_seconds
    return has_unit and after.sums.chunks >= before.sums.chunks and len(after.rows) >= len(before.rows)
