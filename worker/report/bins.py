"""A span of time in equal parts, and sums of what was counted in intervals over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_LEAST_S = 1e-3


@dataclass(frozen=True, slots=True)
class Bins:
    """A span of time, divided into equal parts.

    Attributes:
        start: Unix time in s.
        width_s: Length of a part, > 0.
        count: How many parts.
    """

    start: float
    width_s: float
    count: int

    @property
    def edges(self) -> Floats:
        """Return the start of each part and the end of the last one: Unix time in s, shape (count + 1,)."""
        edges: Floats = self.start + self.width_s * np.arange(self.count + 1, dtype=np.float64)
        return edges

    def spread(self, ends: ArrayLike, lengths: ArrayLike, amounts: ArrayLike) -> Floats:
        """Distribute the amounts of intervals over the parts that they overlap, evenly over each interval.

        Args:
            ends: When the intervals ended, Unix time in s, shape (n,).
            lengths: How long they were, in s, shape (n,).
            amounts: What was counted in them, shape (n,).

        Returns:
            float64, shape (count,). Its sum is the amount that lies within the span.
        """
        last = np.asarray(ends, dtype=np.float64) - self.start
        length = np.maximum(np.asarray(lengths, dtype=np.float64), _LEAST_S)
        rate = np.asarray(amounts, dtype=np.float64) / length
        edges: Floats = self.width_s * np.arange(self.count + 1, dtype=np.float64)
        grown = np.diff(_ramps(last - length, rate, edges) - _ramps(last, rate, edges))
        return np.where(grown > 1e-9 * max(1.0, float(np.abs(grown).max(initial=0.0))), grown, 0.0)

    def highest(self, ends: Sequence[float], lengths: Sequence[float], values: Sequence[float]) -> Floats:
        """Return the highest value of the intervals that overlap each part, NaN where none does.

        Args:
            ends: When the intervals ended, Unix time in s, shape (n,).
            lengths: How long they were, in s, shape (n,).
            values: Shape (n,).
        """
        highest = np.full(self.count, np.nan)
        for end, length, value in zip(ends, lengths, values, strict=True):
            # Intervals end a little late: a hundredth of a part is not counted as an overlap.
            first = int((end - length - self.start) / self.width_s + 0.01)
            last = int((end - self.start) / self.width_s - 0.01)
            part = slice(min(first, self.count - 1), max(first, last) + 1)
            highest[part] = np.fmax(highest[part], value)
        return highest


def column(records: Sequence[Any], name: str) -> Floats:
    """Return a field of records that is a number in each, float64, shape (records,)."""
    return np.fromiter(map(attrgetter(name), records), np.float64, len(records))


def divide(start: float, end: float, *, width_s: float, most: int) -> Bins:
    """Divide a span into parts of about `width_s`, at most `most` of them.

    Args:
        start: Unix time in s.
        end: The same, not before `start`.
        width_s: Wanted length of a part, > 0.
        most: Most parts.
    """
    span = max(end - start, _LEAST_S)
    count = int(min(max(round(span / width_s), 1), most))
    return Bins(start, span / count, count)


def _ramps(starts: Floats, rates: Floats, at: Floats) -> Floats:
    """Sum ramps at some times: each ramp grows at its rate from its start on."""
    order = np.argsort(starts)
    rate = np.concatenate([[0.0], np.cumsum(rates[order])])
    before = np.concatenate([[0.0], np.cumsum((rates * starts)[order])])
    begun = np.searchsorted(starts[order], at, side="right")
    grown: Floats = at * rate[begun] - before[begun]
    return grown
