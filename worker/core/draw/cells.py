"""Cells: the chunks of a mixture by length bucket and category, and the edges of the buckets; see `buckets`."""

from typing import NamedTuple

import numpy as np

from worker.core.draw.length_classes import BOUNDS_MS, class_of
from worker.core.draw.lengths import Lengths
from worker.core.mixture import Floats, Integers, Mixture

_ROUNDING = 1e-12  # by so much a sum may miss a quantile that it reaches exactly


class Cells(NamedTuple):
    """The chunks of a mixture by bucket and category.

    Attributes:
        longest_ms: int64, shape (b,), ascending: the longest chunk of each bucket.
        starts: int64, shape (b, k): place of the first chunk of each cell.
        ready: int64, shape (b, k): number of its chunks.
        chances: float64, shape (b,), each > 0: q_b, the chance that a chunk of the mixture is of the bucket.
        shares: float64, shape (b, k): the share of each category within the bucket, rows summing to 1.
    """

    longest_ms: Integers
    starts: Integers
    ready: Integers
    chances: Floats
    shares: Floats


def find_edges(mixture: Mixture, lengths: Lengths, firsts: Integers, count: int) -> Integers:
    """Find the longest duration of each bucket: quantiles of the durations as the mixture draws them.

    Args:
        mixture: What is drawn from.
        lengths: The chunks by duration.
        firsts: int64, shape (k,): place of the first chunk of each category of the mixture.
        count: How many buckets are wanted.

    Returns:
        int64, shape (b,), ascending, in milliseconds; b is at most `count`. Each is the duration of a chunk, the last
        one that of the longest.
    """
    own = [lengths.milliseconds[first : first + ready] for first, ready in _ranges(firsts, mixture)]
    shortest, longest = min(int(one[0]) for one in own), max(int(one[-1]) for one in own)
    wanted = np.arange(1, count) / count - _ROUNDING
    low, high = np.full(count - 1, shortest), np.full(count - 1, longest)
    weights = (mixture.probabilities / mixture.ready)[:, None]
    while (low < high).any():
        middle = (low + high) // 2
        probes = middle.astype(np.uint32)
        below = np.stack([one.searchsorted(probes, "right") for one in own]) * weights
        # One sum after the other: each machine adds alike, so each finds the same edges.
        reached = np.add.accumulate(below, axis=0)[-1] >= wanted
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return np.unique(np.append(low, longest))


def snap_edges(mixture: Mixture, lengths: Lengths, firsts: Integers, edges: Integers) -> Integers:
    """Move edges up to the ends of length classes, so that each bucket is of whole classes.

    Args:
        mixture: What is drawn from.
        lengths: The chunks by duration.
        firsts: int64, shape (k,): place of the first chunk of each category of the mixture.
        edges: int64, shape (b,), ascending, in milliseconds.

    Returns:
        As `find_edges` does, at most as many.
    """
    own = [lengths.milliseconds[first : first + ready] for first, ready in _ranges(firsts, mixture)]
    bounds = np.unique(BOUNDS_MS[class_of(edges)])
    ends = np.stack([one.searchsorted(bounds.astype(np.uint32), "right") for one in own])
    longest = [np.where(end > 0, one[np.maximum(end, 1) - 1], 0) for one, end in zip(own, ends, strict=True)]
    return np.unique(np.maximum.reduce(longest).astype(np.int64))


def cut_cells(mixture: Mixture, lengths: Lengths, firsts: Integers, edges: Integers) -> Cells:
    """Cut the chunks of a mixture at some durations.

    Args:
        mixture: What is drawn from.
        lengths: The chunks by duration.
        firsts: int64, shape (k,): place of the first chunk of each category of the mixture.
        edges: int64, shape (b,), ascending: the longest duration of each bucket, none of which is empty.
    """
    probes = edges.astype(np.uint32)
    ends = [
        first + lengths.milliseconds[first : first + ready].searchsorted(probes, "right")
        for first, ready in _ranges(firsts, mixture)
    ]
    bounds = np.vstack((firsts, np.stack(ends, axis=1)))
    ready = np.diff(bounds, axis=0)
    joint = ready * (mixture.probabilities / mixture.ready)
    chances = np.add.accumulate(joint, axis=1)[:, -1]
    return Cells(edges, bounds[:-1], ready, chances, joint / chances[:, None])


def _ranges(firsts: Integers, mixture: Mixture) -> list[tuple[int, int]]:
    return list(zip(firsts.tolist(), mixture.ready.tolist(), strict=True))
