"""Count what was served, by the weights it was drawn under, as growth of the fields that hold it in Redis.

Everything is counted below a dataset, so that a dataset's counts can be removed without a trace; totals are sums.
Expectations and variances are kept beside the counts, in millionths, so that weights may change and the
comparison stays exact. Where there are hundreds of categories, a batch would grow thousands of fields by next to
nothing: then only what was drawn is counted, beside how many chunks were drawn from which mixture.

Where weights are shares of audio time, the same is counted in seconds. Milliseconds drawn are exact; what may be
large and has a fraction stands in two fields, whole numbers and millionths, so that neither overflows nor is rounded
away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

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
    """Count results.

    Attributes:
        fields: Field of the stats hash -> how much it grows.
        requests: Results, errors included.
        errors: Error results among them.
        chunks: Chunk ids among the others.
        mixtures: Field of the stats hash -> the mixture that stands there, of those that chunks were counted under.
    """

    fields: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    errors: int = 0
    chunks: int = 0
    mixtures: dict[str, "Mixture"] = field(default_factory=dict)

    def add_requests(self, dataset: str | None, count: int) -> None:
        """Count results written, errors included."""
        self.requests += count
        self._grow(f"{REQUESTS}:{dataset or ''}", count)

    def add_error(self, dataset: str | None, code: str) -> None:
        """Count an error result."""
        self.errors += 1
        self._grow(f"{ERRORS}:{dataset or ''}:{code}", 1)

    def add_chunks(
        self,
        dataset: str | None,
        categories: tuple[str, ...],
        counts: Sequence[int],
        *,
        expected: Sequence[float],
        variances: Sequence[float],
    ) -> None:
        """Count chunks drawn of some categories, beside what was expected.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            categories: Their categories, shape (k,).
            counts: How many of each, shape (k,).
            expected: How many the weights make one expect, shape (k,).
            variances: How much that varies, shape (k,).
        """
        self.chunks += sum(counts)
        fields, before = self.fields, self.fields.get
        names = _chunk_fields(dataset, categories)
        for (counted, awaited, spread), count, mean, variance in zip(names, counts, expected, variances, strict=True):
            fields[counted] = before(counted, 0) + count
            fields[awaited] = before(awaited, 0) + round(mean * MICRO)
            fields[spread] = before(spread, 0) + round(variance * MICRO)

    def add_drawn(self, dataset: str | None, mixture: "Mixture", counts: Mapping[str, int]) -> None:
        """Count chunks drawn independently from a mixture.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            mixture: What they were drawn from.
            counts: Category -> how many; those of which there are any.
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
        """Count chunks drawn of a category, and how long they last beside what was expected.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            category: Their category.
            drawn: How many, and how many milliseconds they last.
            expected_s: How many seconds the weights make one expect.
            variance_s2: How much that varies, in square seconds.
        """
        tail = f"{dataset or ''}:{category}"
        self._add_drawn(tail, *drawn)
        self._grow_finely(EXPECTED_S, tail, expected_s)
        self._grow_finely(VARIANCE_S2, tail, variance_s2)

    def add_seconds_drawn(
        self, dataset: str | None, mixture: "Mixture", mean_s: float, drawn: Mapping[str, tuple[int, int, float]]
    ) -> None:
        """Count chunks drawn independently from a mixture, and how long they last.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            mixture: What they were drawn from.
            mean_s: Seconds that a chunk of it is expected to last.
            drawn: Category -> how many, how many milliseconds they last, and the sum of the squares of their seconds;
                of the categories that there are any of.
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
        """Let an amount grow that stands in two fields: whole numbers, and millionths."""
        whole = math.floor(growth)
        self._grow(f"{kinds[0]}:{tail}", whole)
        self._grow(f"{kinds[1]}:{tail}", round((growth - whole) * MICRO))

    def _grow(self, name: str, growth: int) -> None:
        self.fields[name] = self.fields.get(name, 0) + growth


@lru_cache(maxsize=512)  # of up to 64 categories each
def _chunk_fields(dataset: str | None, categories: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    tails = [f"{dataset or ''}:{category}" for category in categories]
    return tuple((f"{CHUNKS}:{tail}", f"{EXPECTED}:{tail}", f"{VARIANCE}:{tail}") for tail in tails)
