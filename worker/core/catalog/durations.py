"""How long chunks last: whole milliseconds, so that sums are exact whatever comes and goes.

A mean is a quotient of two whole numbers, and so the same to the last bit on every worker that knows the same chunks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MS_A_SECOND = 1000
LONGEST_S = (2**32 - 1) / MS_A_SECOND
"""The longest duration that a chunk may have, in seconds: 49.7 days."""

_BLOCK = 65_536  # rows at once, so that what is computed of them stays in the processor's cache

Milliseconds = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """Hold how long READY chunks last, and what that makes of their categories; see `measure_durations`.

    Attributes:
        milliseconds: uint32, shape (n,), each >= 1.
        means_s: float64, shape (k,): mean of each category's chunks, in seconds.
        variances_s2: float64, shape (k,): their mean squared distance from it, in square seconds.
    """

    milliseconds: Milliseconds
    means_s: NDArray[np.float64]
    variances_s2: NDArray[np.float64]


def measure_durations(milliseconds: Milliseconds, offsets: NDArray[np.int64]) -> Durations:
    """Compute means and variances of categories.

    Args:
        milliseconds: uint32, shape (n,), each >= 1; nobody may write to it any more.
        offsets: int64, shape (k + 1,): category i owns milliseconds[offsets[i]:offsets[i + 1]], at least one.
    """
    milliseconds.flags.writeable = False
    sizes = np.diff(offsets)
    totals = np.add.reduceat(milliseconds, offsets[:-1], dtype=np.int64) if len(sizes) else sizes
    means_s = np.array([t / (MS_A_SECOND * n) for t, n in zip(totals.tolist(), sizes.tolist(), strict=True)], float)
    squares = np.zeros(len(sizes))
    for start in range(0, len(milliseconds), _BLOCK):
        bounds = offsets.clip(start, start + _BLOCK)
        owned = np.diff(bounds)
        distances = milliseconds[start : start + _BLOCK] / MS_A_SECOND - means_s.repeat(owned)
        there = np.flatnonzero(owned)
        squares[there] += np.add.reduceat(np.square(distances), bounds[there] - start)
    return Durations(milliseconds, means_s, squares / sizes)


def whole_milliseconds(seconds: NDArray[np.float64]) -> Milliseconds:
    """Round durations to milliseconds; 0 stands for what is none: NaN, and what rounds to nothing or to too much.

    Args:
        seconds: float64, shape (n,).

    Returns:
        uint32, shape (n,).
    """
    with np.errstate(over="ignore"):
        rounded = np.rint(seconds * MS_A_SECOND)
    rounded[~((rounded >= 1) & (rounded <= LONGEST_S * MS_A_SECOND))] = 0  # NaN compares as neither
    return rounded.astype(np.uint32)
