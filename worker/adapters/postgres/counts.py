"""The library in PostgreSQL: how many chunks it has. Nothing here needs NumPy, which takes long to load."""

from dataclasses import dataclass

from worker.adapters.postgres.client import connected, translated
from worker.ports import LoadedCatalog

READY = "READY"

_MS_A_SECOND = 1000
_STATEMENT_TIMEOUT_S = 3600.0
_COUNT = """
select category::text, status::text, count(*) as count, coalesce(sum(duration_s), 0)::double precision as duration_s,
  {split} as split, count(*) - count(duration_s) filter (where duration_s > 0) as undated
from audio_chunks group by category, status, {split} order by category, status, {split}"""
_HAS_SPLIT = """
select exists (select from pg_attribute where attrelid = to_regclass('audio_chunks') and attname = 'split'
  and not attisdropped and has_column_privilege(attrelid, attnum, 'select'))"""


@dataclass(frozen=True, slots=True)
class ChunkCount:
    """The number of chunks of one category, status and split, and their known seconds.

    Attributes:
        category: The category.
        status: The status.
        count: How many chunks there are.
        duration_s: The sum of the seconds that are known; None: durations were not read.
        split: The split; empty: none.
        undated: How many of the chunks have no duration above 0; 0 where durations were not read.
    """

    category: str
    status: str
    count: int
    duration_s: float | None
    split: str = ""
    undated: int = 0


async def count_chunks(database_url: str) -> list[ChunkCount]:
    """Return the counts of each category, status and split, in this order.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            split = "coalesce(split::text, '')" if await connection.fetchval(_HAS_SPLIT) else "''::text"
            return [ChunkCount(*row) for row in await connection.fetch(_COUNT.format(split=split))]


def counts_of(loaded: LoadedCatalog) -> list[ChunkCount]:
    """Count what a catalog holds: READY chunks, by category and split."""
    from worker.core.catalog import read_part  # noqa: PLC0415 - numpy, which who has a catalog has loaded

    catalog = loaded.catalog
    sums: list[float | None] = [None] * len(catalog.parts)
    if catalog.durations is not None:
        sums = [total / _MS_A_SECOND for total in catalog.durations.totals_ms.tolist()]
    parts = [(*read_part(name), count) for name, count in catalog.sizes.items()]
    return [
        ChunkCount(category, READY, count, seconds, split)
        for (category, split, count), seconds in zip(parts, sums, strict=True)
    ]
