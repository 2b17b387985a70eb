"""Draw for a batch of one plain request, as most batches are while little is asked for.

The draw is the same as in a group, but nothing has to be kept apart. What the counts of such requests share is written
once. Together this saves half of the time.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from worker.core.draw.buckets import Buckets
from worker.core.draw.sums import Sums
from worker.core.mixture import Integers, Mixture
from worker.core.stats import Tally
from worker.core.stats.tally import count_fields
from worker.core.wire import Terms


class SingleDrawn(NamedTuple):
    """The chunks that were drawn for one request.

    Attributes:
        positions: int64, shape (n,): chunks in random order.
        counts: How many of them are of each category, shape (k,).
        sizes: int64, shape (1,): n.
    """

    positions: Integers
    counts: list[int]
    sizes: Integers


class Single(Protocol):
    """Draws for plain requests of the same terms, one at a time."""

    def draw(self, rng: np.random.Generator, tally: Tally) -> SingleDrawn:
        """Draw for one request, and count it in the empty tally of its batch."""


def make_single(
    terms: Terms, dataset: str | None, mixture: Mixture, size: int, varying: Buckets | Sums | None
) -> Single | None:
    """Prepare the draws for plain requests: independent ones, under weights of chunks, without a session.

    Args:
        terms: What the requests ask for.
        dataset: Whose weights they are drawn under.
        mixture: The weights applied to the catalog.
        size: How many chunks they get.
        varying: What they get instead of so many.

    Returns:
        None if such requests are not plain.
    """
    is_independent = terms.method == "random" and terms.replace and terms.session is None
    if not is_independent or mixture.times is not None or mixture.is_wide or isinstance(varying, Sums):
        return None
    if varying is not None:
        return _Bucketed(terms, dataset, mixture, varying)
    return _Plain(terms, dataset, mixture, size)


class _Counted:
    """Counts plain requests of the same terms."""

    def __init__(self, terms: Terms, dataset: str | None, mixture: Mixture) -> None:
        self._split, self._dataset, self._mixture = terms.split, dataset, mixture

    def _count(self, tally: Tally, counts: list[int], size: int, variances: Sequence[float]) -> None:
        """Count a request of so many chunks, and what the weights make one expect of it."""
        expected = [size * share for share in self._mixture.shares]
        tally.add_requests(self._dataset, 1)
        tally.add_chunks(self._dataset, self._mixture.categories, counts, expected=expected, variances=variances)
        if self._split is not None:
            tally.add_split(self._split, 1, chunks=size)

    def _note(self, tally: Tally, size: int) -> None:
        """Note what the weights ask for beyond what could be drawn."""
        if self._mixture.left_out:
            tally.asked.add_incomplete(self._dataset or "", self._mixture, size)


class _Plain(_Counted):
    """Plain requests of one size: what they add to the counts differs in the chunks of each category alone."""

    def __init__(self, terms: Terms, dataset: str | None, mixture: Mixture, size: int) -> None:
        super().__init__(terms, dataset, mixture)
        self._size, self._width = size, len(mixture.categories)
        self._sizes = np.array([size])
        shared = Tally()
        self._count(shared, [0] * self._width, size, [size * share * (1.0 - share) for share in mixture.shares])
        self._growth, self._counted = shared.fields, count_fields(dataset, mixture.categories)

    def draw(self, rng: np.random.Generator, tally: Tally) -> SingleDrawn:
        """Draw for one request, and count it in the empty tally of its batch."""
        finder = self._mixture.finder
        uniforms = rng.random(self._size)
        columns = finder.find(uniforms)
        if finder.finds_positions:
            positions = finder.find_positions(uniforms, columns)
        else:
            positions = finder.pick_positions(rng.random(self._size), columns)
        counts: list[int] = np.bincount(columns, minlength=self._width).tolist()
        tally.requests, tally.chunks, tally.fields = 1, self._size, self._growth.copy()
        tally.fields.update(zip(self._counted, counts, strict=True))
        self._note(tally, self._size)
        return SingleDrawn(positions, counts, self._sizes)


class _Bucketed(_Counted):
    """Plain requests whose size depends on the bucket."""

    def __init__(self, terms: Terms, dataset: str | None, mixture: Mixture, buckets: Buckets) -> None:
        super().__init__(terms, dataset, mixture)
        self._buckets = buckets
        self._variances: list[float] = buckets.spread.variances.tolist()

    def draw(self, rng: np.random.Generator, tally: Tally) -> SingleDrawn:
        """Draw for one request, and count it in the empty tally of its batch."""
        drawn = self._buckets.draw_one(rng)
        size, counts = len(drawn.positions), drawn.counts[0].tolist()
        tally.asked.add_together(self._dataset or "", self._buckets.most)
        self._count(tally, counts, size, self._variances)
        self._note(tally, size)
        return SingleDrawn(drawn.positions, counts, np.array([size]))
