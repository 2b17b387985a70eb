"""The fingerprint of a catalog: a sum of hashes of its chunks, so that a change of some adds and subtracts theirs."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Milliseconds
from worker.core.catalog.rendering import UUID
from worker.core.hashing import GOLDEN, hash64

MASK: Final = (1 << 64) - 1
"""All bits of a fingerprint, which is a sum modulo 2^64."""


def fingerprint_of(ids: NDArray[np.generic], part: str) -> int:
    """Hash chunks of one part: the sum modulo 2^64 of a hash of each (id, part) pair.

    Args:
        ids: int64 or S16, shape (n,).
        part: Its name.
    """
    return hash_pairs(ids, _part_key(part))


def part_keys(names: Sequence[str]) -> NDArray[np.uint64]:
    """Return what each part contributes to the hash of its chunks, uint64, shape (k,)."""
    return np.array([_part_key(name) for name in names], dtype=np.uint64)


def hash_pairs(
    ids: NDArray[np.generic], keys: NDArray[np.uint64] | np.uint64, durations: Milliseconds | None = None
) -> int:
    """Hash chunks: the sum modulo 2^64 of a hash of each pair, or of each pair and its duration.

    Args:
        ids: int64 or S16, shape (n,).
        keys: Those of their parts, shape (n,) or (), see `part_keys`.
        durations: uint32, shape (n,), ms; None if they do not matter.
    """
    hashes = hash64(hash64(fold_ids(ids)) ^ keys)
    if durations is not None:
        hashes = hash64(hashes + durations * GOLDEN)
    return int(hashes.sum(dtype=np.uint64))


def fold_ids(ids: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Fold each id into 64 bits: a bigint as it is, a uuid as a hash.

    Args:
        ids: int64 or S16, shape (n,).
    """
    if ids.dtype == UUID:
        words = np.frombuffer(ids.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        return hash64(words[:, 0]) ^ words[:, 1]
    return ids.astype(np.int64, copy=False).view(np.uint64)


@cache
def _part_key(part: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "big"))
