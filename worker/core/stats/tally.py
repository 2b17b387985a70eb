"""The tally: counts of what was served, as growth of fields of the stats hash in Redis.

A batch's tally is added to the hash by the same step that writes its results. So counts are as exact as results.

1. All amounts are whole numbers that add up (HINCRBY), in any order, from any number of workers. Expectations and
   variances are in millionths. Milliseconds are exact. A large amount with a fraction takes two fields, whole numbers
   and millionths. So it neither overflows nor is rounded away.
2. Every field belongs to a dataset, `<kind>:<dataset>:...`, so the counts of a dataset can be removed whole. Totals are
   sums over datasets. Beside them, requests that name a split are counted by split.
3. Each batch adds the mean and the variance that its own weights make one expect; see `draw.moments`. Draws are
   independent, so means and variances add up. The comparison stays exact, however often weights change.
4. With few categories, each has a field for count, mean and variance. With many, a batch would grow thousands of fields
   by next to nothing. So only drawn categories are counted, and beside them the chunks drawn from each mixture. The
   mixture's text is stored once; `counts` computes means and variances from it.
5. If weights are shares of audio time, means and variances are of seconds. For many categories, the variance needs the
   mean square of durations. The chunks drawn estimate it, so their seconds and squared seconds are counted, too.

`counts` reads the hash. `folding` replaces mixtures that are no longer drawn from by their sums.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.core.stats.asked import Asked
from worker.core.stats.fields import (
    CHUNKS,
    DRAWN,
    DRAWN_S,
    DRAWN_S2,
    ERRORS,
    EXPECTED,
    EXPECTED_S,
    MICRO,
    MIXTURE,
    MS,
    REQUESTS,
    SPLIT_CHUNKS,
    SPLIT_REQUESTS,
    SQUARED_MS,
    SQUARES_S2,
    VARIANCE,
    VARIANCE_S2,
    Pair,
)

if TYPE_CHECKING:
    from worker.core.mixture import Mixture


@dataclass(slots=True)
class Tally:
    """Counts of a batch, or of several.

    Attributes:
        fields: Field of the stats hash -> how much it grows.
        requests: Results, errors included.
        errors: Error results among them.
        chunks: Chunk ids among the others.
        mixtures: Field of the stats hash -> the mixture whose text it holds, if chunks were counted under it.
        asked: What the weights ask for beyond what the draws could follow; not in the hash.
    """

    fields: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    errors: int = 0
    chunks: int = 0
    mixtures: dict[str, "Mixture"] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)

    def add_requests(self, dataset: str | None, count: int) -> None:
        """Count results written, errors included."""
        self.requests += count
        self._grow(f"{REQUESTS}:{dataset or ''}", count)

    def add_error(self, dataset: str | None, code: str) -> None:
        """Count an error result."""
        self.errors += 1
        self._grow(f"{ERRORS}:{dataset or ''}:{code}", 1)

    def add_split(self, split: str, count: int, *, chunks: int) -> None:
        """Count results of requests that name a split, beside their dataset's counts; errors are left out.

        Args:
            split: A split that has READY chunks.
            count: How many results.
            chunks: How many chunk ids they have together.
        """
        self._grow(f"{SPLIT_REQUESTS}:{split}", count)
        self._grow(f"{SPLIT_CHUNKS}:{split}", chunks)

    def add_chunks(
        self,
        dataset: str | None,
        categories: tuple[str, ...],
        counts: Sequence[int],
        *,
        expected: Sequence[float],
        variances: Sequence[float],
    ) -> None:
        """Count chunks drawn, with the mean and variance of each category.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            categories: Their categories, shape (k,).
            counts: How many of each, shape (k,).
            expected: The mean of each count, shape (k,).
            variances: The variance of each count, shape (k,).
        """
        self.chunks += sum(counts)
        fields, before = self.fields, self.fields.get
        rows = _chunk_fields(dataset, categories)
        for names, count, mean, variance in zip(rows, counts, expected, variances, strict=True):
            count_name, mean_name, variance_name = names
            fields[count_name] = before(count_name, 0) + count
            fields[mean_name] = before(mean_name, 0) + round(mean * MICRO)
            fields[variance_name] = before(variance_name, 0) + round(variance * MICRO)

    def add_drawn(self, dataset: str | None, mixture: "Mixture", counts: Mapping[str, int]) -> None:
        """Count chunks drawn independently from a mixture.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            mixture: What they were drawn from.
            counts: Category -> how many, without zeros.
        """
        for category, count in counts.items():
            self._grow(f"{CHUNKS}:{dataset or ''}:{category}", count)
        chunks = sum(counts.values())
        self.chunks += chunks
        self._grow(f"{DRAWN}:{dataset or ''}:{mixture.version}", chunks)
        self.mixtures[f"{MIXTURE}:{mixture.version}"] = mixture

    def add_seconds(
        self, dataset: str | None, category: str, drawn: tuple[int, int], *, expected_s: float, variance_s2: float
    ) -> None:
        """Count chunks drawn of a category and their seconds, with the mean and variance of those.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            category: Their category.
            drawn: How many chunks, and how many milliseconds they last.
            expected_s: The mean of their seconds.
            variance_s2: The variance of their seconds, in square seconds.
        """
        tail = f"{dataset or ''}:{category}"
        self._add_drawn(tail, *drawn)
        self._grow_finely(EXPECTED_S, tail, expected_s)
        self._grow_finely(VARIANCE_S2, tail, variance_s2)

    def add_seconds_drawn(
        self, dataset: str | None, mixture: "Mixture", mean_s: float, drawn: Mapping[str, tuple[int, int, float]]
    ) -> None:
        """Count chunks drawn independently from a mixture, and their seconds.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            mixture: What they were drawn from.
            mean_s: Expected duration of a chunk of this mixture.
            drawn: Category -> how many chunks, how many milliseconds they last, and the sum of the squares of their
                seconds; without categories that have none.
        """
        for category, (count, milliseconds, squares_s2) in drawn.items():
            tail = f"{dataset or ''}:{category}"
            self._add_drawn(tail, count, milliseconds)
            self._grow(f"{SQUARED_MS}:{tail}", milliseconds)
            self._grow_finely(SQUARES_S2, tail, squares_s2)
        chunks, tail = sum(count for count, _, _ in drawn.values()), f"{dataset or ''}:{mixture.version}"
        self._grow_finely(DRAWN_S, tail, chunks * mean_s)
        self._grow_finely(DRAWN_S2, tail, chunks * mean_s**2)
        self.mixtures[f"{MIXTURE}:{mixture.version}"] = mixture

    def _add_drawn(self, tail: str, count: int, milliseconds: int) -> None:
        self.chunks += count
        self._grow(f"{CHUNKS}:{tail}", count)
        self._grow(f"{MS}:{tail}", milliseconds)

    def _grow_finely(self, kinds: Pair, tail: str, growth: float) -> None:
        """Grow an amount that takes two fields: whole numbers, and millionths."""
        whole = math.floor(growth)
        self._grow(f"{kinds[0]}:{tail}", whole)
        self._grow(f"{kinds[1]}:{tail}", round((growth - whole) * MICRO))

    def _grow(self, name: str, growth: int) -> None:
        self.fields[name] = self.fields.get(name, 0) + growth


def count_fields(dataset: str | None, categories: tuple[str, ...]) -> list[str]:
    """Return the fields that count the chunks of some categories."""
    return [count_name for count_name, _, _ in _chunk_fields(dataset, categories)]


@lru_cache(maxsize=512)  # of up to 64 categories each
def _chunk_fields(dataset: str | None, categories: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    tails = [f"{dataset or ''}:{category}" for category in categories]
    return tuple((f"{CHUNKS}:{tail}", f"{EXPECTED}:{tail}", f"{VARIANCE}:{tail}") for tail in tails)
