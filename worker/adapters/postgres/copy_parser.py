"""A parser for a binary COPY of chunks, which makes no Python object for a row."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.adapters.postgres.selection import NAMELESS, Selection
from worker.core.catalog import (
    Block,
    Catalog,
    Checksum,
    Columns,
    Rows,
    ascending,
    checksum_of,
    checksum_rows,
    gather_catalog,
    refer_to_paths,
)
from worker.core.catalog.columns import NO_TEXTS, finite
from worker.core.catalog.durations import whole_milliseconds
from worker.core.catalog.parts import is_part
from worker.core.catalog.rendering import cell_width, narrow_ids, render_cells
from worker.core.wire import PATH
from worker.ports import LoadedCatalog

_HEADER_BYTES = 19
_LENGTH = struct.Struct(">i")
_BLOCK_BYTES = 1 << 20
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Rows that were read, before the names of their parts are known.

    Attributes:
        blocks: The rows, and the index in `hashes` of the part of each.
        hashes: int64, shape (k,): hash of each part; `NAMELESS` for rows that are left out.
        examples: int64 or S16, shape (k,): a chunk of each part.
    """

    blocks: list[Block]
    hashes: NDArray[np.int64]
    examples: NDArray[np.generic]


class Parser:
    """A parser that reads a binary COPY as it arrives, block by block in threads.

    What has arrived is never held as a whole: it takes more memory than the catalog. Growing and freeing that much at
    once would keep the interpreter locked.

    Source: PostgreSQL documentation, COPY, "Binary Format". The format is a header, the rows, and a trailer. A row is
    its number of fields and, for each field, its length and its bytes in network order.
    """

    def __init__(self, selection: Selection) -> None:
        """Choose the format.

        Args:
            selection: What is read.
        """
        numbers = [f"{name}_held" for name in selection.numbers]
        fields = [("id", selection.kind.newbyteorder(">")), ("hash", ">i8")]
        fields += [("duration_s", ">f8")] if selection.with_durations else []
        fields += [("mark", ">i8"), *((name, ">f8") for name in numbers)] if selection.held else []
        sized = [part for name, kind in fields for part in ((f"{name}_bytes", ">i4"), (name, kind))]
        self._has_paths = PATH in selection.held
        self._row = np.dtype([("fields", ">i2"), *sized, *([("path_bytes", ">i4")] if self._has_paths else [])])
        self._selection = selection
        self._held: list[bytes] = []
        self._held_bytes = -_HEADER_BYTES
        self._is_first = True
        self._blocks: list[Block] = []
        self._texts = NO_TEXTS
        self._hashes = np.empty(0, np.int64)
        self._examples = np.empty(0, selection.kind)

    async def take(self, part: bytes) -> None:
        """Parse the next part."""
        self._held.append(part)
        self._held_bytes += len(part)
        if self._held_bytes >= _BLOCK_BYTES:
            await self._pass_on()

    async def finish(self) -> ReadRows:
        """Return all rows, after the last part."""
        await self._pass_on()
        return ReadRows(list(map(self._with_all_texts, self._blocks)), self._hashes, self._examples)

    async def _pass_on(self) -> None:
        """Parse the complete rows in a thread; the connection fills its buffers meanwhile."""
        received = b"".join(self._held)
        start = _HEADER_BYTES if self._is_first else 0
        self._is_first = False
        end = await run_sync(self._parse, received, start)
        self._held = [received[end:]]
        self._held_bytes = len(received) - end

    def _parse(self, received: bytes, start: int) -> int:
        """Parse the complete rows, and return where the next one begins; the trailer is shorter than any row."""
        if self._has_paths:
            rows, paths, end = self._cut(received, start)
        else:
            count = max(0, len(received) - start) // self._row.itemsize
            end = start + count * self._row.itemsize
            rows, paths = np.frombuffer(received, self._row, count=count, offset=start), None
        ids, hashes, durations = rows["id"].astype(self._selection.kind), rows["hash"].astype(np.int64), None
        if self._selection.with_durations:
            durations = whole_milliseconds(rows["duration_s"].astype(np.float64))
            hashes[durations == 0] = NAMELESS
        codes, is_known = self._look_up(hashes)
        if not is_known.all():
            self._hashes = np.concatenate([self._hashes, ascending(hashes[~is_known])])
            codes, _ = self._look_up(hashes)
            self._examples = np.resize(self._examples, len(self._hashes))
            self._examples[codes] = ids
        columns = self._read_columns(rows, paths) if self._selection.held else None
        self._blocks.append(
            Block(codes.astype(np.min_scalar_type(len(self._hashes))), Rows(narrow_ids(ids), durations, columns))
        )
        return end

    def _cut(self, received: bytes, start: int) -> tuple[NDArray[np.void], list[bytes | None], int]:
        """Cut rows that end with a path: each says how long it is, so that they are found one after the other."""
        size, most = self._row.itemsize, len(received)
        heads: list[bytes] = []
        paths: list[bytes | None] = []
        while (head := start + size) <= most:
            (length,) = _LENGTH.unpack_from(received, head - _LENGTH.size)
            end = head if length < 0 else head + length
            if end > most:
                break
            heads.append(received[start:head])
            paths.append(None if length < 0 else received[head:end])
            start = end
        return np.frombuffer(b"".join(heads), self._row), paths, start

    def _read_columns(self, rows: NDArray[np.void], paths: list[bytes | None] | None) -> Columns:
        numbers = {name: finite(rows[f"{name}_held"].astype(np.float64)) for name in self._selection.numbers}
        marks = rows["mark"].astype(np.int64)
        if paths is None:
            return Columns(marks, numbers)
        columns = Columns(marks, numbers, *refer_to_paths(paths)).moved(self._texts)
        self._texts = columns.texts
        return columns

    def _with_all_texts(self, block: Block) -> Block:
        columns = block.rows.columns
        if columns is None:
            return block
        return block._replace(rows=block.rows._replace(columns=replace(columns, texts=self._texts)))

    def _look_up(self, hashes: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the index of each hash among the earlier ones, and whether it is there."""
        if not len(self._hashes):
            return np.zeros(len(hashes), np.intp), np.zeros(len(hashes), np.bool_)
        order = np.argsort(self._hashes)
        codes = order.take(np.searchsorted(self._hashes, hashes, sorter=order), mode="clip")
        return codes, self._hashes[codes] == hashes


def build(rows: ReadRows, names: Mapping[int, str]) -> tuple[LoadedCatalog, Checksum]:
    """Return the catalog of the rows whose part has a valid name.

    Args:
        rows: The rows that were read.
        names: Hash -> part, as far as known; some may be no valid names.

    Returns:
        The catalog, and the checksum of rows that PostgreSQL counts beside it: ignored ones, and those that came twice.
    """
    found = [names.get(code, "") for code in rows.hashes.tolist()]
    wanted = [name if is_part(name) else None for name in found]
    unwanted = np.array([name is None for name in wanted], dtype=np.bool_)
    ignored = sum(int(np.count_nonzero(unwanted[block.codes])) for block in rows.blocks) if unwanted.any() else 0
    catalog = gather_catalog(rows.blocks, wanted)
    examples = tuple(
        f"none (chunk {_shown(rows.examples[place : place + 1])})" if code == NAMELESS else found[place]
        for place, code in enumerate(rows.hashes.tolist())
        if unwanted[place]
    )
    loaded = LoadedCatalog(catalog, ignored=ignored, ignored_examples=examples[:_EXAMPLES])
    hashes = {name: code for name, code in zip(wanted, rows.hashes.tolist(), strict=True) if name is not None}
    return loaded, _beside(rows, catalog, hashes)


def _beside(rows: ReadRows, catalog: Catalog, hashes: Mapping[str, int]) -> Checksum:
    if sum(len(block.codes) for block in rows.blocks) == len(catalog):
        return Checksum(0, 0)
    received, seeds = Checksum(0, 0), rows.hashes.view(np.uint64)
    for block in rows.blocks:
        told = rows.hashes[block.codes] != NAMELESS
        received = received.plus(checksum_rows(block.rows.take(told), seeds[block.codes[told]]))
    return received.minus(checksum_of(catalog, hashes))


def _shown(chunk: NDArray[np.generic]) -> str:
    """Write an array of one id as text; NumPy would cut the last zero bytes off a uuid that it gives out alone."""
    return render_cells(chunk, cell_width(chunk)).tobytes().decode().strip(' ,"')
