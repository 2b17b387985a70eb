"""Chunk ids as text and bytes. Each READY id is rendered once, so that writing a result takes a gather and a slice.

A *cell* is the JSON of one id, padded with spaces in front, and a comma. All cells have the same width. Cells side by
side between brackets, without the last comma, are a valid JSON array.
"""

import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from json.encoder import encode_basestring_ascii
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", bound=np.generic)
BIGINT = np.dtype(np.int64)
UUID = np.dtype("S16")
_WORD = 8
_WIDE = 64  # categories
_UUID_TEXT = 36
_HEX_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_HEX_COLUMNS = np.array([i for i in range(_UUID_TEXT) if i not in (8, 13, 18, 23)])


def render_cells(ids: NDArray[np.generic], width: int) -> NDArray[np.void]:
    """Render ids as cells.

    Args:
        ids: int64 or S16 (the 16 bytes of a uuid), shape (n,).
        width: Bytes a cell, from `cell_width`.

    Returns:
        void of `width` bytes, shape (n,).
    """
    text = np.full((len(ids), width), ord(" "), dtype=np.uint8)
    text[:, -1] = ord(",")
    if ids.dtype == UUID:
        _write_uuids(ids, text)
    else:
        _write_integers(ids.astype(np.int64, copy=False), text)
    return text.reshape(-1).view(np.dtype((np.void, width)))


