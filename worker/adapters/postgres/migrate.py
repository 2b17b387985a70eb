"""The schema: numbered `.sql` files, each applied if its text differs from the one applied last."""

import hashlib
from importlib.resources import files

from worker.adapters.postgres.client import Connection, connected, lift_limits, translated

_STATEMENT_TIMEOUT_S = 3600.0  # an index on a large table takes long
_LOCK = 0x73616D706C65  # any number that all migrations share
_LEDGER = """
create table sampling_worker_migrations (
  name text primary key, sha256 text not null, applied_at timestamptz not null default now()
)"""
_RECORD = """
insert into sampling_worker_migrations (name, sha256) values ($1, $2)
on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()"""
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
        PostgresError: PostgreSQL could not be reached, the role may not change the schema, or there is an
            `audio_chunks` that cannot be used.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            await connection.execute("begin")
            await lift_limits(connection)
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            # Our locks would wait for a long transaction, and every writer for our locks.
            await connection.execute("set local lock_timeout = '10s'")
            pending = await _pending(connection)
            for name, text in pending.items():
                await connection.execute(text)
                await connection.execute(_RECORD, name, _digest(text))
            await connection.execute("commit")
    return list(pending)


async def _pending(connection: Connection) -> dict[str, str]:
    """Return the migrations to apply: new or changed ones, or all of them if triggers are missing."""
    applied: dict[str, str] = {}
    if await connection.fetchval("select to_regclass('sampling_worker_migrations') is null"):
        await connection.execute(_LEDGER)
    elif await connection.fetchval(_IS_COMPLETE):
        rows = await connection.fetch("select name, sha256 from sampling_worker_migrations")
        applied = {row["name"]: row["sha256"] for row in rows}
    return {name: text for name, text in _migrations().items() if applied.get(name) != _digest(text)}


def _migrations() -> dict[str, str]:
    """Return the migrations of this package, in order."""
    folder = files("worker.adapters.postgres") / "migrations"
    scripts = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return {path.name.removesuffix(".sql"): path.read_text(encoding="utf-8") for path in scripts}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
