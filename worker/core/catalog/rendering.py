"""Chunk ids as text and bytes.

A *cell* is the JSON of one id, padded with spaces in front, and a comma. All cells have the same width. Cells side by
side between brackets, without the last comma, are a valid JSON array.

Ids are rendered when they are drawn. Cells kept for every READY id would take three times the memory of the ids. They
would save 2 to 4 ns an id. Digits are written four at once, from tables that fit the processor's cache. The last four
bytes of a cell are three digits and the comma. A table has each number twice: padded with spaces, for where a number
begins, and with zeros, for where it goes on.

A few bigints are written by one format string. It takes 6 us for 64 of them, and 1 us for 8. NumPy takes 13 us for any
number of ids up to a hundred.
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
_WORD = 4
_WIDE = 64  # categories
_UUID_CELL = 40
_FEW = 64  # bigints, of one request
_BLOCK = 8192  # ids that are rendered at once, so that they stay in the processor's cache

Words = NDArray[np.uint64]


def _digits_table(digits: int, tail: str, zero: str) -> NDArray[np.uint32]:
    """Write the numbers of so many digits, first padded with spaces and then with zeros, as words of four bytes.

    Args:
        digits: How many.
        tail: What follows each number.
        zero: How a lone zero is written where a number begins.
    """
    numbers = range(10**digits)
    padded = [f"{number or zero:>{digits}}{tail}" for number in numbers]
    return np.frombuffer("".join([*padded, *(f"{number:0{digits}}{tail}" for number in numbers)]).encode(), np.uint32)


_LAST = _digits_table(3, ",", "0")
_OTHERS = _digits_table(4, "", "")


def narrow_ids(ids: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return ids in half the memory if all of them fit: bigints as int32.

    Args:
        ids: int64, int32 or S16, shape (n,).
    """
    if ids.dtype == BIGINT and fits_narrow(ids).all():
        return ids.astype(np.int32)
    return ids


