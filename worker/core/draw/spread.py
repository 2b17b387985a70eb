"""Moments of requests that draw a length bucket; see `moments` for those of others, and `buckets` for the draw.

The counts of a request of n chunks are compared with n p. Here p is the chance of the category in the whole library.
Within bucket b its counts have mean n_b p_b, with p_b the share within the bucket. So the distance from n p has two
parts:

- the distance from the bucket's own mean. It has the variance of n_b draws from the bucket's mixture.
- the distance between that mean and n_b p. Over the buckets it has mean 0, see `buckets`. Its variance is the mean of
  its square.

So each request adds the same variance, the mean over the buckets of both. It is known before the bucket is drawn.

Without replacement a category may run out within some buckets. In requests of these the first part counts as 0, as in
`moments`. The second part stays, because it would no longer have mean 0 if some buckets were left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import MS_A_SECOND
from worker.core.draw.cells import Cells
from worker.core.draw.lengths import Lengths
from worker.core.mixture import Floats, Integers, Mixture


class Way(NamedTuple):
    """How requests draw from buckets.

    Attributes:
        sizes: int64, shape (b,): chunks of a batch of each bucket.
        chances: float64, shape (b,): the chance of each bucket to be drawn by a request.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
    """

    sizes: Integers
    chances: Floats
    replace: bool
    stratified: bool


class Spread(NamedTuple):
    """What requests are expected to draw, in amounts: chunks, or seconds if weights are shares of audio time.

    Attributes:
        each: float64, shape (k,): the mean of a chunk, from the whole library.
        own: float64, shape (b, k): the mean of a request of each bucket.
        variances: float64, shape (k,): what each request adds.
        within: float64, shape (b, k): the first part of it, if nothing could run out.
        may_run_out: bool, shape (b,): whether a category may run out within a request of the bucket.
        means_s: float64, shape (b, k): mean duration of the chunks of a cell; 1 if weights are shares of chunks.
        variances_s2: float64, shape (b, k): the variance of those; 0 likewise.
    """

    each: Floats
    own: Floats
    variances: Floats
    within: Floats
    may_run_out: NDArray[np.bool_]
    means_s: Floats
    variances_s2: Floats


def measure_spread(mixture: Mixture, lengths: Lengths, cells: Cells, way: Way) -> Spread:
    """Compute what requests of some buckets are expected to draw.

    Args:
        mixture: The weights applied to the whole library.
        lengths: The chunks by duration.
        cells: The cells.
        way: How requests draw from them.
    """
    sizes = way.sizes[:, None]
    counts = sizes * cells.shares
    means_s, variances_s2 = _durations(mixture, lengths, cells)
    each = mixture.probabilities * (1.0 if mixture.times is None else mixture.times.means_s)
    fraction = counts - np.floor(counts)
    of_counts = fraction * (1.0 - fraction) if way.stratified else counts * (1.0 - cells.shares)
    terms, largest = counts, np.ceil(counts) if way.stratified else sizes * (cells.ready > 0)
    may_run_out = np.zeros(len(sizes), np.bool_)
    if not way.replace:
        terms = finite(counts, np.square(counts) + of_counts, cells.ready)
        may_run_out = np.logical_or.reduce(largest > cells.ready, axis=1)
    within = terms * variances_s2 + of_counts * np.square(means_s)
    own = counts * means_s
    parts = np.where(may_run_out[:, None], 0.0, within) + np.square(own - sizes * each)
    variances = np.add.reduce(way.chances[:, None] * parts, axis=0)
    return Spread(each, own, variances, within, may_run_out, means_s, variances_s2)


def finite(means: Floats | Integers, squares: Floats | Integers, ready: Integers) -> Floats:
    """Correct numbers of chunks that are drawn without replacement: by what part of v their sum's variance grows.

    Source: Cochran, "Sampling Techniques", section 2.6.
    """
    corrected: Floats = (ready * means - squares) / np.maximum(ready - 1, 1)
    return corrected


def _durations(mixture: Mixture, lengths: Lengths, cells: Cells) -> tuple[Floats, Floats]:
    """Compute mean and variance of the durations of each cell, shape (b, k) each; 1 and 0 if they do not matter."""
    means_s, variances_s2 = np.ones(cells.ready.shape), np.zeros(cells.ready.shape)
    if mixture.times is None:
        return means_s, variances_s2
    seconds = np.append(lengths.milliseconds, np.uint32(0)) / MS_A_SECOND
    there = cells.ready.T > 0  # category after category, so that places ascend
    starts, ready = cells.starts.T[there], cells.ready.T[there]
    bounds = np.stack((starts, starts + ready), axis=1).ravel()
    means = np.add.reduceat(seconds, bounds)[::2] / ready
    squares = np.add.reduceat(np.square(seconds), bounds)[::2] / ready
    means_s.T[there], variances_s2.T[there] = means, np.maximum(squares - np.square(means), 0.0)
    return means_s, variances_s2
