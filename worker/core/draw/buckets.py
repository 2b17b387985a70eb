"""Buckets: batches of chunks that last about equally long, while the mix over all batches is still the weights.

The library, as the weights draw it, is cut by duration into buckets of about equal chance. A request draws a bucket,
and then all of its chunks from there. With p_c the chance of category c, P(b | c) the part of its chunks that is in
bucket b, and B the budget:

1. Edges are quantiles of F(t) = sum over c of p_c x (part of c's chunks that last up to t). Chunks that last equally
   long stay together. So there may be fewer buckets than wanted, and none is empty.
2. A batch of bucket b has n_b chunks, as many as fit if each were as long as the longest one: n_b = floor(B / longest).
3. q_b = sum over c of p_c P(b | c) is the chance that a chunk is of bucket b. Requests draw buckets in proportion to
   q_b / n_b, for a bucket of long chunks needs more batches for as many chunks.
4. Within the bucket, categories are drawn by p_c P(b | c) / q_b, and chunks evenly.

Why the mix is exact: with z = sum over b of q_b / n_b, a request is expected to bring, of category c,

    sum over b of (q_b / n_b / z) x n_b x (p_c P(b | c) / q_b) = p_c / z

chunks, which is in proportion to p_c. Its expected size is 1 / z. So counts less size x p_c have mean 0. If weights are
shares of audio time, p_c is the weight divided by the mean duration, and the same holds for seconds.

A bucket and category is a *cell*, a range of places; see `lengths`. Cells lie bucket after bucket on [0, 1), each
bucket as wide as any other. So one number chooses the cell and the chunk of an independent draw, as it does without
buckets. Other draws take the bucket's own mixture, in places instead of positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from worker.core.draw.allocation import Plan, allocate_systematically, count_columns, shuffle_within_requests
from worker.core.draw.cells import Cells
from worker.core.draw.lengths import Lengths
from worker.core.draw.random_numbers import Purpose, RandomNumbers
from worker.core.draw.sampling import Drawn, draw
from worker.core.draw.spread import Spread, Way, measure_spread
from worker.core.mixture import Finder, Floats, Integers, Mixture

_BELOW_ONE = 1.0 - 2.0**-40  # so that no number is rounded up to the next bucket, whatever its own one is


class Batches(NamedTuple):
    """What some requests drew that differ in size.

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
        finder: Finds the cell of a number, and a place within it.
        spread: What requests are expected to draw.
        columns: int64: the category of each cell that the finder knows.
        within: float64, shape (b, k): cumulative shares within each bucket, ascending to exactly 1.
        numbers: int64, shape (b, k): the finder's number of each cell.
        own: A mixture a bucket, in places; empty if a chunk may come twice.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
    """

    mixture: Mixture
    lengths: Lengths
    cells: Cells
    sizes: Integers
    cumulative: Floats
    finder: Finder
    spread: Spread
    columns: Integers
    within: Floats
    numbers: Integers
    own: Sequence[Mixture]
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
        rows = np.arange(len(seeds))
        choosing = RandomNumbers(seeds, np.ones_like(rows), rng)
        chosen = self.cumulative.searchsorted(choosing.uniforms_at(Purpose.BUCKET, rows, np.zeros_like(rows)), "right")
        sizes = self.sizes.take(chosen)
        if not self.replace:
            return Batches(sizes, self._draw_by_bucket(seeds, sizes, chosen, rng), chosen)
        if self.stratified:
            return Batches(sizes, self._draw_stratified(seeds, sizes, chosen, rng), chosen)
        return Batches(sizes, self._draw_independently(seeds, sizes, chosen, rng), chosen)

    def draw_one(self, rng: np.random.Generator) -> Drawn:
        """Draw one request independently and without a seed, as `draw` does; less has to be kept apart.

        Args:
            rng: Its numbers.
        """
        bucket = int(self.cumulative.searchsorted(rng.random(), "right"))
        uniforms = rng.random(int(self.sizes[bucket]))
        uniforms *= _BELOW_ONE / len(self.sizes)
        uniforms += bucket / len(self.sizes)
        cells, finder = self.finder.find(uniforms), self.finder
        if finder.finds_positions:
            places = finder.find_positions(uniforms, cells)
        else:
            places = finder.pick_positions(rng.random(len(uniforms)), cells)
        counts = np.bincount(self.columns.take(cells), minlength=len(self.mixture.categories))
        return Drawn(self.lengths.order.take(places).astype(np.int64, copy=False), counts[None, :])

    def _draw_independently(
        self, seeds: Sequence[int | None], sizes: Integers, chosen: Integers, rng: np.random.Generator
    ) -> Drawn:
        """Draw each chunk by itself, for requests of all buckets in one go."""
        numbers, finder = RandomNumbers(seeds, sizes, rng), self.finder
        uniforms = numbers.uniforms(Purpose.CATEGORY)
        uniforms *= _BELOW_ONE / len(self.sizes)
        uniforms += (chosen / len(self.sizes)).repeat(sizes)
        cells = finder.find(uniforms)
        if finder.finds_positions:
            places = finder.find_positions(uniforms, cells)
        else:
            places = finder.pick_positions(numbers.uniforms(Purpose.CHUNK), cells)
        counts = count_columns(sizes, self.columns.take(cells), len(self.mixture.categories))
        return Drawn(self.lengths.order.take(places).astype(np.int64, copy=False), counts)

    def _draw_stratified(
        self, seeds: Sequence[int | None], sizes: Integers, chosen: Integers, rng: np.random.Generator
    ) -> Drawn:
        """Allocate by the cumulative shares of each request's bucket, and then pick chunks evenly."""
        rows, numbers = np.arange(len(seeds)), RandomNumbers(seeds, sizes, rng)
        shifts = numbers.uniforms_at(Purpose.CATEGORY, rows, np.zeros_like(rows))
        counts = allocate_systematically(sizes, self.within.take(chosen, axis=0), shifts)
        columns = shuffle_within_requests(counts, numbers)
        cells = self.numbers[chosen.repeat(sizes), columns]
        places = self.finder.pick_positions(numbers.uniforms(Purpose.CHUNK), cells)
        return Drawn(self.lengths.order.take(places).astype(np.int64, copy=False), counts)

    def _draw_by_bucket(
        self, seeds: Sequence[int | None], sizes: Integers, chosen: Integers, rng: np.random.Generator
    ) -> Drawn:
        """Draw the requests of one bucket after those of another."""
        positions = np.empty(int(np.add.reduce(sizes)), np.int64)
        counts = np.zeros((len(seeds), len(self.mixture.categories)), np.int64)
        for bucket in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == bucket)
            of_rows = [seeds[row] for row in rows.tolist()]
            plan = Plan(self.own[bucket], sizes[rows], of_rows, self.replace, self.stratified)
            drawn = draw(plan, rng)
            positions[(chosen == bucket).repeat(sizes)] = self.lengths.order.take(drawn.positions)
            counts[np.ix_(rows, np.flatnonzero(self.cells.ready[bucket]))] = drawn.counts
        return Drawn(positions, counts)


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
    rows, columns = np.nonzero(cells.ready)
    within = np.minimum(np.add.accumulate(cells.shares, axis=1), 1.0)
    last = cells.ready.shape[1] - 1 - (cells.ready[:, ::-1] > 0).argmax(axis=1)
    within[np.arange(within.shape[1]) >= last[:, None]] = 1.0
    cumulative = (rows + within[rows, columns]) / len(sizes)
    finder = Finder(cumulative, cells.starts[rows, columns], cells.ready[rows, columns])
    numbers = (np.add.accumulate((cells.ready > 0).ravel()) - 1).reshape(cells.ready.shape)
    own = () if replace else [_own_mixture(mixture, cells, row) for row in range(len(sizes))]
    drawn = np.add.accumulate(cells.chances / sizes)
    drawn /= drawn[-1]
    way = Way(sizes, np.diff(drawn, prepend=0.0), replace, stratified)
    spread = measure_spread(mixture, lengths, cells, way)
    return Buckets(
        mixture, lengths, cells, sizes, drawn, finder, spread, columns, within, numbers, own, replace, stratified
    )


def _own_mixture(mixture: Mixture, cells: Cells, row: int) -> Mixture:
    """Make the mixture of one bucket, over the categories that it has chunks of, in places."""
    columns = np.flatnonzero(cells.ready[row])
    names = tuple(mixture.categories[i] for i in columns.tolist())
    shares, starts, ready = cells.shares[row, columns], cells.starts[row, columns], cells.ready[row, columns]
    cumulative = np.add.accumulate(shares)
    cumulative[-1] = 1.0
    finder = Finder(cumulative, starts, ready)
    return Mixture(names, shares, cumulative, tuple(shares.tolist()), starts, ready, (), finder)
