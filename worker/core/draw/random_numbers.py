"""Random numbers for the requests of a batch: by their seeds, or from the process's generator.

Every number of a seeded request is a function of (seed, lane, index), so that it draws the same chunks in whatever
batch it stands; unseeded requests take the same steps with numbers from the generator.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from worker.core.hashing import keyed_words, streams, to_uniforms
from worker.core.mixture import Floats, Integers

Words = NDArray[np.uint64]


class Lane(IntEnum):
    """Say what a random number is for; rounds of retries count up from `RETRY`."""

    CATEGORY = 0
    CHUNK = 1
    ORDER = 2
    SUBSET = 3
    PASS_ON = 1 << 20
    RETRY = 1 << 40


class Numbers:
    """Give random numbers to some requests.

    Attributes:
        sizes: int64, shape (r,): chunks wanted.
        count: Their sum.
        any_seeded: Whether a request has a seed.
    """

    def __init__(self, seeds: Sequence[int | None], sizes: Integers, rng: np.random.Generator) -> None:
        """Take the requests' seeds and sizes, and a generator for those that have no seed."""
        self.sizes, self.count = sizes, int(np.add.reduce(sizes))
        self._rng, self._given = rng, seeds
        unseeded = seeds.count(None)
        self.any_seeded, self._all_seeded = unseeded < len(seeds), unseeded == 0
        if self.any_seeded:
            self._seeded = np.array([seed is not None for seed in seeds], dtype=np.bool_)
            self._seeds = np.array([seed or 0 for seed in seeds], dtype=np.uint64)

    @cached_property
    def starts(self) -> Integers:
        """Number the first chunk of each request, of all those wanted; shape (r,)."""
        return self.sizes.cumsum() - self.sizes

    @cached_property
    def owners(self) -> Integers:
        """Tell the request of each chunk wanted, shape (count,)."""
        return np.arange(len(self.sizes)).repeat(self.sizes)

    @cached_property
    def indexes(self) -> Integers:
        """Number the chunks wanted within their requests, shape (count,)."""
        return np.arange(self.count) - self.starts.repeat(self.sizes)

    def of(self, rows: Integers) -> "Numbers":
        """Give numbers to some of the requests alone."""
        return Numbers([self._given[row] for row in rows.tolist()], self.sizes[rows], self._rng)

    def uniforms(self, lane: int) -> Floats:
        """Draw a number for each chunk wanted, float64, shape (count,), in [0, 1)."""
        return self.uniforms_at(lane, self.owners, self.indexes) if self.any_seeded else self._rng.random(self.count)

    def words(self, lane: int) -> Words:
        """Draw 64 random bits for each chunk wanted, shape (count,)."""
        return self.words_at(lane, self.owners, self.indexes) if self.any_seeded else self._any_words(self.count)

    def uniforms_at(self, lane: int, owners: Integers, indexes: Integers) -> Floats:
        """Draw a number for each (request, index).

        Args:
            lane: What they are for.
            owners: int64, shape (n,): the request each number is for.
            indexes: int64, shape (n,), >= 0: the number's index within its request and lane.

        Returns:
            float64, shape (n,), in [0, 1).
        """
        if self.any_seeded:
            return to_uniforms(self.words_at(lane, owners, indexes))
        return self._rng.random(len(owners))

    def words_at(self, lane: int, owners: Integers, indexes: Integers) -> Words:
        """Draw 64 random bits for each (request, index), uint64, shape (n,); see `uniforms_at`."""
        if not self.any_seeded:
            return self._any_words(len(owners))
        keyed = keyed_words(streams(self._seeds, lane).take(owners), indexes.view(np.uint64))
        return keyed if self._all_seeded else np.where(self._seeded[owners], keyed, self._any_words(len(owners)))

    def _any_words(self, count: int) -> Words:
        words: Words = self._rng.bit_generator.random_raw(count)
        return words
