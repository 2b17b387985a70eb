"""Remove chunks from the library; files stay where they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.adapters.postgres.client import Connection, connected, translated

_STATEMENT_TIMEOUT_S = 3600.0
_COUNT = """
select category::text, count(*) from audio_chunks
where (cardinality($1::text[]) + cardinality($2::text[]) = 0 or id::text = any($1::text[]) or path = any($2::text[]))
  and (cardinality($3::text[]) = 0 or path ~ any($3::text[]))
  and (cardinality($4::text[]) = 0 or category::text = any($4::text[]))
group by category order by category"""
_REMOVE = """
delete from audio_chunks
where (cardinality($1::text[]) + cardinality($2::text[]) = 0 or id::text = any($1::text[]) or path = any($2::text[]))
  and (cardinality($3::text[]) = 0 or path ~ any($3::text[]))
  and (cardinality($4::text[]) = 0 or category::text = any($4::text[]))"""
_KNOWN = """
select id::text as name from audio_chunks where id::text = any($1::text[])
union select path::text from audio_chunks where path = any($2::text[])"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which chunks are meant. Of several kinds of conditions, a chunk fits all; of each kind, one.

    Attributes:
        ids: Ids, as text.
        paths: Whole paths; a chunk that has one of the ids or one of these fits.
        expressions: Regular expressions of PostgreSQL for paths.
        categories: Names of categories.
    """

    ids: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[tuple[str, ...], ...]:
        """Return the arguments of a statement."""
        return self.ids, self.paths, self.expressions, self.categories


@dataclass(frozen=True, slots=True)
class Selected:
    """The chunks that a selection fits.

    Attributes:
        counts: Their number by category.
        known: Those of its ids and paths that a chunk has.
    """

    counts: Mapping[str, int]
    known: frozenset[str]


async def select_chunks(database_url: str, selection: Selection) -> Selected:
    """Count the chunks that a selection fits.

    Args:
        database_url: A `postgresql://` URL.
        selection: Which are meant.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            counts = await connection.fetch(_COUNT, *selection.values)
            return Selected({row[0]: row[1] for row in counts}, await _known(connection, selection))


async def remove_chunks(database_url: str, selection: Selection) -> int:
    """Delete the chunks that a selection fits, and return their number.

    Args:
        database_url: A `postgresql://` URL.
        selection: Which are meant.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            done = await connection.execute(_REMOVE, *selection.values)
    return int(done.removeprefix("DELETE "))


async def _known(connection: Connection, selection: Selection) -> frozenset[str]:
    if not selection.ids and not selection.paths:
        return frozenset()
    return frozenset(name for (name,) in await connection.fetch(_KNOWN, selection.ids, selection.paths))
