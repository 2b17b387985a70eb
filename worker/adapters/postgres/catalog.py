"""The catalog in PostgreSQL: it reads every READY chunk in one pass of fixed-width rows.

A URL may name several servers. What is loaded or compared comes from the server that the listener listens to. Another
one may lag behind it, and would bring back an older state.
"""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from worker.adapters.postgres.client import Connection, Place, connected, lift_limits, place_of, translated
from worker.adapters.postgres.copy_parser import Parser, ReadRows, build
from worker.adapters.postgres.listener import DeafListener, PostgresListener
from worker.adapters.postgres.selection import (
    NAMELESS,
    Selection,
    array_literal,
    hash_parts,
    name_part,
    select_by_query,
    select_own,
)
from worker.adapters.postgres.turns import READERS, Turns
from worker.core.catalog import Catalog, Checksum, checksum_of
from worker.core.wire import COLUMNS
from worker.ports import CatalogListener, LoadedCatalog

if TYPE_CHECKING:
    from worker.ticks import Idleness

_PATIENCE_S = 60.0
_NO_LIMIT_S = 86_400.0  # a COPY is limited by silence instead
_HIDING = """
select oid::regclass::text from pg_class
where relrowsecurity and relkind in ('r', 'p') and row_security_active(oid)
  and ($1 or oid = to_regclass('audio_chunks'))
order by oid limit 3"""
_QUERY_ACCEPTED = "WORKER_CHUNKS_QUERY has to be a SELECT of id and category that this role may read"
_QUERY_WITH_DURATIONS_ACCEPTED = (
    "with WORKER_WEIGHT_UNIT=seconds, or sizes by hours, WORKER_CHUNKS_QUERY has to be a SELECT of id, category and "
    "duration_s, a number of seconds, that this role may read"
)
_HELD_ACCEPTED = {
    True: "WORKER_CATALOG_COLUMNS={columns} needs these columns of audio_chunks, and the right to read them",
    False: "with WORKER_CATALOG_COLUMNS={columns}, WORKER_CHUNKS_QUERY has to return these columns, too",
}
_TABLE_WITH_DURATIONS_ACCEPTED = (
    "WORKER_WEIGHT_UNIT=seconds needs audio_chunks.duration_s, a number, which `sampling-worker migrate` creates"
)


