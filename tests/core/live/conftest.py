"""Counts as workers make them, and looks at them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from worker.core.live.growth import Look, look_at
from worker.core.stats import Tally, read_counts

Weights = Mapping[str, float]


@dataclass
class Counting:
    """A worker's counts: it draws batches under weights, counts them, and looks at the counts."""

    seed: int = 1
    tally: Tally = field(default_factory=Tally)
    at_s: float = 1000.0

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

    def draw(self, weights: Weights, size: int, dataset: str | None = None) -> Mapping[str, int]:
        names, shares = tuple(weights), np.array(list(weights.values()))
        counts = self._generator.multinomial(size, shares).tolist()
        expected, variances = (size * shares).tolist(), (size * shares * (1 - shares)).tolist()
        self.tally.add_chunks(dataset, names, counts, expected=expected, variances=variances)
        return dict(zip(names, counts, strict=True))

    def look(self, after_s: float = 1.0, dataset: str = "") -> Look:
        self.at_s += after_s
        return look_at(read_counts(self.tally.fields), dataset, self.at_s, round(1000 * self.at_s))


@pytest.fixture
def counting() -> Counting:
    return Counting()
