"""A parser for a binary COPY of chunks, which makes no Python object for a row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.adapters.postgres.selection import NAMELESS
from worker.core.catalog import Block, Catalog, Checksum, ascending, checksum_of, checksum_rows, gather_catalog
from worker.core.catalog.durations import whole_milliseconds
from worker.core.catalog.parts import is_part
from worker.core.catalog.rendering import cell_width, render_cells
from worker.ports import LoadedCatalog

_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_BLOCK_BYTES = 1 << 20
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that were read, before the names of their parts are known.

    Attributes:
        blocks: Ids, the index in `hashes` of each id's part, and durations if they matter.
        hashes: int64, shape (k,): hash of each part; `NAMELESS` for rows that are left out.
        examples: int64 or S16, shape (k,): a chunk of each part.
    """

    blocks: list[Block]
    hashes: NDArray[np.int64]
    examples: NDArray[np.generic]


class Parser:
    """A parser that reads a binary COPY as it arrives, block by block in threads.

    What has come is never held as a whole: it takes more room than the catalog, and growing and freeing that much at
    once keeps the interpreter locked.

    Source: PostgreSQL documentation, COPY, "Binary Format": a header, then for each row the number of fields and,
    for each field, its length and its bytes in network order; then a trailer.
    """

    def __init__(self, kind: np.dtype[np.generic], *, with_durations: bool) -> None:
        """Choose the format.

        Args:
            kind: Data type of the ids.
            with_durations: Whether rows have a duration as a third field.
        """
        fields = [("fields", ">i2"), ("id_bytes", ">i4"), ("id", kind.newbyteorder(">"))]
        duration = [("duration_bytes", ">i4"), ("duration_s", ">f8")] if with_durations else []
        self._row = np.dtype([*fields, ("hash_bytes", ">i4"), ("hash", ">i8"), *duration])
        self._kind = kind
        self._with_durations = with_durations
        self._held: list[bytes] = []
        self._held_bytes = -_HEADER_BYTES
        self._blocks: list[Block] = []
        self._hashes = np.empty(0, np.int64)
        self._examples = np.empty(0, kind)

    async def take(self, part: bytes) -> None:
        """Parse the next part."""
        self._held.append(part)
        self._held_bytes += len(part)
        if self._held_bytes >= _BLOCK_BYTES:
            await self._pass_on()

    async def finish(self) -> Rows:
        """Return all rows, after the last part."""
        self._held_bytes -= _TRAILER_BYTES
        await self._pass_on()
        return Rows(self._blocks, self._hashes, self._examples)

    async def _pass_on(self) -> None:
        """Parse the complete rows in a thread; the connection fills its buffers meanwhile."""
        received = b"".join(self._held)
        count = self._held_bytes // self._row.itemsize
        start = 0 if self._blocks else _HEADER_BYTES
        end = start + count * self._row.itemsize
        self._held, self._held_bytes = [received[end:]], self._held_bytes - (end - start)
        await run_sync(self._parse, np.frombuffer(received, self._row, count=count, offset=start))

    def _parse(self, rows: NDArray[np.void]) -> None:
        ids, hashes, durations = rows["id"].astype(self._kind), rows["hash"].astype(np.int64), None
        if self._with_durations:
            durations = whole_milliseconds(rows["duration_s"].astype(np.float64))
            hashes[durations == 0] = NAMELESS
        codes, is_known = self._look_up(hashes)
        if not is_known.all():
            self._hashes = np.concatenate([self._hashes, ascending(hashes[~is_known])])
            codes, _ = self._look_up(hashes)
            self._examples = np.resize(self._examples, len(self._hashes))
            self._examples[codes] = ids
        self._blocks.append(Block(ids, codes.astype(np.min_scalar_type(len(self._hashes))), durations))

    def _look_up(self, hashes: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the index of each hash among the earlier ones, and whether it is there."""
        if not len(self._hashes):
            return np.zeros(len(hashes), np.intp), np.zeros(len(hashes), np.bool_)
        order = np.argsort(self._hashes)
        codes = order.take(np.searchsorted(self._hashes, hashes, sorter=order), mode="clip")
        return codes, self._hashes[codes] == hashes


def build(rows: Rows, names: Mapping[int, str]) -> tuple[LoadedCatalog, Checksum]:
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
        f"none (chunk {_shown(rows.examples[place])})" if code == NAMELESS else found[place]
        for place, code in enumerate(rows.hashes.tolist())
        if unwanted[place]
    )
    loaded = LoadedCatalog(catalog, ignored=ignored, ignored_examples=examples[:_EXAMPLES])
    hashes = {name: code for name, code in zip(wanted, rows.hashes.tolist(), strict=True) if name is not None}
    return loaded, _beside(rows, catalog, hashes)


def _beside(rows: Rows, catalog: Catalog, hashes: Mapping[str, int]) -> Checksum:
    if sum(len(block.ids) for block in rows.blocks) == len(catalog):
        return Checksum(0, 0)
    received, seeds = Checksum(0, 0), rows.hashes.view(np.uint64)
    for block in rows.blocks:
        told = rows.hashes[block.codes] != NAMELESS
        durations = None if block.durations is None else block.durations[told]
        received = received.plus(checksum_rows(block.ids[told], seeds[block.codes[told]], durations))
    return received.minus(checksum_of(catalog, hashes))


def _shown(chunk: np.generic) -> str:
    cell = np.array([chunk])
    return render_cells(cell, cell_width(cell)).tobytes().decode().strip(' ,"')
