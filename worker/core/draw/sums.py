"""Sums: batches whose durations add up to at most a budget, by a rule that leaves the mix exact.

Let B be the budget, and L the longest chunk that can be drawn. A request draws its next chunk as long as its chunks so
far last at most B - L. So any next chunk fits, and the rule looks at the past alone.

Why the mix is exact: N, the number of chunks drawn, is a stopping time. By Wald's identity the expected count of each
category is E[N] times its chance. Counts less N x chance are a martingale. The variance adds up to that of N
independent draws. The same holds for seconds, and if N is bounded.

Why not stop when the next chunk does not fit: a long chunk would be thrown away more often than a short one. So long
chunks would come too seldom, and so would their categories.

Source: Wald, "On Cumulative Sums of Random Variables", Ann. Math. Stat. 15 (1944).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.core.catalog.durations import Milliseconds
from worker.core.draw.allocation import count_columns, order_by
from worker.core.draw.buckets import Batches
from worker.core.draw.random_numbers import Purpose, RandomNumbers
from worker.core.draw.sampling import Drawn
from worker.core.mixture import Integers, Mixture

_MARGIN = 3.0  # standard deviations, roughly, by which more chunks are drawn at once than are expected


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """A budget that durations add up to.

    Attributes:
        mixture: What is drawn from.
        milliseconds: uint32: how long each chunk lasts, by position.
        room_ms: A chunk is drawn as long as those before it last at most so long; >= 0.
        most: Most chunks of a request.
        expected: Roughly how many a request gets, >= 1.
    """

    mixture: Mixture
    milliseconds: Milliseconds
    room_ms: int
    most: int
    expected: float

    def draw(self, seeds: Sequence[int | None], rng: np.random.Generator) -> Batches:
        """Draw the chunks of each request, a block of numbers at a time, until all have stopped.

        Args:
            seeds: Shape (r,): each request's seed, or None.
            rng: Numbers for the requests without a seed.
        """
        block = math.ceil(self.expected + _MARGIN * math.sqrt(self.expected)) + 1
        numbers = RandomNumbers(seeds, np.ones(len(seeds), np.int64), rng)
        active, lasted, begin = np.arange(len(seeds)), np.zeros(len(seeds), np.int64), 0
        found: list[tuple[Integers, Integers, Integers]] = []
        while len(active) and begin < self.most:
            width = min(block, self.most - begin)
            owners = active.repeat(width)
            positions, columns = self._draw_some(numbers, owners, np.tile(np.arange(begin, begin + width), len(active)))
            each = self.milliseconds.take(positions).astype(np.int64).reshape(-1, width)
            after = lasted[:, None] + each.cumsum(axis=1)
            is_drawn = (after - each <= self.room_ms).ravel()
            found.append((owners[is_drawn], positions[is_drawn], columns[is_drawn]))
            goes_on = after[:, -1] <= self.room_ms
            active, lasted, begin = active[goes_on], after[goes_on, -1], begin + width
        owners, positions, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if len(found) > 1:
            order = order_by(owners)
            positions, columns = positions[order], columns[order]
        sizes = np.bincount(owners, minlength=len(seeds))
        return Batches(sizes, Drawn(positions, count_columns(sizes, columns, len(self.mixture.ready))), None)

    def _draw_some(self, numbers: RandomNumbers, owners: Integers, indexes: Integers) -> tuple[Integers, Integers]:
        """Draw a chunk for each row and index: its position, and its category."""
        finder = self.mixture.finder
        uniforms = numbers.uniforms_at(Purpose.CATEGORY, owners, indexes)
        columns = finder.find(uniforms)
        if finder.finds_positions:
            return finder.find_positions(uniforms, columns), columns
        return finder.pick_positions(numbers.uniforms_at(Purpose.CHUNK, owners, indexes), columns), columns