def cell_width(ids: NDArray[np.generic]) -> int:
    """Return the bytes that a cell of these ids takes: a multiple of 8, at least 8.

    Args:
        ids: int64 or S16, shape (n,).
    """
    if ids.dtype == UUID:
        longest = _UUID_TEXT + 2
    elif len(ids) == 0:
        longest = 1
    else:
        longest = max(len(str(int(ids.min()))), len(str(int(ids.max()))))
    return -(-(longest + 1) // _WORD) * _WORD


def cut_cells(cells: NDArray[np.void], positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """Write the JSON arrays of some requests.

    Args:
        cells: void, shape (n,).
        positions: int64, shape (sizes.sum(),), each in [0, n): request after request, in the order wanted.
        sizes: int64, shape (r,), each >= 1.
    """
    text = memoryview(_gather(cells, positions).tobytes())
    return [b"".join((b"[", text[start : end - 1], b"]")) for start, end in _bounds(sizes, cells.dtype.itemsize)]


def cut_ids(ids: NDArray[np.generic], positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """Pack the ids of some requests: little-endian int64, or 16 bytes a uuid.

    Args:
        ids: int64 or S16, shape (n,).
        positions: int64, shape (sizes.sum(),), each in [0, n): request after request, in the order wanted.
        sizes: int64, shape (r,), each >= 1.
    """
    drawn = _gather(ids, positions)
    return cut_packed(drawn.astype("<i8", copy=False) if ids.dtype == BIGINT else drawn, sizes)


def _gather(column: NDArray[Item], positions: NDArray[np.int64]) -> NDArray[Item]:
    """Gather items of a column. Cache misses here are a third of the time of a large draw.

    NumPy is faster when it clips positions than when it has to raise an error for those outside.
    """
    return column.take(positions, mode="clip")


def _bounds(sizes: NDArray[np.int64], width: int) -> Iterator[tuple[int, int]]:
    """Return where the bytes of each request begin and end."""
    if len(sizes) == 1:
        return iter(((0, int(sizes[0]) * width),))
    return pairwise((0, *(sizes.cumsum() * width).tolist()))


def cut_packed(items: NDArray[np.generic], sizes: NDArray[np.int64]) -> list[bytes]:
    """Cut the bytes of some items into those of each request.

    Args:
        items: Of any type, shape (sizes.sum(),): request after request.
        sizes: int64, shape (r,), each >= 1.
    """
    packed = items.tobytes()
    return [packed[start:end] for start, end in _bounds(sizes, items.dtype.itemsize)]


def render_names(names: Sequence[str]) -> NDArray[np.void]:
    """Render names as cells, see the module; void, shape (k,)."""
    texts = [encode_basestring_ascii(name).encode() for name in names]
    width = max(map(len, texts)) + 1
    return np.frombuffer(b"".join([b"%*b," % (width - 1, text) for text in texts]), np.dtype((np.void, width)))


class CountsRenderer:
    """Writes counts of the same categories as JSON objects, one a request, without categories that have none."""

    def __init__(self, categories: Sequence[str]) -> None:
        self._categories = categories
        self._starts = [f"{encode_basestring_ascii(name)}:" for name in categories]
        self._whole = "{" + ",".join([f"{start.replace('%', '%%')}%d" for start in self._starts]) + "}"

    @cached_property
    def names(self) -> NDArray[np.void]:
        """Return the categories as cells, void, shape (k,)."""
        return render_names(self._categories)

    def render(self, counts: NDArray[np.int64]) -> list[str]:
        """Write the counts of some requests.

        Args:
            counts: int64, shape (r, k), >= 0.
        """
        if len(self._starts) > _WIDE:
            return self._render_wide(counts)
        return [self._whole % tuple(row) if 0 not in row else self._render_some(row) for row in counts.tolist()]

    def render_seconds(self, milliseconds: NDArray[np.int64]) -> list[str]:
        """Write the seconds of some requests.

        Args:
            milliseconds: int64, shape (r, k), >= 0.
        """
        return self._render_wide(milliseconds / 1000)

    def _render_some(self, row: Sequence[int]) -> str:
        return "{" + ",".join([f"{start}{n}" for start, n in zip(self._starts, row, strict=True) if n]) + "}"

    def _render_wide(self, counts: NDArray[np.int64] | NDArray[np.float64]) -> list[str]:
        """Write counts that are mostly zero, without a loop over all of them in Python."""
        rows, columns = np.nonzero(counts)
        parts = [f"{self._starts[i]}{n}" for i, n in zip(columns.tolist(), counts[rows, columns].tolist(), strict=True)]
        ends = np.searchsorted(rows, np.arange(len(counts)), "right").tolist()
        return ["{" + ",".join(parts[start:end]) + "}" for start, end in pairwise((0, *ends))]


def id_from_text(text: str, kind: np.dtype[np.generic]) -> int | bytes:
    """Read one id as PostgreSQL writes it.

    Raises:
        ValueError: It is not an id of this kind.
    """
    return uuid.UUID(text).bytes if kind == UUID else int(text)


def _write_integers(ids: NDArray[np.int64], text: NDArray[np.uint8]) -> None:
    magnitude = np.abs(ids).view(np.uint64)  # abs of the least int64 overflows to itself, which is right as unsigned
    digit = text.shape[1] - 2
    unfinished = np.ones(len(ids), dtype=np.bool_)
    while unfinished.any():
        quotient = magnitude // np.uint64(10)
        digits = (magnitude - quotient * np.uint64(10)).astype(np.uint8) + ord("0")
        text[:, digit] = np.where(unfinished, digits, ord(" "))
        magnitude, unfinished, digit = quotient, unfinished & (quotient > 0), digit - 1
    negative = np.flatnonzero(ids < 0)
    if len(negative):
        signs = (text[negative] != ord(" ")).argmax(axis=1) - 1
        text[negative, signs] = ord("-")


def _write_uuids(ids: NDArray[np.generic], text: NDArray[np.uint8]) -> None:
    raw = np.frombuffer(ids.tobytes(), dtype=np.uint8).reshape(len(ids), 16)
    start = text.shape[1] - 1 - (_UUID_TEXT + 2)
    body = text[:, start + 1 : start + 1 + _UUID_TEXT]
    body[:] = ord("-")
    body[:, _HEX_COLUMNS[0::2]] = _HEX_DIGITS[raw >> 4]
    body[:, _HEX_COLUMNS[1::2]] = _HEX_DIGITS[raw & 15]
    text[:, start] = text[:, start + 1 + _UUID_TEXT] = ord('"')
