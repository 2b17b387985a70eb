"""Columns of chunks: numbers and paths that results may carry, for workers that are told to hold them.

1. Every column is an array by position, like the ids. What orders, removes and inserts ids does so with these, too.
2. Paths differ in length. They lie one after the other in blocks of text that never change. A chunk has a *reference*:
   where its text begins, shifted by 16 bits, and its length. So a change of the catalog copies references, and adds one
   block. Texts that nobody refers to any more are dropped once they are more than half.
3. A text is JSON in UTF-8, with its quotes, so that a result copies it as it is. What has no path refers to `null`.
4. A *mark* is PostgreSQL's hash of a chunk's columns. It tells whether they changed, and it is part of the checksum.
   Versions of the catalog leave columns out: they say what is drawn, and workers may hold different columns.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.fingerprint import hash_pairs

Floats = NDArray[np.float64]
References = NDArray[np.uint64]

LONGEST_PATH: Final = 4096
"""Bytes of a path as JSON, quotes included. A longer one counts as none: no file of Linux has it."""

_NULL: Final = b"null"
_NONE: Final = np.uint64(len(_NULL))
_SHIFT: Final = np.uint64(16)
_LENGTH: Final = np.uint64(0xFFFF)
_SMALL = 1 << 20  # bytes of a block; a smaller one is joined with the next
_SPECIAL = re.compile(rb'[\x00-\x1f"\\]')
_COPIED = 65_536  # texts that are copied at once


class Texts(NamedTuple):
    """Texts one after the other, in blocks; the first block is `null`.

    Attributes:
        blocks: The blocks.
        starts: int64, shape (b,): where each begins.
        size: Bytes of all blocks.
    """

    blocks: tuple[bytes, ...]
    starts: NDArray[np.int64]
    size: int

    def extended(self, block: bytes) -> "Texts":
        """Return these texts and another block, which begins at `size`."""
        if not block:
            return self
        if len(self.blocks) > 1 and len(self.blocks[-1]) < _SMALL:
            return Texts((*self.blocks[:-1], self.blocks[-1] + block), self.starts, self.size + len(block))
        return Texts((*self.blocks, block), np.append(self.starts, self.size), self.size + len(block))

    def read(self, references: References) -> list[bytes]:
        """Return the text of each reference.

        Args:
            references: uint64, shape (m,).
        """
        offsets = (references >> _SHIFT).astype(np.int64)
        places = self.starts.searchsorted(offsets, "right") - 1
        begins = offsets - self.starts[places]
        ends = begins + (references & _LENGTH).astype(np.int64)
        blocks = self.blocks
        return [
            blocks[i][begin:end] for i, begin, end in zip(places.tolist(), begins.tolist(), ends.tolist(), strict=True)
        ]


NO_TEXTS: Final = Texts((_NULL,), np.zeros(1, np.int64), len(_NULL))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of some chunks, by position.

    Attributes:
        marks: int64, shape (n,): PostgreSQL's hash of what the columns hold.
        numbers: Column -> float64, shape (n,); NaN where not known.
        paths: uint64, shape (n,): references to the texts; None if paths are not held.
        texts: The texts.
        fingerprint: Sum modulo 2^64 of a hash of each (id, mark) pair; 0 for rows that are no catalog yet.
    """

    marks: NDArray[np.int64]
    numbers: Mapping[str, Floats]
    paths: References | None = None
    texts: Texts = NO_TEXTS
    fingerprint: int = 0

    @property
    def arrays(self) -> list[NDArray[np.generic]]:
        """Return all arrays."""
        return [self.marks, *self.numbers.values(), *(() if self.paths is None else (self.paths,))]

    def with_arrays(self, arrays: Sequence[NDArray[np.generic]]) -> "Columns":
        """Return the same columns of other chunks.

        Args:
            arrays: As in `arrays`.
        """
        rest = iter(arrays)
        marks, numbers = next(rest), dict(zip(self.numbers, rest, strict=False))
        paths = None if self.paths is None else arrays[-1]
        return replace(self, marks=marks, numbers=numbers, paths=paths)  # type: ignore[arg-type]

    def take(self, rows: NDArray[np.generic]) -> "Columns":
        """Return the columns of some rows, given as numbers or as a mask."""
        return self.with_arrays([one[rows] for one in self.arrays])

    def moved(self, texts: Texts) -> "Columns":
        """Return the same columns with their texts after others; `texts` are then all of them."""
        if self.paths is None:
            return replace(self, texts=texts)
        shift = np.uint64(texts.size - NO_TEXTS.size) << _SHIFT
        for block in self.texts.blocks[1:]:
            texts = texts.extended(block)
        return replace(self, paths=self.paths + shift * (self.paths != _NONE), texts=texts)

    def frozen(self) -> "Columns":
        """Return the same columns, compact, with arrays that are read-only."""
        compact = _compact(self)
        for one in compact.arrays:
            one.flags.writeable = False
        return compact

    def hash_marks(self, ids: NDArray[np.generic]) -> int:
        """Hash the marks of all chunks together with their ids, int64 or S16, shape (n,)."""
        return hash_pairs(ids, self.marks.view(np.uint64))


def finite(numbers: Floats) -> Floats:
    """Return numbers with NaN instead of infinity, which JSON cannot write; changed in place, float64, shape (n,)."""
    numbers[np.isinf(numbers)] = np.nan
    return numbers


def refer_to_paths(paths: Sequence[bytes | None]) -> tuple[References, Texts]:
    """Write paths as texts.

    Args:
        paths: UTF-8; None: no path.

    Returns:
        Their references, uint64, shape (n,), and the texts.
    """
    given = [path for path in paths if path is not None]
    if _SPECIAL.search(b" ".join(given)):
        given = [_escaped(path) if _SPECIAL.search(path) else path for path in given]
    lengths = np.fromiter(map(len, given), np.int64, len(given)) + 2
    block = b'"' + b'""'.join(given) + b'"' if given else b""
    starts = NO_TEXTS.size + lengths.cumsum() - lengths
    own = (starts.astype(np.uint64) << _SHIFT) | lengths.clip(max=LONGEST_PATH).astype(np.uint64)
    own[lengths > LONGEST_PATH] = _NONE
    references = np.full(len(paths), _NONE)
    references[[path is not None for path in paths]] = own
    return references, NO_TEXTS.extended(block)


def _escaped(path: bytes) -> bytes:
    return json.dumps(path.decode(errors="replace"), ensure_ascii=False)[1:-1].encode()


def _compact(columns: Columns) -> Columns:
    """Drop the texts that nobody refers to, if they are more than half."""
    if columns.paths is None:
        return columns
    used = int((columns.paths & _LENGTH).sum(dtype=np.int64)) if len(columns.paths) else 0
    if columns.texts.size <= 2 * used + _SMALL:
        return columns
    texts, found = NO_TEXTS, [columns.paths[:0]]
    for start in range(0, len(columns.paths), _COPIED):
        old = columns.paths[start : start + _COPIED]
        lengths, is_text = (old & _LENGTH).astype(np.int64), old != _NONE
        lengths[~is_text] = 0
        starts = (texts.size + lengths.cumsum() - lengths).astype(np.uint64)
        found.append(np.where(is_text, (starts << _SHIFT) | lengths.astype(np.uint64), _NONE))
        texts = texts.extended(b"".join(columns.texts.read(old[is_text])))
    return replace(columns, paths=np.concatenate(found), texts=texts)
