"""Lengths: the chunks of a view by how long they last, so that those of one length lie side by side.

A chunk's *place* is its index in the order by category, and by duration within a category. So the chunks of a category
with durations between two edges are a range of places. A bucket needs no list of its chunks. Chunks that last equally
long stay in the order of their positions, so every worker has the same order.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog, View
from worker.core.catalog.durations import LONGEST_S, MS_A_SECOND, Milliseconds
from worker.core.mixture import Floats, Integers, Mixture

_SLACK_MS = 1e-6  # a decimal number of seconds, times 1000, may come out a little above a whole number
_SHORT = 2**31  # positions below it take half as much memory


class Lengths(NamedTuple):
    """The chunks of a view by duration.

    Attributes:
        order: int32 if all positions fit, else int64, shape (n,): position of the chunk at each place.
        milliseconds: uint32, shape (n,): how long it lasts.
        firsts: int64, shape (k,): place of the shortest chunk of each category of the view.
    """

    order: NDArray[np.int32] | Integers
    milliseconds: Milliseconds
    firsts: Integers


class Extent(NamedTuple):
    """How long the chunks of a mixture last, by category.

    Attributes:
        unknown: int64, shape (k,): chunks without a duration.
        longest_ms: int64, shape (k,).
        means_ms: float64, shape (k,).
    """

    unknown: Integers
    longest_ms: Integers
    means_ms: Floats


def milliseconds_of(catalog: Catalog) -> Milliseconds | None:
    """Return how long each chunk of a catalog lasts, uint32, by position; 0: not known. None: nothing is held.

    Durations that weights go by are taken as they are. Those of a held column are rounded up.
    """
    if catalog.durations is not None:
        return catalog.durations.milliseconds
    if catalog.columns is None or "duration_s" not in catalog.columns.numbers:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ceil(catalog.columns.numbers["duration_s"] * MS_A_SECOND - _SLACK_MS)
    rounded[~((rounded >= 1) & (rounded <= LONGEST_S * MS_A_SECOND))] = 0  # NaN compares as neither
    return rounded.astype(np.uint32)


def order_by_length(view: View, milliseconds: Milliseconds) -> Lengths:
    """Order the chunks of a view by category and duration.

    Args:
        view: The categories, and where they lie.
        milliseconds: uint32, by position.
    """
    sizes = view.ends - view.starts
    count = int(sizes.sum())
    order = np.empty(count, np.int64)
    firsts = sizes.cumsum() - sizes
    for first, start, end in zip(firsts.tolist(), view.starts.tolist(), view.ends.tolist(), strict=True):
        own = milliseconds[start:end].argsort(kind="stable")
        own += start
        order[first : first + len(own)] = own
    narrow = order.astype(np.int32) if len(milliseconds) < _SHORT else order
    return Lengths(narrow, milliseconds[order], firsts)


def measure_extent(mixture: Mixture, milliseconds: Milliseconds) -> Extent:
    """Measure how long the chunks of a mixture last.

    Args:
        mixture: What is drawn from.
        milliseconds: uint32, by position.
    """
    width = len(mixture.categories)
    unknown, longest, means = np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width)
    for i, (start, ready) in enumerate(zip(mixture.starts.tolist(), mixture.ready.tolist(), strict=True)):
        own = milliseconds[start : start + ready]
        unknown[i] = ready - np.count_nonzero(own)
        longest[i], means[i] = own.max(), own.sum(dtype=np.int64) / ready
    return Extent(unknown, longest, means)
