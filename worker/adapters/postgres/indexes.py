"""Build the indexes of a library that has rows, without holding up its writers.

PostgreSQL builds an index concurrently only outside of a transaction, and never over all partitions at once. So a table
with rows and no partitions gets its indexes here, and every other one by the migration `0003_indexes`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import asyncpg

from worker.adapters.postgres.client import Connection

_LACKING: Final = """
with recursive tree as (
  select to_regclass('audio_chunks')::oid as oid
  union
  select inhrelid from pg_inherits join tree on inhparent = tree.oid
), plain as (
  select oid, relname, oid = to_regclass('audio_chunks') as is_first,
    (select nspname from pg_namespace where oid = relnamespace) as schema
  from tree join pg_class using (oid)
  where relkind = 'r' and not relispartition and pg_relation_size(oid) > 0
), wanted as (
  select 'id' as kind, true as everywhere, 'unique ' as adjective, '(id)' as columns, '% (id%' as shape
  union all
  select 'ready', true, '', $$(id) include (category, split) where status = 'READY'$$,
    '% (id%split%) WHERE %READY%'
  union all
  select 'path', false, 'unique ', '(path, coalesce(start_s, -1))', '%(path, COALESCE(start_s, %'
)
select kind, format('%I.%I', schema, name) as name,
  format('create %sindex concurrently %I on %I.%I %s', adjective, name, schema, relname, columns) as statement
from plain cross join wanted cross join lateral format('sampling_worker_%s_%s', kind, plain.oid) as name
where (everywhere or is_first) and not exists (
  select from pg_index
  where indrelid = plain.oid and indisvalid and (indpred is null) = (kind <> 'ready')
    and (indisunique or kind <> 'path') and pg_get_indexdef(indexrelid) like shape
)
order by plain.oid, kind"""
_UNLIMITED: Final = """
select set_config(name, '0', false) from pg_settings where name in ('lock_timeout', 'statement_timeout')"""
# Rows that are there already forbid it, or a virtual column does; the migration says what that means.
_FORBIDDEN: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.FeatureNotSupportedError,
)


class Index(NamedTuple):
    """One index that is lacking.

    Attributes:
        kind: What it is for.
        name: Its name, quoted.
        statement: What builds it.
    """

    kind: str
    name: str
    statement: str

    @property
    def removal(self) -> str:
        """Return what removes an index by this name that is half built."""
        return f"drop index concurrently if exists {self.name}"


async def lacking_indexes(connection: Connection) -> list[Index]:
    """Return the indexes that can be built while others write."""
    return [Index(*row) for row in await connection.fetch(_LACKING)]


async def build_indexes(connection: Connection) -> None:
    """Build what is lacking; this waits for open transactions, while nobody waits for it."""
    await connection.fetch(_UNLIMITED)
    for index in await lacking_indexes(connection):
        await connection.execute(index.removal)
        with _forbidden() as refusals:
            await connection.execute(index.statement)
        if refusals:
            await connection.execute(index.removal)


@contextmanager
def _forbidden() -> Iterator[list[Exception]]:
    """Collect the error of an index that cannot be built."""
    refusals: list[Exception] = []
    try:
        yield refusals
    except _FORBIDDEN as error:
        refusals.append(error)
