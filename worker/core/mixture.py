"""The mixture: weights applied to one catalog, over the categories that have READY chunks."""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import View
from worker.core.catalog.durations import Durations, Milliseconds
from worker.core.weights.values import Weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_MANY = 64  # categories: above this, a request draws from few of them
_COMPARED = 8  # up to so many categories, comparing with each of them is fastest
_MOST_PARTS = 65_536  # of a guide that is finer than it has to be
_FEW_NUMBERS = 512  # up to so many numbers, one call is faster than two
_STEEPEST = 2.0**31  # chunks per unit: of the 53 bits of a number, at least 22 are left to choose evenly among chunks
_MARGIN = 2.0**-19  # chunks kept free at both ends of a category: more than rounding can shift a number


class Times(NamedTuple):
    """Weights that are shares of audio time, and the durations that they apply to.

    Attributes:
        shares: The weights, renormalised over the categories with READY chunks, shape (k,).
        means_s: float64, shape (k,): mean duration of each category's READY chunks.
        variances_s2: float64, shape (k,): the variance of those durations.
        mean_s: Expected duration of a drawn chunk, over all categories.
        milliseconds: uint32: the duration of each READY chunk of the catalog, by position.
    """

    shares: tuple[float, ...]
    means_s: Floats
    variances_s2: Floats
    mean_s: float
    milliseconds: Milliseconds


