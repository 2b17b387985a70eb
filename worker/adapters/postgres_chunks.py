"""The library in PostgreSQL: register chunks, and count them."""

from collections.abc import Iterable
from dataclasses import dataclass

from worker.adapters.postgres_client import connected, translated
from worker.core.manifest import ChunkRow

_STATEMENT_TIMEOUT_S = 3600.0
_COLUMNS = ("path", "category", "status", "duration_s")
_STAGE = """
create temporary table incoming on commit drop as
select path, category, status, duration_s from audio_chunks with no data"""
_MERGE = """
with written as (
  insert into audio_chunks as chunk (path, category, status, duration_s)
  select path, category, status, duration_s from incoming
  on conflict (path) do update set
    category = excluded.category,
    status = excluded.status,
    duration_s = coalesce(excluded.duration_s, chunk.duration_s)
  where (chunk.category, chunk.status, chunk.duration_s) is distinct from
    (excluded.category, excluded.status, coalesce(excluded.duration_s, chunk.duration_s))
  returning xmax = 0 as inserted
)
select count(*) filter (where inserted) as inserted, count(*) filter (where not inserted) as updated from written"""
_COUNT = """
select category::text, status::text, count(*) as count, coalesce(sum(duration_s), 0)::double precision as duration_s
from audio_chunks group by category, status order by category, status"""


@dataclass(frozen=True, slots=True)
class Imported:
    """Count the chunks of an import: new ones, those that differ from what was there, those that do not."""

    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class ChunkCount:
    """Count the chunks of one category and status, and the seconds they last as far as known."""

    category: str
    status: str
    count: int
    duration_s: float


async def import_chunks(database_url: str, rows: Iterable[ChunkRow]) -> Imported:
    """Register chunks by their path, all or none: new ones are inserted, known ones brought to what is said here.

    Args:
        database_url: A `postgresql://` URL.
        rows: Each path once; may be a generator, and raise.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused.
    """
    records = ((row.path, row.category, row.status, row.duration_s) for row in rows)
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            await connection.execute("begin")
            await connection.execute(_STAGE)
            copied = await connection.copy_records_to_table("incoming", records=records, columns=_COLUMNS)
            merged = await connection.fetchrow(_MERGE)
            await connection.execute("commit")
    total = int(copied.removeprefix("COPY "))
    inserted, updated = merged or (0, 0)
    return Imported(inserted, updated, unchanged=total - inserted - updated)


async def count_chunks(database_url: str) -> list[ChunkCount]:
    """Count the chunks of each category and status, in this order.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            return [ChunkCount(*row) for row in await connection.fetch(_COUNT)]
