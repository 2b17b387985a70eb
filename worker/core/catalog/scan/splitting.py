"""The split of a file, by a hash of its path: a rescan gives the same split, and so does another machine.

Each split has a hash of its own, keyed by its name. It takes the files whose hash lies below its share. The splits are
asked in the order of their names, `train` last, whatever order they were given in. Each is asked for its share of what
the ones before left over. So a split that grows takes files only from others, and never gives one back to the rest.
Sums of shares are exact on average.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Literal
from unicodedata import normalize

By = Literal["file", "folder"]

TRAIN: Final = "train"
"""The split that requests draw which name none."""

_HASH_BYTES: Final = 8
_ALL: Final = 1 << (8 * _HASH_BYTES)
_ROUNDING: Final = 1e-9


def splitter(shares: Mapping[str, float], by: By) -> Callable[[str], str | None]:
    """Return what decides the split of a file; None is the rest.

    Args:
        shares: Share of each split, 0 to 1, at most 1 in all.
        by: Whether files are hashed, or their folders, so that those of one folder stay together.

    Returns:
        A function of a path relative to the scanned folder, with / between its parts.
    """
    thresholds, left = [], 1.0
    for name in sorted(shares, key=lambda name: (name == TRAIN, name)):
        part = 0.0 if left <= _ROUNDING else shares[name] / left
        thresholds.append((name, _ALL if part >= 1 - _ROUNDING else int(part * _ALL)))
        left -= shares[name]

    def split_of(relative: str) -> str | None:
        hashed = relative.rpartition("/")[0] if by == "folder" else relative
        text = normalize("NFC", hashed).encode("utf-8", "surrogateescape")
        return next((name for name, below in thresholds if _hash(name, text) < below), None)

    return split_of


def _hash(name: str, text: bytes) -> int:
    """Hash a path for one split, whose name is the key."""
    salted = hashlib.blake2b(text, digest_size=_HASH_BYTES, key=name.encode())
    return int.from_bytes(salted.digest(), "big")
