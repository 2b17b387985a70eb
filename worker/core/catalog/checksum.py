"""A checksum of the catalog that PostgreSQL can compute, too. One row tells whether both hold the same chunks.

It is the sum modulo 2^64 of a hash of each chunk, in any order. The seed of a chunk's hash is its part's hash. For a
bigint it includes the upper half. PostgreSQL folds the two halves of a bigint before it hashes them. Durations and the
marks of columns are hashed on top, if they are known.

Source: PostgreSQL, src/common/hashfn.c, `hash_bytes_extended` and `hash_bytes_uint32_extended`; they are lookup3 by
Bob Jenkins, 2006.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.rendering import UUID
from worker.core.catalog.rows import Rows
from worker.core.catalog.snapshot import BLOCK, Catalog

_MASK = (1 << 64) - 1
_START = 0x9E3779B9 + 3923095
_MIX = ((0, 2, 4), (1, 0, 6), (2, 1, 8), (0, 2, 16), (1, 0, 19), (2, 1, 4))
_FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))

_Words = NDArray[np.uint32]


class Checksum(NamedTuple):
    """The number of some chunks, and the sum modulo 2^64 of their hashes."""

    rows: int
    total: int

    def plus(self, other: "Checksum") -> "Checksum":
        """Add the chunks of another one."""
        return Checksum(self.rows + other.rows, (self.total + other.total) & _MASK)

    def minus(self, other: "Checksum") -> "Checksum":
        """Subtract the chunks of another one."""
        return Checksum(self.rows - other.rows, (self.total - other.total) & _MASK)


def checksum_of(catalog: Catalog, hashes: Mapping[str, int]) -> Checksum:
    """Compute the checksum of a catalog.

    Args:
        catalog: A snapshot.
        hashes: PostgreSQL's hash of each of its parts, a signed or unsigned number of 64 bits.
    """
    found = Checksum(0, 0)
    for name, (start, end) in zip(catalog.parts, pairwise(catalog.bounds.tolist()), strict=True):
        seed = np.array([hashes[name] & _MASK], np.uint64)
        for first in range(start, end, BLOCK):
            found = found.plus(checksum_rows(catalog.rows.take(slice(first, min(first + BLOCK, end))), seed))
    return found


def checksum_rows(rows: Rows, seeds: NDArray[np.uint64]) -> Checksum:
    """Compute the checksum of some chunks.

    Args:
        rows: The chunks.
        seeds: uint64, shape (n,) or (1,): PostgreSQL's hash of the part of each, or of all.
    """
    ids, durations, columns = rows
    hashes = _hash_uuids(ids, seeds) if ids.dtype == UUID else _hash_bigints(ids.astype(np.int64, copy=False), seeds)
    if durations is not None:
        hashes = _hash_words(durations, hashes)
    if columns is not None:
        hashes = _hash_bigints(columns.marks, hashes)
    return Checksum(len(ids), int(hashes.sum(dtype=np.uint64)))


def _hash_bigints(ids: NDArray[np.int64], seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    high = ids >> np.int64(32)
    folded = ids.astype(np.uint32) ^ np.where(ids >= 0, high, ~high).astype(np.uint32)
    return _hash_words(folded, seeds ^ high.view(np.uint64))


def _hash_words(words: _Words, seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = _seeded(4, seeds)
    state[0] = state[0] + words
    return _finish(state)


def _hash_uuids(ids: NDArray[np.generic], seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = np.frombuffer(ids.tobytes(), dtype="<u4").astype(np.uint32).reshape(-1, 4)
    state = [part + words[:, i] for i, part in enumerate(_seeded(16, seeds))]
    _stir(state, _MIX)
    state[0] = state[0] + words[:, 3]
    return _finish(state)


def _seeded(length: int, seeds: NDArray[np.uint64]) -> list[_Words]:
    """Return the first state of a hash of so many bytes. A seed of 0 counts as none."""
    start = np.full(seeds.shape, (_START + length) & 0xFFFFFFFF, np.uint32)
    state = [start + (seeds >> np.uint64(32)).astype(np.uint32), start + seeds.astype(np.uint32), start.copy()]
    _stir(state, _MIX)
    is_none = seeds == 0
    return [np.where(is_none, start, part) for part in state] if is_none.any() else state


def _stir(state: list[_Words], steps: tuple[tuple[int, int, int], ...]) -> None:
    for target, source, count in steps:
        state[target] = state[target] - state[source]
        state[target] ^= _rotated(state[source], count)
        third = 3 - target - source
        state[source] = state[source] + state[third]


def _finish(state: list[_Words]) -> NDArray[np.uint64]:
    for target, source, count in _FINAL:
        state[target] = (state[target] ^ state[source]) - _rotated(state[source], count)
    return (state[1].astype(np.uint64) << np.uint64(32)) | state[2]


def _rotated(words: _Words, count: int) -> _Words:
    return (words << np.uint32(count)) | (words >> np.uint32(32 - count))
