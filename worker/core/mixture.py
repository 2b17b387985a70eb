"""The mixture: weights as they apply to one catalog, over the categories that have READY chunks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.weights import Weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Hold weights as they apply to one catalog: renormalised over the categories with READY chunks.

    Attributes:
        categories: Names, shape (k,), k >= 1.
        probabilities: float64, shape (k,), each > 0, summing to 1.
        cumulative: float64, shape (k,), ascending; the last is exactly 1.
        starts: int64, shape (k,): place of each category's first chunk in the catalog's ids.
        ready: int64, shape (k,): how many READY chunks each has, >= 1.
        left_out: Weighted categories without a READY chunk.
    """

    categories: tuple[str, ...]
    probabilities: Floats
    cumulative: Floats
    starts: Integers
    ready: Integers
    left_out: tuple[str, ...]


def mix_weights(weights: Weights, catalog: Catalog) -> Mixture | None:
    """Apply weights to a catalog.

    Args:
        weights: Normalised weights.
        catalog: The READY chunks.

    Returns:
        The mixture, or None when no weighted category has a READY chunk.
    """
    place = {name: i for i, name in enumerate(catalog.categories)}
    names = tuple(name for name in catalog.categories if name in weights.shares)
    if not names:
        return None
    shares = np.array([weights.drawn_share(name) for name in names])
    probabilities = shares / math.fsum(shares)  # exact, so that every machine draws alike
    cumulative = np.cumsum(probabilities)
    cumulative[-1] = 1.0
    rows = np.array([place[name] for name in names])
    starts, ends = catalog.offsets[rows], catalog.offsets[rows + 1]
    left_out = tuple(sorted(weights.shares.keys() - place.keys()))
    return Mixture(names, probabilities, cumulative, starts, ends - starts, left_out)
