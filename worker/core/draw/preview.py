"""Preview: what some weights would draw, before they are in force."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from worker.core.catalog import Catalog
from worker.core.mixture import make_mixture
from worker.core.weights.left_out import sentences
from worker.core.weights.values import Weights

MOST_PLAYS: Final = 16
"""How often a chunk may be heard, on average, without a warning.

Source: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models". Up to 4 passes over the same data train
about as well as new data. By some 15 passes, the value of repeating has decayed by 1 - 1/e.
"""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What one weighted category would give.

    Attributes:
        category: Its name.
        weight: Its weight, 0 to 1.
        ready: Its READY chunks.
        share: Its part of the draws, 0 to 1. The share of an empty category goes to the others.
        expected: The expected number of its chunk ids.
        spread: The standard deviation of that number.
        plays: How often each of its chunks would be heard, on average.
        expected_s: The expected seconds of it; None if weights are shares of the chunks drawn.
    """

    category: str
    weight: float
    ready: int
    share: float
    expected: float
    spread: float
    plays: float
    expected_s: float | None


def preview(weights: Weights, catalog: Catalog, size: int) -> list[PreviewRow]:
    """Compute what independent draws with replacement would give, the heaviest category first.

    Args:
        weights: The weights.
        catalog: The READY chunks.
        size: How many chunk ids, >= 1.
    """
    mixture = make_mixture(weights, catalog.view)
    rows = {name: PreviewRow(name, weight, 0, 0.0, 0.0, 0.0, 0.0, None) for name, weight in weights.shares.items()}
    if mixture is not None:
        ready, means_s = mixture.ready.tolist(), mixture.times and mixture.times.means_s.tolist()
        for i, (name, share) in enumerate(zip(mixture.categories, mixture.probabilities.tolist(), strict=True)):
            expected, spread = size * share, math.sqrt(size * share * (1 - share))
            expected_s = expected * means_s[i] if means_s else None
            weight = weights.shares[name]
            rows[name] = PreviewRow(name, weight, ready[i], share, expected, spread, expected / ready[i], expected_s)
    return sorted(rows.values(), key=lambda row: (-row.weight, row.category))


def warnings(rows: Sequence[PreviewRow], ready: Collection[str]) -> list[str]:
    """Write a sentence for each category that is empty, or whose chunks would be heard too often.

    Args:
        rows: From `preview`.
        ready: Categories that have READY chunks.
    """
    found = sentences({row.category: row.weight for row in rows}, ready)
    for row in rows:
        if row.plays > MOST_PLAYS:
            chunks = "the only chunk" if row.ready == 1 else f"each of the {row.ready:,} chunks"
            often = f"would be heard {row.plays:,.0f} times on average"
            found.append(f"{row.category}: {chunks} {often}, more than {MOST_PLAYS}")
    return found