@dataclass(frozen=True, eq=False)
class Mixture:
    """Weights applied to one catalog: renormalised over the categories with READY chunks.

    If weights are shares of audio time, each is divided by the mean duration of its category's READY chunks. The
    quotients, renormalised, are the probabilities. Then the expected seconds of the categories are in proportion to the
    weights.

    Attributes:
        categories: Names, shape (k,), k >= 1.
        probabilities: float64, shape (k,), each > 0, summing to 1.
        cumulative: float64, shape (k,), ascending; the last is exactly 1.
        shares: The probabilities as Python floats, shape (k,).
        starts: int64, shape (k,): position of each category's first chunk.
        ready: int64, shape (k,): number of READY chunks of each category, >= 1.
        left_out: Weighted categories without a READY chunk.
        finder: Finds the category of a uniform number, and a chunk by the rest of its bits.
        times: The weights as shares of audio time; None if they are shares of the chunks drawn.
        left_out_shares: The weights of the categories that are left out.
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
    left_out_shares: tuple[float, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Return whether there are so many categories that only the drawn ones are counted."""
        return len(self.categories) > _MANY

    @cached_property
    def text(self) -> str:
        """Write category -> share of the chunks, or of the seconds, as JSON."""
        shares = self.shares if self.times is None else self.times.shares
        return json.dumps(dict(zip(self.categories, shares, strict=True)), separators=(",", ":"))

    @cached_property
    def version(self) -> str:
        """Return the version: the first 12 hex digits of the SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


class Finder:
    """Turns uniform numbers into categories, and into chunks if the numbers have bits enough.

    A uniform number lies in the share of one category (`find`). Where it lies within that share is uniform, too, so it
    can choose the chunk (`find_positions`). That is even as long as a share holds many more numbers than chunks; else
    a second number chooses the chunk (`pick_positions`).

    Attributes:
        starts: int64, shape (k,): position of each category's first chunk.
        ready: int64, shape (k,): number of its chunks.
        finds_positions: Whether the numbers have bits enough for `find_positions`.
    """

    def __init__(self, cumulative: Floats, starts: Integers, ready: Integers) -> None:
        """Prepare the tables.

        Args:
            cumulative: float64, shape (k,), ascending to exactly 1.
            starts: int64, shape (k,): position of each category's first chunk.
            ready: int64, shape (k,), >= 1.
        """
        self._cumulative = cumulative
        self._edges = cumulative[:-1].tolist()
        self.starts, self.ready, self._ready = starts, ready, ready.astype(np.float64)
        self._guide = _guide(cumulative) if len(cumulative) > _COMPARED else None
        lows = np.concatenate(([0.0], self._edges))
        with np.errstate(divide="ignore", invalid="ignore"):  # a category may be too narrow to hold a number
            self._slopes = (ready - 2 * _MARGIN) / (cumulative - lows)
            self._intercepts = starts + _MARGIN - lows * self._slopes
        self.finds_positions = bool(self._slopes.max() < _STEEPEST)

    def find(self, uniforms: Floats) -> Integers:
        """Find the column of each number: the category whose share of [0, 1) it lies in.

        Args:
            uniforms: float64, shape (n,), in [0, 1).

        Returns:
            Integers, shape (n,), the same as `searchsorted(cumulative, uniforms, "right")`.

        Source: Chen and Asau, "On Generating Random Variates from an Empirical Distribution", AIIE Transactions 6
        (1974): a table says where to begin, and for most numbers that is the answer.
        """
        if len(uniforms) <= _FEW_NUMBERS:
            return self._cumulative.searchsorted(uniforms, "right")
        if self._guide is None:
            passed = np.zeros(len(uniforms), dtype=np.uint8)
            for edge in self._edges:
                passed += uniforms >= edge
            return passed.astype(np.int64)
        found = self._guide.take((uniforms * len(self._guide)).astype(np.int64), mode="clip")
        [early] = (uniforms >= self._cumulative.take(found, mode="clip")).nonzero()
        found[early] = self._cumulative.searchsorted(uniforms[early], "right")
        return found

    def find_positions(self, uniforms: Floats, columns: Integers) -> Integers:
        """Find a chunk for each number by where in its category's share the number lies.

        Args:
            uniforms: float64, shape (n,): the numbers that the columns were found by.
            columns: Integers, shape (n,).

        Returns:
            int64, shape (n,): positions, even to 2^-18; see `finds_positions`.
        """
        positions = self._slopes.take(columns)
        positions *= uniforms
        positions += self._intercepts.take(columns)
        return positions.astype(np.int64)

    def pick_positions(self, uniforms: Floats, columns: Integers) -> Integers:
        """Pick a chunk of each category with a second number.

        Args:
            uniforms: float64, shape (n,), in [0, 1 - 2^-53], as generators make them. The product of such a number and
                `ready` is never rounded up to `ready` itself.
            columns: Integers, shape (n,).

        Returns:
            int64, shape (n,): positions, even to ready x 2^-53.
        """
        offsets = self._ready.take(columns)
        offsets *= uniforms
        positions = offsets.astype(np.int64)
        positions += self.starts.take(columns)
        return positions


def make_mixture(weights: Weights, view: View) -> Mixture | None:
    """Apply weights to a catalog.

    Args:
        weights: Normalised weights.
        view: The READY chunks, as the requests see them.

    Returns:
        The mixture; None when no weighted category has a READY chunk.
    """
    number_of = {name: i for i, name in enumerate(view.categories)}
    names = tuple(name for name in view.categories if name in weights.shares)
    if not names:
        return None
    chosen = np.array([number_of[name] for name in names])
    shares = np.array([weights.drawn_share(name) for name in names])
    times = None if view.durations is None else _times(shares, chosen, view.durations)
    if times is not None:
        shares /= times.means_s
    probabilities = shares / math.fsum(shares)  # exact, so that every machine draws alike
    cumulative = np.cumsum(probabilities)
    cumulative[-1] = 1.0
    starts, ends = view.starts[chosen], view.ends[chosen]
    left_out = tuple(sorted(weights.shares.keys() - number_of.keys()))
    ready = ends - starts
    floats, finder = tuple(probabilities.tolist()), Finder(cumulative, starts, ready)
    without = tuple(weights.shares[name] for name in left_out)
    return Mixture(names, probabilities, cumulative, floats, starts, ready, left_out, finder, times, without)


def _times(shares: Floats, chosen: Integers, durations: Durations) -> Times:
    """Describe weights as shares of audio time, before they become probabilities.

    Args:
        shares: float64, shape (k,): the weights.
        chosen: int64, shape (k,): the view's number of each category.
        durations: The view's durations.
    """
    means_s = durations.means_s[chosen]
    total = math.fsum(shares)
    mean_s = total / math.fsum(shares / means_s)
    of_time = tuple((shares / total).tolist())
    return Times(of_time, means_s, durations.variances_s2[chosen], mean_s, durations.milliseconds)


def _guide(cumulative: Floats) -> Integers:
    """Cut [0, 1) into equal parts, and return for each the column that its first number belongs to.

    The more parts, the fewer numbers have to look further. There are as many as the processor's cache has room for.
    """
    width = len(cumulative)
    parts = 1 << max(2 * width, min(16 * width, _MOST_PARTS - 1)).bit_length()
    return np.searchsorted(cumulative, np.arange(parts) / parts, "right")
