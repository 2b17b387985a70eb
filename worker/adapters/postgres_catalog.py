"""The catalog in PostgreSQL: every READY chunk in one pass of fixed-width rows."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.adapters.postgres_client import Connection, connected, translated
from worker.adapters.postgres_listener import (
    DURATION,
    READY_CHUNKS,
    READY_CHUNKS_WITH_DURATIONS,
    DeafListener,
    PostgresListener,
    array_literal,
    type_name,
)
from worker.core.catalog import Block, ascending, gather_catalog
from worker.core.durations import whole_milliseconds
from worker.core.keys import CATEGORY_PATTERN
from worker.core.rendering import BIGINT, UUID
from worker.errors import PostgresError
from worker.ports import CatalogListener, LoadedCatalog

_PATIENCE_S = 60.0
_NO_LIMIT_S = 86_400.0  # what bounds a COPY is silence
_KINDS = {"smallint": BIGINT, "integer": BIGINT, "bigint": BIGINT, "uuid": UUID}
_ZERO = {BIGINT: "0", UUID: "'00000000-0000-0000-0000-000000000000'"}
_HASH = 'hashtextextended(category::text collate "C", 0)'
_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_BLOCK_BYTES = 1 << 20
_NAMELESS = 0


@dataclass(frozen=True, slots=True)
class _Rows:
    """Hold what was read, before the names are known.

    Attributes:
        blocks: Ids, for each the place of its category's hash in `hashes`, and durations where they matter.
        hashes: int64, shape (k,): hash of each category; `_NAMELESS` for rows that are left out.
        examples: int64 or S16, shape (k,): a chunk of each category.
    """

    blocks: list[Block]
    hashes: NDArray[np.int64]
    examples: NDArray[np.generic]


_QUERY_ACCEPTED = "WORKER_CHUNKS_QUERY has to be a SELECT of id and category that this role may read"
_QUERY_WITH_DURATIONS_ACCEPTED = (
    "with WORKER_WEIGHT_UNIT=seconds, WORKER_CHUNKS_QUERY has to be a SELECT of id, category and duration_s, a number "
    "of seconds, that this role may read"
)
_TABLE_WITH_DURATIONS_ACCEPTED = (
    "WORKER_WEIGHT_UNIT=seconds needs audio_chunks.duration_s, a number, which `sampling-worker migrate` creates"
)


class PostgresCatalog:
    """Read the catalog from `audio_chunks`, or by a query of the operator's."""

    def __init__(
        self,
        database_url: str,
        chunks_query: str | None = None,
        *,
        with_durations: bool = False,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Take where and what to read; nothing is opened yet.

        Args:
            database_url: A `postgresql://` URL.
            chunks_query: A SELECT of `id, category` of READY chunks; None: those of `audio_chunks`.
            with_durations: Whether to read `duration_s` too, and to leave out chunks that have none.
            patience_s: Longest silence of a server at work, in seconds: an operator's query may have to think.
        """
        self._patience_s = patience_s
        self._database_url = database_url
        self._known_names: list[str] = []
        self._is_own_table = chunks_query is None
        self._with_durations = with_durations
        query = chunks_query or (READY_CHUNKS_WITH_DURATIONS if with_durations else READY_CHUNKS)
        self._hint = {} if self._is_own_table else {"accepted": _QUERY_ACCEPTED}
        if with_durations:
            own, other = _TABLE_WITH_DURATIONS_ACCEPTED, _QUERY_WITH_DURATIONS_ACCEPTED
            self._hint = {"accepted": own if self._is_own_table else other}
        # On lines of its own: a query may end with a comment.
        self._chunks = f"(\n{query.strip().rstrip(';')}\n) as chunks"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[CatalogListener]:
        """Open a connection that hears of changes from this moment on.

        Raises:
            PostgresError: PostgreSQL could not be reached, or the table is not there.
        """
        if not self._is_own_table:
            yield DeafListener()
            return
        async with connected(self._database_url, statement_timeout_s=self._patience_s) as connection:
            with translated(self._database_url, **self._hint):
                kind = await self._kind(connection)
            listener = PostgresListener(connection, self._database_url, kind, with_durations=self._with_durations)
            await listener.subscribe()
            yield listener

    async def load(self) -> LoadedCatalog:
        """Read the whole catalog, as one moment saw it, over a connection of its own.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        with translated(self._database_url, **self._hint):
            async with connected(self._database_url, statement_timeout_s=self._patience_s) as connection:
                await connection.execute("begin isolation level repeatable read, read only")
                kind = await self._kind(connection)
                rows = await self._copy(connection, kind)
                names = await self._learn_names(connection, rows, kind)
                await connection.execute("commit")
        return await run_sync(_build, rows, names)

    async def _kind(self, connection: Connection) -> np.dtype[np.generic]:
        """Find out what ids are, without reading one."""
        statement = (
            "select format_type(coalesce(nullif(typbasetype, 0), oid), null) from pg_type "  # noqa: S608
            f"where oid = pg_typeof((select id from {self._chunks} limit 0))"
        )
        name = await connection.fetchval(statement)
        if name not in _KINDS:
            raise PostgresError(f"chunk ids are of type {name}; accepted are {', '.join(_KINDS)}")
        return _KINDS[name]

    async def _copy(self, connection: Connection, kind: np.dtype[np.generic]) -> _Rows:
        """Receive the binary COPY of (id, hash of the category[, duration]): each row takes as many bytes."""
        parser = _Parser(kind, with_durations=self._with_durations)
        duration = f", {DURATION}" if self._with_durations else ""
        statement = (
            f"select coalesce(id::{type_name(kind)}, {_ZERO[kind]}), "  # noqa: S608 - the operator's query
            f"case when id is null or category is null then {_NAMELESS} else {_HASH} end{duration} "
            f"from {self._chunks}"
        )
        with anyio.fail_after(self._patience_s) as patience:

            async def take(part: bytes) -> None:
                patience.deadline = math.inf
                await parser.take(part)
                patience.deadline = anyio.current_time() + self._patience_s

            await connection.copy_from_query(statement, output=take, format="binary", timeout=_NO_LIMIT_S)
        return await parser.finish()

    async def _learn_names(self, connection: Connection, rows: _Rows, kind: np.dtype[np.generic]) -> Mapping[int, str]:
        """Look up what each hash stands for; names that are known spare another run of an operator's query."""
        known = 'select name, hashtextextended(name collate "C", 0) as hash from unnest($1::text[]) as name'
        names = {row["hash"]: row["name"] for row in await connection.fetch(known, self._known_names)}
        unknown = [place for place, code in enumerate(rows.hashes.tolist()) if code not in names]
        if unknown:
            examples = await run_sync(array_literal, rows.examples[unknown])
            statement = (
                f"select distinct category::text as name, {_HASH} as hash from {self._chunks} "  # noqa: S608
                f"join unnest($1::text::{type_name(kind)}[]) as example (chunk_id) on id = chunk_id "
                "where category is not null"
            )
            names |= {row["hash"]: row["name"] for row in await connection.fetch(statement, examples)}
        found = {code: names[code] for code in rows.hashes.tolist() if code in names}
        self._known_names = list(found.values())
        return found


class _Parser:
    """Take a binary COPY apart while it comes, block by block in threads, without a Python object a row.

    What has come is never held as a whole: it takes more room than the catalog, and growing and freeing that much at
    once keeps the interpreter locked.

    Source: PostgreSQL documentation, COPY, "Binary Format": a header, then for each row the number of fields and,
    for each field, its length and its bytes in network order; then a trailer.
    """

    def __init__(self, kind: np.dtype[np.generic], *, with_durations: bool) -> None:
        """Take what ids are, and whether there is a third field."""
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
        """Take what came next."""
        self._held.append(part)
        self._held_bytes += len(part)
        if self._held_bytes >= _BLOCK_BYTES:
            await self._pass_on()

    async def finish(self) -> _Rows:
        """Return all rows; nothing more comes."""
        self._held_bytes -= _TRAILER_BYTES
        await self._pass_on()
        return _Rows(self._blocks, self._hashes, self._examples)

    async def _pass_on(self) -> None:
        """Have the rows that are complete parsed; the connection fills its buffers meanwhile."""
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
            hashes[durations == 0] = _NAMELESS
        codes, is_known = self._look_up(hashes)
        if not is_known.all():
            self._hashes = np.concatenate([self._hashes, ascending(hashes[~is_known])])
            codes, _ = self._look_up(hashes)
            self._examples = np.resize(self._examples, len(self._hashes))
            self._examples[codes] = ids
        self._blocks.append(Block(ids, codes.astype(np.min_scalar_type(len(self._hashes))), durations))

    def _look_up(self, hashes: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Find the place of each hash among those that came before, and tell whether it is there."""
        if not len(self._hashes):
            return np.zeros(len(hashes), np.intp), np.zeros(len(hashes), np.bool_)
        order = np.argsort(self._hashes)
        codes = order.take(np.searchsorted(self._hashes, hashes, sorter=order), mode="clip")
        return codes, self._hashes[codes] == hashes


def _build(rows: _Rows, names: Mapping[int, str]) -> LoadedCatalog:
    """Build the catalog of the rows whose category has a name."""
    found = [names.get(code, "") for code in rows.hashes.tolist()]
    wanted = [name if CATEGORY_PATTERN.fullmatch(name) else None for name in found]
    unwanted = np.array([name is None for name in wanted], dtype=np.bool_)
    ignored = sum(int(np.count_nonzero(unwanted[block.codes])) for block in rows.blocks) if unwanted.any() else 0
    return LoadedCatalog(gather_catalog(rows.blocks, wanted), ignored=ignored)
