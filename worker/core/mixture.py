"""The mixture: weights as they apply to one catalog, over the categories that have READY chunks."""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.catalog.durations import Durations, Milliseconds
from worker.core.weights.values import Weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_MANY = 64  # categories: from here on few of them are drawn in a request
_COMPARED = 8  # up to so many categories, comparing with all of them is quickest
_FEW_NUMBERS = 512  # up to so many numbers, one call is quicker than two
_STEEPEST = 2.0**31  # chunks a unit: of the 53 bits of a number, at least 22 are left to choose evenly among chunks
_MARGIN = 2.0**-19  # chunks kept clear at both ends of a category: more than rounding can lead astray


class Times(NamedTuple):
    """Hold what durations make of weights that are shares of audio time.

    Attributes:
        shares: Those weights, renormalised over the categories with READY chunks, shape (k,).
        means_s: float64, shape (k,): mean of the durations of each category's READY chunks.
        variances_s2: float64, shape (k,): their variance.
        mean_s: Seconds that a chunk is expected to last, of whatever category.
        milliseconds: uint32, shape (n,): the duration of each READY chunk of the catalog.
    """

    shares: tuple[float, ...]
    means_s: Floats
    variances_s2: Floats
    mean_s: float
    milliseconds: Milliseconds


@dataclass(frozen=True, eq=False)
class Mixture:
    """Hold weights as they apply to one catalog: renormalised over the categories with READY chunks.

    Where weights are shares of audio time, a category's probability is its weight over the mean duration of its
    READY chunks, renormalised: so the seconds drawn of each are expected to be in proportion to the weights.

    Attributes:
        categories: Names, shape (k,), k >= 1.
        probabilities: float64, shape (k,), each > 0, summing to 1.
        cumulative: float64, shape (k,), ascending; the last is exactly 1.
        shares: The probabilities as Python's own numbers, shape (k,).
        starts: int64, shape (k,): place of each category's first chunk in the catalog's ids.
        ready: int64, shape (k,): how many READY chunks each has, >= 1.
        left_out: Weighted categories without a READY chunk.
        finder: Finds the category of a uniform number, and a chunk by what is left of it.
        times: What durations make of the weights; None where weights are shares of the chunks drawn.
    """

    categories: tuple[str, ...]
    probabilities: Floats
    cumulative: Floats
    shares: tuple[float, ...]
    starts: Integers
    ready: Integers
    left_out: tuple[str, ...]
    finder: "Finder"
    times: Times | None = None

    @property
    def is_wide(self) -> bool:
        """Tell whether there are so many categories that only what was drawn of them is looked at."""
        return len(self.categories) > _MANY

    @cached_property
    def text(self) -> str:
        """Write category -> share of what is drawn, in chunks or in seconds, as JSON."""
        shares = self.shares if self.times is None else self.times.shares
        return json.dumps(dict(zip(self.categories, shares, strict=True)), separators=(",", ":"))

    @cached_property
    def version(self) -> str:
        """Tell the version: the first 12 hex digits of the SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


class Finder:
    """Turn uniform numbers into categories, and where a number has bits enough, into chunks as well.

    Attributes:
        finds_places: Whether the numbers have bits enough for `find_places`.
    """

    def __init__(self, cumulative: Floats, starts: Integers, ready: Integers) -> None:
        """Prepare the tables.

        Args:
            cumulative: float64, shape (k,), ascending to exactly 1.
            starts: int64, shape (k,): the place of each category's first chunk.
            ready: int64, shape (k,), >= 1.
        """
        self._cumulative = cumulative
        self._edges = cumulative[:-1].tolist()
        self._starts, self._ready = starts, ready.astype(np.float64)
        self._guide = _guide(cumulative) if len(cumulative) > _COMPARED else None
        lows = np.concatenate(([0.0], self._edges))
        with np.errstate(divide="ignore", invalid="ignore"):  # some categories are too narrow to hold a number
            self._slopes = (ready - 2 * _MARGIN) / (cumulative - lows)
            self._intercepts = starts + _MARGIN - lows * self._slopes
        self.finds_places = bool(self._slopes.max() < _STEEPEST)

    def find(self, uniforms: Floats) -> Integers:
        """Find the category of each number: the one whose share of [0, 1) it lies in.

        Args:
            uniforms: float64, shape (n,), in [0, 1).

        Returns:
            Integers, shape (n,), as `searchsorted(cumulative, uniforms, "right")` finds them.

        Source: Chen and Asau, "On Generating Random Variates from an Empirical Distribution", AIIE Transactions 6
        (1974): a table says where to begin, and mostly that is the place.
        """
        if len(uniforms) <= _FEW_NUMBERS:
            return self._cumulative.searchsorted(uniforms, "right")
        if self._guide is None:
            passed = np.zeros(len(uniforms), dtype=np.uint8)
            for edge in self._edges:
                passed += uniforms >= edge
            return passed.astype(np.int64)
        found = self._guide.take((uniforms * len(self._guide)).astype(np.int64))
        early = np.flatnonzero(uniforms >= self._cumulative.take(found))
        found[early] = np.searchsorted(self._cumulative, uniforms[early], "right")
        return found

    def find_places(self, uniforms: Floats, categories: Integers) -> Integers:
        """Find a chunk of each number's category by where in the category's share the number lies.

        Args:
            uniforms: float64, shape (n,): the numbers that the categories were found by.
            categories: Integers, shape (n,).

        Returns:
            int64, shape (n,): places in the catalog, even to 2^-18; see `finds_places`.
        """
        places = self._slopes.take(categories)
        places *= uniforms
        places += self._intercepts.take(categories)
        return places.astype(np.int64)

    def pick_places(self, uniforms: Floats, categories: Integers) -> Integers:
        """Pick a chunk of each category with a number of its own.

        Args:
            uniforms: float64, shape (n,), in [0, 1 - 2^-53], as generators make them: times `ready` no such number is
                rounded up to `ready` itself.
            categories: Integers, shape (n,).

        Returns:
            int64, shape (n,): places in the catalog, even to ready x 2^-53.
        """
        offsets = self._ready.take(categories)
        offsets *= uniforms
        places = offsets.astype(np.int64)
        places += self._starts.take(categories)
        return places


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
    rows = np.array([place[name] for name in names])
    shares = np.array([weights.drawn_share(name) for name in names])
    times = None if catalog.durations is None else _times(shares, rows, catalog.durations)
    if times is not None:
        shares /= times.means_s
    probabilities = shares / math.fsum(shares)  # exact, so that every machine draws alike
    cumulative = np.cumsum(probabilities)
    cumulative[-1] = 1.0
    starts, ends = catalog.offsets[rows], catalog.offsets[rows + 1]
    left_out = tuple(sorted(weights.shares.keys() - place.keys()))
    ready = ends - starts
    own_numbers, finder = tuple(probabilities.tolist()), Finder(cumulative, starts, ready)
    return Mixture(names, probabilities, cumulative, own_numbers, starts, ready, left_out, finder, times)


def _times(shares: Floats, rows: Integers, durations: Durations) -> Times:
    """Look at weights as shares of audio time, before they become probabilities."""
    means_s = durations.means_s[rows]
    total = math.fsum(shares)
    mean_s = total / math.fsum(shares / means_s)
    of_time = tuple((shares / total).tolist())
    return Times(of_time, means_s, durations.variances_s2[rows], mean_s, durations.milliseconds)


def _guide(cumulative: Floats) -> Integers:
    """Tell for each of equally wide parts of [0, 1) the category that its first number belongs to."""
    parts = 1 << (2 * len(cumulative)).bit_length()
    return np.searchsorted(cumulative, np.arange(parts) / parts, "right")
