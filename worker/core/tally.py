"""Counts of what was served, by the weights it was drawn under, and the fields that hold them in Redis.

Everything is counted below a dataset, so that a dataset's counts can be removed without a trace; totals are sums.
Expectations and variances are kept beside the counts, in millionths, so that weights may change and the
comparison stays exact. Where there are hundreds of categories, a batch would grow thousands of fields by next to
nothing: then only what was drawn is counted, beside how many chunks were drawn from which mixture.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from worker.core.mixture import Mixture
from worker.core.statistics import z_score

MICRO = 1_000_000
_REQUESTS, _ERRORS, _CHUNKS, _EXPECTED, _VARIANCE = "requests", "errors", "chunks", "expected", "variance"
_DRAWN, _MIXTURE = "drawn", "mixture"


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
    mixtures: dict[str, Mixture] = field(default_factory=dict)

    def add_requests(self, dataset: str | None, count: int) -> None:
        """Count results written, errors included."""
        self.requests += count
        self._grow(f"{_REQUESTS}:{dataset or ''}", count)

    def add_error(self, dataset: str | None, code: str) -> None:
        """Count an error result."""
        self.errors += 1
        self._grow(f"{_ERRORS}:{dataset or ''}:{code}", 1)

    def add_chunks(self, dataset: str | None, category: str, count: int, *, expected: float, variance: float) -> None:
        """Count chunks drawn of a category, beside what was expected.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            category: Their category.
            count: How many.
            expected: How many the weights make one expect.
            variance: How much that varies.
        """
        self.chunks += count
        counted, awaited, spread = _chunk_fields(dataset, category)
        self._grow(counted, count)
        self._grow(awaited, round(expected * MICRO))
        self._grow(spread, round(variance * MICRO))

    def add_drawn(self, dataset: str | None, mixture: Mixture, counts: Mapping[str, int]) -> None:
        """Count chunks drawn independently from a mixture.

        Args:
            dataset: Whose weights they were drawn under; None for the global ones.
            mixture: What they were drawn from.
            counts: Category -> how many; those of which there are any.
        """
        for category, count in counts.items():
            self._grow(_chunk_fields(dataset, category)[0], count)
        chunks = sum(counts.values())
        self.chunks += chunks
        self._grow(f"{_DRAWN}:{dataset or ''}:{mixture.version}", chunks)
        self.mixtures[f"{_MIXTURE}:{mixture.version}"] = mixture

    def _grow(self, name: str, growth: int) -> None:
        self.fields[name] = self.fields.get(name, 0) + growth


@lru_cache(maxsize=16_384)
def _chunk_fields(dataset: str | None, category: str) -> tuple[str, str, str]:
    tail = f"{dataset or ''}:{category}"
    return f"{_CHUNKS}:{tail}", f"{_EXPECTED}:{tail}", f"{_VARIANCE}:{tail}"


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Hold how often a category was drawn, and how often it should have been."""

    dataset: str
    category: str
    count: int
    expected: float
    variance: float

    @property
    def z(self) -> float:
        """Tell how many standard deviations the count is off."""
        return z_score(self.count, self.expected, self.variance)


@dataclass(frozen=True, slots=True)
class Counts:
    """Hold a stats hash, read.

    Attributes:
        requests: Dataset, or preset as `preset:<name>` -> results written; "" are the global weights.
        errors: (dataset, code) -> error results among them.
        categories: Chunks drawn, by dataset and category, sorted.
    """

    requests: Mapping[str, int]
    errors: Mapping[tuple[str, str], int]
    categories: tuple[CategoryCount, ...]

    @property
    def chunks(self) -> int:
        """Count the chunks drawn."""
        return sum(row.count for row in self.categories)

    def datasets(self) -> Iterator[tuple[str, tuple[CategoryCount, ...]]]:
        """Walk over the datasets that chunks were drawn for."""
        for dataset in sorted({row.dataset for row in self.categories}):
            yield dataset, tuple(row for row in self.categories if row.dataset == dataset)


def read_counts(fields: Mapping[str, int], mixtures: Mapping[str, str] = MappingProxyType({})) -> Counts:
    """Read a stats hash; fields of other kinds are left alone.

    Args:
        fields: Field -> count.
        mixtures: Field -> the text of a mixture, among others.
    """
    kinds: dict[str, dict[tuple[str, str], int]] = {}
    for name, count in fields.items():
        kind, dataset, rest = _split(name)
        kinds.setdefault(kind, {})[dataset, rest] = count
    expected = {key: micro / MICRO for key, micro in kinds.get(_EXPECTED, {}).items()}
    variance = {key: micro / MICRO for key, micro in kinds.get(_VARIANCE, {}).items()}
    for (dataset, version), chunks in kinds.get(_DRAWN, {}).items():
        for category, share in json.loads(mixtures.get(f"{_MIXTURE}:{version}", "{}")).items():
            key = (dataset, category)
            expected[key] = expected.get(key, 0.0) + chunks * share
            variance[key] = variance.get(key, 0.0) + chunks * share * (1.0 - share)
    counts = kinds.get(_CHUNKS, {})
    return Counts(
        {tail[0]: count for tail, count in kinds.get(_REQUESTS, {}).items()},
        kinds.get(_ERRORS, {}),
        tuple(
            CategoryCount(key[0], key[1], counts.get(key, 0), expected.get(key, 0.0), variance.get(key, 0.0))
            for key in sorted(counts.keys() | expected.keys())
        ),
    )


def fields_of_dataset(fields: Mapping[str, object], dataset: str) -> list[str]:
    """List the fields of a stats hash that belong to one dataset."""
    return [name for name in fields if _split(name)[1] == dataset]


def _split(name: str) -> tuple[str, str, str]:
    """Part a field's name into its kind, its dataset (a preset has a colon in it), and its category or code."""
    kind, _, rest = name.partition(":")
    dataset, _, last = (rest, "", "") if kind == _REQUESTS else rest.rpartition(":")
    return kind, dataset, last
