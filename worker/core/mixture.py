"""The mixture: weights as they apply to one catalog, over the categories that have READY chunks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.weights import Weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_COMPARED = 16  # up to so many categories, comparing with all of them is quickest
_JUST_BELOW_ONE = 1.0 - 2.0**-50  # rounding must not lead to the chunk behind the last
_STEEPEST = 2.0**32  # of the 53 bits of a number, at least 21 are left to choose evenly among the chunks


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
        finder: Finds the category of a uniform number, and a chunk by what is left of it.
    """

    categories: tuple[str, ...]
    probabilities: Floats
    cumulative: Floats
    starts: Integers
    ready: Integers
    left_out: tuple[str, ...]
    finder: "Finder"


class Finder:
    """Turn uniform numbers into categories, and where a number has bits enough, into chunks as well."""

    def __init__(self, cumulative: Floats, ready: Integers) -> None:
        """Prepare the tables.

        Args:
            cumulative: float64, shape (k,), ascending to exactly 1.
            ready: int64, shape (k,), >= 1.
        """
        self._cumulative = cumulative
        self._lows = np.concatenate(([0.0], cumulative[:-1]))
        widths = cumulative - self._lows
        with np.errstate(divide="ignore"):  # nobody draws a category that is too narrow to hold a number
            self._slopes = ready / widths * _JUST_BELOW_ONE
        self.finds_chunks = bool(self._slopes.max() < _STEEPEST)
        self._edges = cumulative[:-1, None]
        self._guide = _guide(cumulative) if len(cumulative) > _COMPARED else None

    def find(self, uniforms: Floats) -> Integers:
        """Find the category of each number: the one whose share of [0, 1) it lies in.

        Args:
            uniforms: float64, shape (n,), in [0, 1).

        Returns:
            Integers, shape (n,), as `searchsorted(cumulative, uniforms, "right")` finds them.

        Source: Chen and Asau, "On Generating Random Variates from an Empirical Distribution", AIIE Transactions 6
        (1974): a table says where to begin, and mostly that is the place.
        """
        if self._guide is None:
            compared: Integers = (uniforms >= self._edges).sum(axis=0, dtype=np.int64)
            return compared
        found = self._guide.take((uniforms * len(self._guide)).astype(np.int64))
        early = np.flatnonzero(uniforms >= self._cumulative.take(found))
        found[early] = np.searchsorted(self._cumulative, uniforms[early], "right")
        return found

    def find_offsets(self, uniforms: Floats, categories: Integers) -> Integers:
        """Find a chunk of each number's category by where in the category's share the number lies.

        Args:
            uniforms: float64, shape (n,): the numbers that the categories were found by.
            categories: Integers, shape (n,).

        Returns:
            int64, shape (n,), each below its category's `ready`; even to 2^-21, see `finds_chunks`.
        """
        within = uniforms - self._lows.take(categories)
        return (within * self._slopes.take(categories)).astype(np.int64)


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
    ready = ends - starts
    return Mixture(names, probabilities, cumulative, starts, ready, left_out, Finder(cumulative, ready))


def _guide(cumulative: Floats) -> Integers:
    """Tell for each of equally wide parts of [0, 1) the category that its first number belongs to."""
    parts = 1 << (2 * len(cumulative)).bit_length()
    return np.searchsorted(cumulative, np.arange(parts) / parts, "right")
