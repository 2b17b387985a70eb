"""Random numbers for the requests of a group: by their seeds, or from the process's generator.

A number of a seeded request is a function of (seed, purpose, index) alone. So the request draws the same chunks in
whatever batch it comes. One purpose takes no numbers away from another. Requests without a seed take the same steps
with numbers from the generator.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from worker.core.hashing import GOLDEN, hash64
from worker.core.mixture import Floats, Integers

Words = NDArray[np.uint64]
_UNIT = 2.0**-53
_MASK = (1 << 64) - 1


class Purpose(IntEnum):
    """The purpose of a random number; rounds of `PASS_ON` and `RETRY` count up from theirs.

    The values decide what a seed draws, so they never change.
    """

    CATEGORY = 0
    CHUNK = 1
    ORDER = 2
    SUBSET = 3
    BUCKET = 4
    PASS_ON = 1 << 20
    RETRY = 1 << 40


class RandomNumbers:
    """Random numbers for some requests.

    Attributes:
        sizes: int64, shape (r,): chunks wanted.
        count: Their sum, n.
        any_seeded: Whether a request has a seed.
    """

    def __init__(self, seeds: Sequence[int | None], sizes: Integers, rng: np.random.Generator) -> None:
        """Prepare the requests' seeds.

        Args:
            seeds: Shape (r,): each request's seed, or None.
            sizes: int64, shape (r,): chunks wanted.
            rng: Numbers for the requests without a seed.
        """
        self.sizes, self.count = sizes, int(sizes[0] if len(sizes) == 1 else np.add.reduce(sizes))
        self._rng, self._given = rng, seeds
        unseeded = seeds.count(None)
        self.any_seeded, self._all_seeded = unseeded < len(seeds), unseeded == 0
        if self.any_seeded:
            self._seeded = np.array([seed is not None for seed in seeds], dtype=np.bool_)
            self._seeds = np.array([seed or 0 for seed in seeds], dtype=np.uint64)

    @cached_property
    def starts(self) -> Integers:
        """Return the number of chunks before those of each row, shape (r,)."""
        return self.sizes.cumsum() - self.sizes

    @cached_property
    def owners(self) -> Integers:
        """Return the row of each chunk, shape (n,)."""
        return np.arange(len(self.sizes)).repeat(self.sizes)

    @cached_property
    def indexes(self) -> Integers:
        """Return the index of each chunk within its request, shape (n,)."""
        return np.arange(self.count) - self.starts.repeat(self.sizes)

    def of(self, rows: Integers) -> "RandomNumbers":
        """Return the numbers of some of the rows alone."""
        return RandomNumbers([self._given[row] for row in rows.tolist()], self.sizes[rows], self._rng)

    def uniforms(self, purpose: int) -> Floats:
        """Draw a number for each chunk, float64, shape (n,), in [0, 1)."""
        return self.uniforms_at(purpose, self.owners, self.indexes) if self.any_seeded else self._rng.random(self.count)

    def words(self, purpose: int) -> Words:
        """Draw 64 random bits for each chunk, uint64, shape (n,)."""
        return self.words_at(purpose, self.owners, self.indexes) if self.any_seeded else self._any_words(self.count)

    def uniforms_at(self, purpose: int, owners: Integers, indexes: Integers) -> Floats:
        """Draw a number for each (row, index).

        Args:
            purpose: See `Purpose`.
            owners: int64, shape (m,): the row that each number is for.
            indexes: int64, shape (m,), >= 0: its index within that row and purpose.

        Returns:
            float64, shape (m,), in [0, 1).
        """
        if self.any_seeded:
            return to_uniforms(self.words_at(purpose, owners, indexes))
        return self._rng.random(len(owners))

    def words_at(self, purpose: int, owners: Integers, indexes: Integers) -> Words:
        """Draw 64 random bits for each (row, index), uint64, shape (m,); see `uniforms_at`."""
        if not self.any_seeded:
            return self._any_words(len(owners))
        keyed = keyed_words(stream_starts(self._seeds, purpose).take(owners), indexes.view(np.uint64))
        return keyed if self._all_seeded else np.where(self._seeded[owners], keyed, self._any_words(len(owners)))

    def _any_words(self, count: int) -> Words:
        words: Words = self._rng.bit_generator.random_raw(count)
        return words


def draw_one_each(seeds: Sequence[int | None], purpose: int, rng: np.random.Generator) -> Floats:
    """Draw one number for each request.

    Args:
        seeds: Shape (r,): each request's seed, or None.
        purpose: See `Purpose`.
        rng: Numbers for the requests without a seed.

    Returns:
        float64, shape (r,), in [0, 1).
    """
    if seeds.count(None) == len(seeds):
        return rng.random(len(seeds))
    return RandomNumbers(seeds, np.ones(len(seeds), np.int64), rng).uniforms(purpose)


def stream_starts(seeds: Words, purpose: int) -> Words:
    """Compute where the random stream of each seed begins.

    Args:
        seeds: uint64, shape (m,).
        purpose: See `Purpose`, >= 0. The streams of one seed for different purposes are independent.
    """
    return hash64(hash64(seeds + GOLDEN) ^ np.uint64(purpose * int(GOLDEN) & _MASK))


def keyed_words(starts: Words, counters: Words) -> Words:
    """Compute random bits that depend on nothing but their stream and counter.

    Args:
        starts: uint64, shape (m,): where each number's stream begins, see `stream_starts`.
        counters: uint64, shape (m,): the number's index within its stream.

    Returns:
        uint64, shape (m,).
    """
    steps = counters + np.uint64(1)
    steps *= GOLDEN
    steps += starts
    return hash64(steps)


def to_uniforms(words: Words) -> Floats:
    """Turn random bits into numbers in [0, 1), float64 with 53 random bits each."""
    uniforms = (words >> np.uint64(11)).astype(np.float64)
    uniforms *= _UNIT
    return uniforms
