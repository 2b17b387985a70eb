"""Durations of chunks: whole milliseconds, so that sums stay exact whatever is added and removed.

A mean is a quotient of two whole numbers. So it is the same to the last bit on all workers that know the same chunks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MS_A_SECOND = 1000
LONGEST_S = (2**32 - 1) / MS_A_SECOND
"""The longest duration that a chunk may have, in seconds: 49.7 days."""

_BLOCK = 65_536  # rows that are computed at once, so that they stay in the processor's cache

Milliseconds = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """The durations of READY chunks, with mean and variance by category; see `measure_durations`.

    Attributes:
        milliseconds: uint32, shape (n,), each >= 1, by position.
        means_s: float64, shape (k,): mean of each category, in seconds.
        variances_s2: float64, shape (k,): mean squared distance from the mean, in square seconds.
        totals_ms: int64, shape (k,): the sum of each category, in milliseconds.
    """

    milliseconds: Milliseconds
    means_s: NDArray[np.float64]
    variances_s2: NDArray[np.float64]
    totals_ms: NDArray[np.int64]


def measure_durations(milliseconds: Milliseconds, bounds: NDArray[np.int64]) -> Durations:
    """Compute means and variances of categories.

    Args:
        milliseconds: uint32, shape (n,), each >= 1; it becomes read-only.
        bounds: int64, shape (k + 1,): category i owns milliseconds[bounds[i]:bounds[i + 1]], at least one.
    """
    milliseconds.flags.writeable = False
    sizes = np.diff(bounds)
    totals = np.add.reduceat(milliseconds, bounds[:-1], dtype=np.int64) if len(sizes) else sizes
    means_s = _means_s(totals, sizes)
    squares = np.zeros(len(sizes))
    for start in range(0, len(milliseconds), _BLOCK):
        clipped = bounds.clip(start, start + _BLOCK)
        owned = np.diff(clipped)
        distances = milliseconds[start : start + _BLOCK] / MS_A_SECOND - means_s.repeat(owned)
        there = np.flatnonzero(owned)
        squares[there] += np.add.reduceat(np.square(distances), clipped[there] - start)
    return Durations(milliseconds, means_s, squares / sizes, totals)


def merge_durations(
    durations: Durations, sizes: NDArray[np.int64], places: NDArray[np.int64], firsts: NDArray[np.int64]
) -> Durations:
    """Compute means and variances of categories out of those of their parts.

    Args:
        durations: Durations by part.
        sizes: int64, shape (p,): number of chunks of each part.
        places: int64, shape (m,): the parts that are wanted, category after category.
        firsts: int64, shape (k,), ascending: where in `places` each category begins.
    """
    sizes, totals = sizes[places], durations.totals_ms[places]
    means_s, variances_s2 = durations.means_s[places], durations.variances_s2[places]
    if len(places) == len(firsts):
        return Durations(durations.milliseconds, means_s, variances_s2, totals)
    merged, counts = np.add.reduceat(totals, firsts), np.add.reduceat(sizes, firsts)
    merged_s = _means_s(merged, counts)
    distances = means_s - merged_s.repeat(np.diff(np.append(firsts, len(places))))
    squares = np.add.reduceat(sizes * (variances_s2 + np.square(distances)), firsts)
    return Durations(durations.milliseconds, merged_s, squares / counts, merged)


def _means_s(totals_ms: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide whole numbers by whole numbers in Python, which rounds once."""
    pairs = zip(totals_ms.tolist(), sizes.tolist(), strict=True)
    return np.array([total / (MS_A_SECOND * size) for total, size in pairs], float)


def whole_milliseconds(seconds: NDArray[np.float64]) -> Milliseconds:
    """Round durations to milliseconds. 0 stands for no duration: NaN, and what rounds to zero or is too long.

    Args:
        seconds: float64, shape (n,).

    Returns:
        uint32, shape (n,).
    """
    with np.errstate(over="ignore"):
        rounded = np.rint(seconds * MS_A_SECOND)
    rounded[~((rounded >= 1) & (rounded <= LONGEST_S * MS_A_SECOND))] = 0  # NaN compares as neither
    return rounded.astype(np.uint32)
