"""The schema: numbered `.sql` files, each applied if its text differs from the one applied last.

It is changed while others write. Rules:

1. Each migration is a transaction of its own. It holds its locks for as long as a change of names takes.
2. A statement waits for a lock for one second at most, as every writer waits behind it. Then the migration is undone,
   and attempted again.
3. Indexes of tables with rows are built concurrently, see `worker.adapters.postgres.indexes`.
4. One process migrates at a time. The others ask again and again. If one waited in the server, the building of an index
   would wait for it.
5. The schema only goes forward: a release leaves the schema of a later one alone, see `SCHEMA_VERSION`.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final

import anyio
import asyncpg

from worker.adapters.postgres.client import Connection, connected, lift_limits, translated
from worker.adapters.postgres.indexes import build_indexes, lacking_indexes
from worker.errors import PostgresError

SCHEMA_VERSION: Final = 1
"""Version of the schema that the migrations make. It is raised with each change of their texts after a release."""

_STATEMENT_TIMEOUT_S = 3600.0  # an index on a large table takes long
_LOCK = 0x73616D706C65  # any number that all migrations share
_LOCK_TIMEOUT: Final = "1s"
_ATTEMPTS: Final = 60
_PAUSE_S: Final = 1.0  # at most, between two attempts
_INDEXES: Final = "0003_indexes"
_LEDGER: Final = """
do $$ begin
  if to_regclass('sampling_worker_migrations') is null then
    create table sampling_worker_migrations (
      name text primary key, sha256 text not null, applied_at timestamptz not null default now()
    );
  end if;
end $$;
alter table sampling_worker_migrations add column if not exists schema_version integer not null default 1;
"""
_RECORD: Final = """
insert into sampling_worker_migrations (name, sha256, schema_version) values ('{name}', '{sha256}', {version})
on conflict (name) do update
set sha256 = excluded.sha256, schema_version = excluded.schema_version, applied_at = now();
"""
_IS_COMPLETE = """
with recursive tree as (
  select to_regclass('audio_chunks')::oid as oid
  union
  select inhrelid from pg_inherits join tree on inhparent = tree.oid
)
select coalesce(bool_and(4 = (
  select count(*) from pg_trigger
  where tgrelid = tree.oid and tgname like 'sampling\\_worker\\_%' and tgenabled = 'A' and tgnargs = (
    select least(count(*), 1) from pg_attribute
    where attrelid = tree.oid and attgenerated = 'v'
      and attname in ('category', 'status', 'duration_s', 'split', 'start_s', 'path')
  )
)), false) from tree join pg_class using (oid)"""


async def migrate(database_url: str) -> list[str]:
    """Create what is missing of the schema; several processes may do so at once, and again.

    Returns:
        Names of the migrations that were applied now, in order.

    Raises:
        PostgresError: PostgreSQL could not be reached, the role may not change the schema, there is an `audio_chunks`
            that cannot be used, the schema is of a later release, or a long transaction holds a lock.
    """
    with translated(database_url):
        async with _alone(database_url), _connected(database_url) as connection:
            pending = await _pending(connection)
            for name, text in pending.items():
                if name == _INDEXES:
                    await build_indexes(connection)
                await _apply(connection, _transaction(name, text))
    return list(pending)


async def planned_sql(database_url: str) -> str:
    """Return the SQL that `migrate` would run now, and run nothing; empty if the schema is up to date.

    Raises:
        PostgresError: PostgreSQL could not be reached, or the schema is of a later release.
    """
    parts = []
    with translated(database_url):
        async with _connected(database_url) as connection:
            await connection.execute("set default_transaction_read_only = on")
            for name, text in (await _pending(connection)).items():
                if name == _INDEXES:
                    parts += [f"{index.statement};\n" for index in await lacking_indexes(connection)]
                parts.append(f"-- {name}\nbegin;\nset local lock_timeout = '{_LOCK_TIMEOUT}';\n")
                parts.append(f"{_transaction(name, text)}commit;\n")
    return "\n".join(parts)


def _connected(database_url: str) -> AbstractAsyncContextManager[Connection]:
    return connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S)


@asynccontextmanager
async def _alone(database_url: str) -> AsyncIterator[None]:
    """Let no other process migrate meanwhile."""
    async with _connected(database_url) as connection:
        await connection.execute("begin")
        await lift_limits(connection)
        while not await connection.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK):
            await anyio.sleep(random.uniform(0, 0.2))  # noqa: S311 - jitter is no secret
        await connection.execute("select")  # ends the last query's snapshot, for which building an index would wait
        yield
        await connection.execute("commit")


def _transaction(name: str, text: str) -> str:
    """Return what applies a migration and notes it."""
    return _LEDGER + text + _RECORD.format(name=name, sha256=_digest(text), version=SCHEMA_VERSION)


async def _apply(connection: Connection, text: str) -> None:
    """Run a text as a transaction; attempt it again while others hold locks for long.

    Raises:
        PostgresError: A lock was not to be had.
    """
    for _ in range(_ATTEMPTS):
        await connection.execute("begin")
        await lift_limits(connection)
        await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        try:
            await connection.execute(text)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await connection.execute("rollback")
            await anyio.sleep(random.uniform(0, _PAUSE_S))  # noqa: S311 - jitter is no secret
        else:
            await connection.execute("commit")
            return
    attempts = f"a long transaction holds a lock that the schema needs, in each of {_ATTEMPTS} attempts"
    raise PostgresError(f"{attempts}; accepted: `sampling-worker migrate` again, once it has ended")


async def _pending(connection: Connection) -> dict[str, str]:
    """Return the migrations to apply: new or changed ones, or all of them if triggers are missing.

    Raises:
        PostgresError: The schema is of a later release.
    """
    applied = await _applied(connection)
    if not await connection.fetchval(_IS_COMPLETE):
        applied = {}
    return {name: text for name, text in _migrations().items() if applied.get(name) != _digest(text)}


async def _applied(connection: Connection) -> Mapping[str, str]:
    """Return the digests of the migrations that were applied.

    Raises:
        PostgresError: A later release has applied one.
    """
    if await connection.fetchval("select to_regclass('sampling_worker_migrations') is null"):
        return {}
    rows = [dict(row) for row in await connection.fetch("select * from sampling_worker_migrations")]
    if problem := schema_problem(max((row.get("schema_version", 1) for row in rows), default=SCHEMA_VERSION)):
        raise PostgresError(problem)
    return {row["name"]: row["sha256"] for row in rows}


def schema_problem(found: int) -> str | None:
    """Return why this release leaves a schema alone; None: it does not.

    Args:
        found: Version of the schema.
    """
    if found <= SCHEMA_VERSION:
        return None
    said = f"the schema has version {found}, which a later release has made, and this release makes {SCHEMA_VERSION}"
    return f"{said}; accepted: `pip install --upgrade sampling-worker`, then `sampling-worker migrate`"


def _migrations() -> dict[str, str]:
    """Return the migrations of this package, in order."""
    folder = files("worker.adapters.postgres") / "migrations"
    scripts = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return {path.name.removesuffix(".sql"): path.read_text(encoding="utf-8") for path in scripts}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