class PostgresCatalog:
    """The source that reads the catalog from `audio_chunks`, or with the operator's query.

    Attributes:
        idleness: Says when PostgreSQL is looked at less often; None: never.
    """

    def __init__(
        self,
        database_url: str,
        chunks_query: str | None = None,
        *,
        with_durations: bool = False,
        held: tuple[str, ...] = (),
        patience_s: float = _PATIENCE_S,
        readers: int = READERS,
    ) -> None:
        """Choose what to read; nothing is opened yet.

        Args:
            database_url: A `postgresql://` URL.
            chunks_query: A SELECT of `id, category` of READY chunks, and of `split` if they have any; None: those of
                `audio_chunks`.
            with_durations: Whether to read `duration_s` too, and leave out chunks without one.
            held: Columns that requests may ask for, out of `duration_s`, `start_s` and `path`.
            patience_s: Longest silence of the server, in seconds; an operator's query may take long to begin.
            readers: How many workers may read everything at the same time, see `worker.adapters.postgres.turns`.
        """
        self.idleness: Idleness | None = None
        self._turns = Turns(readers)
        self._place: Place | None = None  # where the listener is
        self._patience_s = patience_s
        self._database_url = database_url
        self._known_names: dict[int, str] = {}
        self._beside = Checksum(0, 0)  # of rows that the server counts, but that are not part of a catalog
        self._query = chunks_query
        self._with_durations = with_durations
        self._held = tuple(name for name in COLUMNS if name in held)
        self._hint = {} if chunks_query is None else {"accepted": _QUERY_ACCEPTED}
        if with_durations:
            own, other = _TABLE_WITH_DURATIONS_ACCEPTED, _QUERY_WITH_DURATIONS_ACCEPTED
            self._hint = {"accepted": own if chunks_query is None else other}
        if held:
            self._hint = {"accepted": _HELD_ACCEPTED[chunks_query is None].format(columns=", ".join(self._held))}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[CatalogListener]:
        """Open a connection that hears of changes from this moment on.

        Raises:
            PostgresError: PostgreSQL could not be reached, or the table is not there.
        """
        if self._query is not None:
            yield DeafListener()
            return
        async with connected(self._database_url, statement_timeout_s=self._patience_s) as connection:
            with translated(self._database_url, **self._hint):
                selection = await self._select(connection)
            listener = PostgresListener(connection, self._database_url, selection, self.idleness)
            await listener.subscribe()
            self._place = place_of(connection)
            try:
                yield listener
            finally:
                self._place = None

    async def load(self) -> LoadedCatalog:
        """Read the whole catalog in one snapshot, over a connection of its own.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        async with self._reading() as connection:
            selection = await self._select(connection)
            rows = await self._copy(connection, selection)
            names = await self._learn_names(connection, rows, selection)
        loaded, self._beside = await run_sync(build, rows, names)
        return replace(loaded, is_split_hidden=selection.is_split_hidden)

    async def holds(self, catalog: Catalog) -> bool:
        """Return whether a catalog equals that of PostgreSQL, by a checksum.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        async with self._reading() as connection:
            selection = await self._select(connection)
            if selection.kind != catalog.kind:
                return False
            hashes = f"(select {selection.row_hash} as hash from {selection.rows}) as hashes"  # noqa: S608 - the operator's
            with anyio.move_on_after(self._patience_s) as patience:
                row = await connection.fetchrow(f"select count(hash), sum(hash) from {hashes}", timeout=_NO_LIMIT_S)  # noqa: S608
                seeds = await hash_parts(connection, catalog.parts)
            if patience.cancelled_caught:  # a COPY is never silent for long, so a load may succeed
                return False
        count, total = row or (0, 0)
        there = Checksum(0, 0).plus(Checksum(count, int(total or 0)))
        return there == (await run_sync(checksum_of, catalog, seeds)).plus(self._beside)

    async def hiding(self) -> tuple[str, ...]:
        """Return names of tables, three at most, whose rows row level security may hide from this role.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        async with self._reading() as connection:
            rows = await connection.fetch(_HIDING, self._query is not None)
        return tuple(row[0] for row in rows)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """Wait for a turn to read, on a connection with a snapshot of one moment."""
        with translated(self._database_url, **self._hint):
            async with self._turns.taken(self._connected) as connection:
                await lift_limits(connection)
                yield connection
                await connection.execute("commit")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Connect to the listener's server, or to any if nothing listens."""
        url, patience_s = self._database_url, self._patience_s
        async with connected(url, statement_timeout_s=patience_s, place=self._place) as connection:
            await connection.execute("begin isolation level repeatable read, read only")
            yield connection

    async def _select(self, connection: Connection) -> Selection:
        """Return what is read of each chunk, without reading a row."""
        if self._query is None:
            return await select_own(connection, with_durations=self._with_durations, held=self._held)
        return await select_by_query(connection, self._query, with_durations=self._with_durations, held=self._held)

    async def _copy(self, connection: Connection, selection: Selection) -> ReadRows:
        """Read the binary COPY of the rows; without paths they are of equal length."""
        parser = Parser(selection)
        with anyio.fail_after(self._patience_s) as patience:

            async def take(part: bytes) -> None:
                patience.deadline = math.inf
                await parser.take(part)
                patience.deadline = anyio.current_time() + self._patience_s

            await connection.copy_from_query(selection.copied, output=take, format="binary", timeout=_NO_LIMIT_S)
        return await parser.finish()

    async def _learn_names(self, connection: Connection, rows: ReadRows, selection: Selection) -> Mapping[int, str]:
        """Return the part of each hash; known ones save another run of an operator's query."""
        names = self._known_names
        unknown = [place for place, code in enumerate(rows.hashes.tolist()) if code not in names and code != NAMELESS]
        if unknown:
            examples = await run_sync(array_literal, rows.examples[unknown])
            found = await connection.fetch(selection.names, examples)
            names = names | {row["hash"]: name_part(row["category"], row["split"]) for row in found}
        self._known_names = {code: names[code] for code in rows.hashes.tolist() if code in names}
        return self._known_names
