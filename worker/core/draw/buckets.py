"""Buckets: batches of chunks that last about equally long, while the mix over all batches is still the weights.

The library, as the weights draw it, is cut by duration into buckets of about equal chance. A request draws a bucket,
and then all of its chunks from there. Let p_c be the chance of category c. Let P(b | c) be the part of its chunks that
is in bucket b. Let B be the budget.

1. Edges are quantiles of F(t), the chance that a drawn chunk lasts up to t. F(t) is the sum over c of p_c x (part of
   c's chunks that last up to t). Chunks that last equally long stay together. So there may be fewer buckets than
   wanted, and none is empty.
2. A batch of bucket b has as many chunks as fit if each were as long as the longest one: n_b = floor(B / longest).
3. q_b = sum over c of p_c P(b | c) is the chance that a chunk is of bucket b. Requests draw buckets in proportion to
   q_b / n_b. For as many chunks, a bucket of long chunks needs more batches.
4. Within the bucket, categories are drawn by p_c P(b | c) / q_b, and chunks evenly.

Why the mix is exact: let z = sum over b of q_b / n_b. The expected number of chunks of category c in a request is

    sum over b of (q_b / n_b / z) x n_b x (p_c P(b | c) / q_b)
    = p_c / z

which is in proportion to p_c. Its expected size is 1 / z. So counts less size x p_c have mean 0. If weights are shares
of audio time, p_c is the weight divided by the mean duration. Then the same holds for seconds.

A bucket and category is a *cell*, a range of places; see `lengths`. So a bucket is a mixture of its own, in places
instead of positions. Requests of all buckets are drawn in one go; see `plans`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from worker.core.draw.cells import Cells
from worker.core.draw.lengths import Lengths
from worker.core.draw.plans import Choice, Plan, Several
from worker.core.draw.random_numbers import Purpose, draw_one_each
from worker.core.draw.sampling import Drawn, draw
from worker.core.draw.spread import Spread, Way, measure_spread
from worker.core.mixture import Finder, Floats, Integers, Mixture


class Batches(NamedTuple):
    """The draws of some requests that differ in size.

    Attributes:
        sizes: int64, shape (r,): how many chunks each got.
        drawn: The chunks.
        buckets: int64, shape (r,): the bucket of each; None if there are none.
    """

    sizes: Integers
    drawn: Drawn
    buckets: Integers | None


@dataclass(frozen=True, eq=False)
class Buckets:
    """Several buckets, and how to draw from them; `make_buckets` makes them.

    Attributes:
        mixture: The weights applied to the whole library.
        lengths: The order that cells are ranges of.
        cells: The cells.
        sizes: int64, shape (b,): chunks of a batch of each bucket.
        cumulative: float64, shape (b,), ascending to exactly 1: chances of the buckets.
        several: A mixture a bucket, in places instead of positions.
        spread: What requests are expected to draw.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
    """

    mixture: Mixture
    lengths: Lengths
    cells: Cells
    sizes: Integers
    cumulative: Floats
    several: Several
    spread: Spread
    replace: bool
    stratified: bool

    @cached_property
    def most(self) -> int:
        """Return the most chunks of a batch."""
        return int(self.sizes.max())

    @property
    def mean(self) -> float:
        """Return the expected chunks of a batch."""
        return float(np.diff(self.cumulative, prepend=0.0) @ self.sizes)

    def draw(self, seeds: Sequence[int | None], rng: np.random.Generator) -> Batches:
        """Draw a bucket for each request, and its chunks from there.

        Args:
            seeds: Shape (r,): each request's seed, or None.
            rng: Numbers for the requests without a seed.
        """
        return self.draw_at(draw_one_each(seeds, Purpose.BUCKET, rng), seeds, rng)

    def draw_at(self, uniforms: Floats, seeds: Sequence[int | None], rng: np.random.Generator) -> Batches:
        """Draw chunks from the buckets that some numbers stand for.

        Args:
            uniforms: float64, shape (r,), in [0, 1): a number for each request.
            seeds: As for `draw`.
            rng: As for `draw`.
        """
        chosen = self.cumulative.searchsorted(uniforms, "right")
        sizes = self.sizes.take(chosen)
        plan = Plan(self.mixture, sizes, seeds, self.replace, self.stratified, Choice(self.several, chosen))
        places, counts = draw(plan, rng)
        return Batches(sizes, Drawn(self._positions_at(places), counts), chosen)

    def draw_one(self, rng: np.random.Generator) -> Drawn:
        """Draw one request independently and without a seed, as `draw` does; less has to be kept apart.

        Args:
            rng: Its numbers.
        """
        bucket, finder = int(self.cumulative.searchsorted(rng.random(), "right")), self.several.finder
        uniforms = rng.random(int(self.sizes[bucket]))
        self.several.narrow(uniforms, bucket / len(self.sizes))
        cells = finder.find(uniforms)
        if finder.finds_positions:
            places = finder.find_positions(uniforms, cells)
        else:
            places = finder.pick_positions(rng.random(len(uniforms)), cells)
        counts = np.bincount(self.several.columns.take(cells), minlength=len(self.mixture.categories))
        return Drawn(self._positions_at(places), counts[None, :])

    def _positions_at(self, places: Integers) -> Integers:
        """Return the positions of chunks, int64, shape (n,); NumPy is faster when it clips than when it may refuse."""
        return self.lengths.order.take(places, mode="clip").astype(np.int64, copy=False)


def make_buckets(
    mixture: Mixture, lengths: Lengths, cells: Cells, sizes: Integers, *, replace: bool, stratified: bool
) -> Buckets:
    """Prepare draws from several buckets.

    Args:
        mixture: The weights applied to the whole library.
        lengths: The chunks by duration.
        cells: The cells.
        sizes: int64, shape (b,), each >= 1: chunks of a batch of each bucket.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
    """
    drawn = np.add.accumulate(cells.chances / sizes)
    drawn /= drawn[-1]
    way = Way(sizes, np.diff(drawn, prepend=0.0), replace, stratified)
    spread = measure_spread(mixture, lengths, cells, way)
    return Buckets(mixture, lengths, cells, sizes, drawn, _side_by_side(cells), spread, replace, stratified)


def _side_by_side(cells: Cells) -> Several:
    """Make a mixture of each bucket, in places."""
    rows, columns = np.nonzero(cells.ready)
    within = np.minimum(np.add.accumulate(cells.shares, axis=1), 1.0)
    last = cells.ready.shape[1] - 1 - (cells.ready[:, ::-1] > 0).argmax(axis=1)
    within[np.arange(within.shape[1]) >= last[:, None]] = 1.0
    cumulative = (rows + within[rows, columns]) / len(within)
    finder = Finder(cumulative, cells.starts[rows, columns], cells.ready[rows, columns])
    numbers = (np.add.accumulate((cells.ready > 0).ravel()) - 1).reshape(cells.ready.shape)
    return Several(finder, columns, numbers, cells.ready, cells.shares, within)
