"""The catalog in PostgreSQL: every READY chunk in one pass of fixed-width rows."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import numpy as np
from anyio.to_thread import run_sync

from worker.adapters.postgres.client import Connection, connected, lift_limits, translated
from worker.adapters.postgres.copy_parser import NAMELESS, Parser, Rows, build
from worker.adapters.postgres.listener import (
    DURATION,
    READY_CHUNKS,
    READY_CHUNKS_WITH_DURATIONS,
    DeafListener,
    PostgresListener,
    array_literal,
    is_name,
    type_name,
)
from worker.core.catalog import Catalog, Checksum, checksum_of
from worker.core.catalog.rendering import BIGINT, UUID
from worker.errors import PostgresError
from worker.ports import CatalogListener, LoadedCatalog

_PATIENCE_S = 60.0
_NO_LIMIT_S = 86_400.0  # what bounds a COPY is silence
_KINDS = {"smallint": BIGINT, "integer": BIGINT, "bigint": BIGINT, "uuid": UUID}
_ZERO = {BIGINT: "0", UUID: "'00000000-0000-0000-0000-000000000000'"}
_HASH = 'hashtextextended(category::text collate "C", 0)'
_MILLISECONDS = """
case when duration_s::double precision * 1000 >= 0.5 and duration_s::double precision * 1000 < 4294967295.5
then round(duration_s::double precision * 1000)::bigint end"""
_SHOWN = f"""
case when {is_name("category")} then category::text
else regexp_replace(left(category::text, 80) collate "C", '[^ -~]', '?', 'g') end"""
_ELSEWHERE = """
select string_agg(nspname, ', ' order by nspname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relname = 'audio_chunks' and relkind in ('r', 'p', 'v', 'm', 'f') and to_regclass('audio_chunks') is null"""
_HIDING = """
select oid::regclass::text from pg_class
where relrowsecurity and relkind in ('r', 'p') and row_security_active(oid)
  and ($1 or oid = to_regclass('audio_chunks'))
order by oid limit 3"""
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
        """Configure what to read, and where; nothing is opened yet.

        Args:
            database_url: A `postgresql://` URL.
            chunks_query: A SELECT of `id, category` of READY chunks; None: those of `audio_chunks`.
            with_durations: Whether to read `duration_s` too, and to leave out chunks that have none.
            patience_s: Longest silence of a server at work, in seconds: an operator's query may have to think.
        """
        self._patience_s = patience_s
        self._database_url = database_url
        self._known_names: dict[int, str] = {}
        self._beside = Checksum(0, 0)  # of rows that the server counts, and that are no part of a catalog
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
        async with self._reading() as connection:
            kind = await self._kind(connection)
            rows = await self._copy(connection, kind)
            names = await self._learn_names(connection, rows, kind)
        loaded, self._beside = await run_sync(build, rows, names)
        return loaded

    async def holds(self, catalog: Catalog) -> bool:
        """Return whether a catalog is what PostgreSQL has, by no more than a checksum of it.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        async with self._reading() as connection:
            kind = await self._kind(connection)
            if kind != catalog.ids.dtype:
                return False
            hashes = f"(select {self._row_hash(kind)} as hash from {self._chunks}) as hashes"  # noqa: S608 - the operator's
            names = 'select name, hashtextextended(name collate "C", 0) from unnest($1::text[]) as name'
            with anyio.move_on_after(self._patience_s) as patience:
                row = await connection.fetchrow(f"select count(hash), sum(hash) from {hashes}", timeout=_NO_LIMIT_S)  # noqa: S608
                seeds = dict(map(tuple, await connection.fetch(names, list(catalog.categories))))
            if patience.cancelled_caught:  # a COPY says something all the while
                return False
        count, total = row or (0, 0)
        there = Checksum(0, 0).plus(Checksum(count, int(total or 0)))
        return there == (await run_sync(checksum_of, catalog, seeds)).plus(self._beside)

    async def hiding(self) -> tuple[str, ...]:
        """Name tables, three at most, whose rows row level security may hide from this role.

        Raises:
            PostgresError: PostgreSQL could not be reached, fell silent, or refused the statement.
        """
        async with self._reading() as connection:
            rows = await connection.fetch(_HIDING, not self._is_own_table)
        return tuple(row[0] for row in rows)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """Open a connection that sees one moment."""
        with translated(self._database_url, **self._hint):
            async with connected(self._database_url, statement_timeout_s=self._patience_s) as connection:
                await connection.execute("begin isolation level repeatable read, read only")
                await lift_limits(connection)
                yield connection
                await connection.execute("commit")

    def _row_hash(self, kind: np.dtype[np.generic]) -> str:
        """Write the hash of a row as `worker.core.catalog.checksum` computes it; null where the row does not count."""
        if kind == UUID:
            chunk = f"uuid_hash_extended(id, {_HASH})"
        else:
            chunk = f"hashint8extended(id::bigint, {_HASH} # (id::bigint >> 32))"
        return f"hashint8extended({_MILLISECONDS}, {chunk})" if self._with_durations else chunk

    async def _kind(self, connection: Connection) -> np.dtype[np.generic]:
        """Find out what ids are, without reading one."""
        if self._is_own_table and (schemas := await connection.fetchval(_ELSEWHERE)):
            raise PostgresError(
                f"audio_chunks is in schema {schemas}, which is not on the search_path of this role, or closed to it; "
                "accepted: a search_path that has it, set by ALTER ROLE or in DATABASE_URL"
            )
        statement = (
            "select format_type(coalesce(nullif(typbasetype, 0), oid), null) from pg_type "  # noqa: S608
            f"where oid = pg_typeof((select id from {self._chunks} limit 0))"
        )
        name = await connection.fetchval(statement)
        if name not in _KINDS:
            raise PostgresError(f"chunk ids are of type {name}; accepted are {', '.join(_KINDS)}")
        return _KINDS[name]

    async def _copy(self, connection: Connection, kind: np.dtype[np.generic]) -> Rows:
        """Receive the binary COPY of (id, hash of the category[, duration]): each row takes as many bytes."""
        parser = Parser(kind, with_durations=self._with_durations)
        duration = f", {DURATION}" if self._with_durations else ""
        statement = (
            f"select coalesce(id::{type_name(kind)}, {_ZERO[kind]}), "  # noqa: S608 - the operator's query
            f"case when id is null or category is null then {NAMELESS} else {_HASH} end{duration} "
            f"from {self._chunks}"
        )
        with anyio.fail_after(self._patience_s) as patience:

            async def take(part: bytes) -> None:
                patience.deadline = math.inf
                await parser.take(part)
                patience.deadline = anyio.current_time() + self._patience_s

            await connection.copy_from_query(statement, output=take, format="binary", timeout=_NO_LIMIT_S)
        return await parser.finish()

    async def _learn_names(self, connection: Connection, rows: Rows, kind: np.dtype[np.generic]) -> Mapping[int, str]:
        """Look up what each hash stands for; what is known spares another run of an operator's query."""
        names = self._known_names
        unknown = [place for place, code in enumerate(rows.hashes.tolist()) if code not in names and code != NAMELESS]
        if unknown:
            examples = await run_sync(array_literal, rows.examples[unknown])
            statement = (
                f"select distinct {_SHOWN} as name, {_HASH} as hash from {self._chunks} "  # noqa: S608
                f"join unnest($1::text::{type_name(kind)}[]) as example (chunk_id) on id = chunk_id "
                "where category is not null"
            )
            names = names | {row["hash"]: row["name"] for row in await connection.fetch(statement, examples)}
        self._known_names = {code: names[code] for code in rows.hashes.tolist() if code in names}
        return self._known_names