def fits_narrow(ids: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which bigints fit an int32; bool, shape (n,)."""
    numbers, range_ = ids.view(np.int64), np.iinfo(np.int32)
    return (numbers >= range_.min) & (numbers <= range_.max)


def kind_of(ids: NDArray[np.generic]) -> np.dtype[np.generic]:
    """Return what ids are, however they are kept: `BIGINT` or `UUID`."""
    return UUID if ids.dtype == UUID else BIGINT


def render_cells(ids: NDArray[np.generic], width: int) -> NDArray[np.void]:
    """Render ids as cells.

    Args:
        ids: int64, int32 or S16 (the 16 bytes of a uuid), shape (n,).
        width: Bytes a cell, from `cell_width`.

    Returns:
        void of `width` bytes, shape (n,).
    """
    text = np.empty((len(ids), width), np.uint8)
    write = _write_uuids if ids.dtype == UUID else _write_integers
    for start in range(0, len(ids), _BLOCK):
        write(ids[start : start + _BLOCK], text[start : start + _BLOCK])
    return text.reshape(-1).view(np.dtype((np.void, width)))


def cell_width(ids: NDArray[np.generic]) -> int:
    """Return the bytes that a cell of these ids takes: a multiple of 4, at least 4.

    Args:
        ids: int64, int32 or S16, shape (n,).
    """
    if ids.dtype == UUID:
        return _UUID_CELL
    longest = max(len(str(int(ids.min()))), len(str(int(ids.max())))) if len(ids) else 1
    return -(-(longest + 1) // _WORD) * _WORD


def cut_cells(cells: NDArray[np.void], positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """Write the JSON arrays of some requests.

    Args:
        cells: void, shape (n,).
        positions: int64, shape (sizes.sum(),), each in [0, n): request after request, in the order wanted.
        sizes: int64, shape (r,), each >= 1.
    """
    return _cut_text(_gather(cells, positions), sizes)


def cut_rendered(
    ids: NDArray[np.generic], width: int, positions: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[bytes]:
    """Render the ids of some requests, and write their JSON arrays.

    Args:
        ids: int64, int32 or S16, shape (n,).
        width: Bytes a cell, enough for each of the ids.
        positions: int64, shape (sizes.sum(),), each in [0, n): request after request, in the order wanted.
        sizes: int64, shape (r,), each >= 1.
    """
    drawn = _gather(ids, positions)
    if len(drawn) <= _FEW and len(sizes) == 1 and ids.dtype != UUID:
        return [b"[" + (b"%%%dd," % (width - 1) * len(drawn))[:-1] % tuple(drawn.tolist()) + b"]"]
    return _cut_text(render_cells(drawn, width), sizes)


def cut_ids(ids: NDArray[np.generic], positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """Pack the ids of some requests: little-endian int64, or 16 bytes a uuid.

    Args:
        ids: int64, int32 or S16, shape (n,).
        positions: int64, shape (sizes.sum(),), each in [0, n): request after request, in the order wanted.
        sizes: int64, shape (r,), each >= 1.
    """
    drawn = _gather(ids, positions)
    return cut_packed(drawn if ids.dtype == UUID else drawn.astype("<i8", copy=False), sizes)


def _cut_text(cells: NDArray[np.void], sizes: NDArray[np.int64]) -> list[bytes]:
    """Cut cells into the JSON arrays of some requests."""
    text = memoryview(cells.tobytes())
    return [b"".join((b"[", text[start : end - 1], b"]")) for start, end in _bounds(sizes, cells.dtype.itemsize)]


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
        return self.render_rows(counts.tolist())

    def render_rows(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Write the counts of some requests, each of shape (k,), >= 0; for categories that are not too many."""
        return [self._whole % tuple(row) if 0 not in row else self._render_some(row) for row in rows]

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


def _write_integers(ids: NDArray[np.generic], text: NDArray[np.uint8]) -> None:
    """Write integers, four bytes of each cell at a time, from the last to the first."""
    words = text.view(np.uint32)
    rest = np.abs(ids).view(f"u{ids.itemsize}")  # the least int64 overflows to itself, which is right as unsigned
    table = _LAST
    for place in range(words.shape[1] - 1, 0, -1):
        base = rest.dtype.type(len(table) // 2)
        quotient = rest // base
        row = rest - quotient * base
        row += base
        np.minimum(row, rest, out=row)  # less than the base: the number begins here
        words[:, place] = table.take(row.astype(np.intp, copy=False), mode="clip")
        rest, table = quotient, _OTHERS
    words[:, 0] = table.take(rest.astype(np.intp, copy=False), mode="clip")
    negative = np.flatnonzero(ids < 0)  # type: ignore[operator]
    if len(negative):
        text[negative, (text[negative] != ord(" ")).argmax(axis=1) - 1] = ord("-")


def _write_uuids(ids: NDArray[np.generic], text: NDArray[np.uint8]) -> None:
    """Write uuids, eight bytes of each cell at a time."""
    first, second, third, fourth = _hex_digits(np.frombuffer(ids.tobytes(), "<u4").reshape(-1, 4).T.astype("<u8"))
    words = text.view("<u8")
    words[:, 0] = _at(' "') | _left(first, 2)
    words[:, 1] = _right(first, 6) | _at("-", 2) | _right(_left(second, 4), 1) | _at("-", 7)
    words[:, 2] = _right(second, 4) | _at("-", 4) | _left(third, 5)
    words[:, 3] = _right(_left(third, 4), 7) | _at("-", 1) | _left(_right(third, 4), 2) | _left(fourth, 6)
    words[:, 4] = _right(fourth, 2) | _at('",', 6)


def _hex_digits(numbers: Words) -> Words:
    """Write four bytes, which are the lower half of a word, as eight hexadecimal digits; changed in place.

    The bytes are moved apart, then the halves of each. What is above 9 carries into the next bit when 6 is added.
    """
    for count in (2, 1):
        numbers |= _left(numbers, count)
        numbers &= _every(2 * count, (1 << 8 * count) - 1)
    numbers[:] = (numbers >> np.uint64(4) & _every(2, 15)) | _left(numbers & _every(2, 15), 1)
    letters = (numbers + _every(1, 6)) >> np.uint64(4) & _every(1, 1)
    numbers += _every(1, ord("0")) + letters * np.uint64(ord("a") - ord("0") - 10)
    return numbers


def _every(step: int, value: int) -> np.uint64:
    """Return a word that has a value in the first of every so many bytes."""
    return np.uint64(sum(value << 8 * place for place in range(0, 8, step)))


def _left(words: Words, count: int) -> Words:
    """Move text towards the end of each word by so many bytes."""
    return words << np.uint64(8 * count)


def _right(words: Words, count: int) -> Words:
    """Move text towards the beginning of each word by so many bytes."""
    return words >> np.uint64(8 * count)


def _at(text: str, place: int = 0) -> np.uint64:
    """Return a word that has a text from this byte on, and zeros elsewhere."""
    return np.uint64(int.from_bytes(text.encode(), "little") << 8 * place)
