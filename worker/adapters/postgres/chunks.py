"""The library in PostgreSQL: register chunks.

A chunk is known again by its path and `start_s`. An import is one transaction. It stages its rows in a temporary table
and finds repeated chunks there. Then one statement writes the rows in the order of their paths. So two imports take
their locks in the same order, and cannot deadlock each other. Other writers may still cause a deadlock; after it, only
that statement is repeated.
"""

import re
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

import asyncpg

from worker.adapters.postgres.client import Connection, connected, translated
from worker.adapters.postgres.quarantine import hold_quarantined, note_held
from worker.core.catalog.manifest import ChunkRow, Problems
from worker.core.redaction import redact
from worker.errors import ManifestError

_STATEMENT_TIMEOUT_S = 3600.0
_MOST_ATTEMPTS = 5
_WORK_MEMORY = "64MB"
_COLUMNS = ("line", "path", "start_s", "category", "status", "duration_s", "split", "error")
_MOST_NAMED = 20
_COPY_ROW = re.compile(r"COPY incoming, \D*(\d+)")  # the word between is in the server's language
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_REFUSALS = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.PLPGSQLError)

# A whole file has no start_s. Null is not equal to itself, so -1 stands for it, as in the unique index.
_STAGE = """
create temporary table incoming on commit drop as
select 0::bigint as line, path, start_s, category, status, duration_s, split, error from audio_chunks with no data"""
_REPEATED = """
create temporary table repeated on commit drop as
select path, coalesce(start_s, -1) as start_s, min(line) as line from incoming
group by path, coalesce(start_s, -1) having count(*) > 1"""
_CONTRADICTIONS = """
select again.line, first.line as first_line, again.path::text as path, again.start_s, count(*) over () as count
from repeated
join incoming as first on first.path = repeated.path and first.line = repeated.line
  and coalesce(first.start_s, -1) = repeated.start_s
join incoming as again on again.path = repeated.path and again.line > repeated.line
  and coalesce(again.start_s, -1) = repeated.start_s
where (again.category, again.status, again.duration_s, again.split, again.error) is distinct from
  (first.category, first.status, first.duration_s, first.split, first.error)
order by again.line limit $1"""
_ONCE = """
delete from incoming using repeated
where incoming.path = repeated.path and coalesce(incoming.start_s, -1) = repeated.start_s
  and incoming.line > repeated.line"""
# Rows that are there already are not even locked. Ordering by bytes is faster than by a language.
_MERGE = """
with written as (
  insert into audio_chunks as chunk (path, start_s, category, status, duration_s, split, error)
  select path, start_s, category, status, duration_s, split, error from incoming
  where line between $1 and $2 and not exists (
    select from audio_chunks as known
    where known.path = incoming.path and coalesce(known.start_s, -1) = coalesce(incoming.start_s, -1)
      and (known.category, known.status, known.duration_s, known.split, known.error) is not distinct from
        (incoming.category, incoming.status, coalesce(incoming.duration_s, known.duration_s),
         coalesce(incoming.split, known.split), incoming.error))
  order by path::text collate "C", start_s
  on conflict (path, coalesce(start_s, -1)) do update set
    category = excluded.category,
    status = case when chunk.status::text = 'QUARANTINED' then chunk.status else excluded.status end,
    duration_s = coalesce(excluded.duration_s, chunk.duration_s),
    split = coalesce(excluded.split, chunk.split),
    error = case when chunk.status::text = 'QUARANTINED' then chunk.error else excluded.error end
  where (chunk.category, chunk.duration_s, chunk.split) is distinct from
      (excluded.category, coalesce(excluded.duration_s, chunk.duration_s), coalesce(excluded.split, chunk.split))
    or chunk.status::text <> 'QUARANTINED' and (chunk.status, chunk.error) is distinct from
      (excluded.status, excluded.error)
  returning category::text as category, xmax = 0 as inserted
), counts as (
  select category, count(*) filter (where inserted) as inserted, count(*) filter (where not inserted) as updated
  from written group by category
), given as (
  select category::text as category, count(*) as rows,
    count(*) filter (where duration_s is null or duration_s not between 0.0005 and 4294967.295) as without_duration
  from incoming where line between $1 and $2 group by category
)
select category, coalesce(rows, 0), coalesce(inserted, 0), coalesce(updated, 0), coalesce(without_duration, 0)
from given full join counts using (category) order by category"""


@dataclass(frozen=True, slots=True)
class CategoryImport:
    """The counts of an import for one category.

    Attributes:
        category: Its name.
        rows: Rows of different chunks.
        inserted: New chunks.
        updated: Known chunks that differed.
        without_duration: Rows without a duration, or with one that no worker can weigh by.
    """

    category: str
    rows: int
    inserted: int
    updated: int
    without_duration: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The counts of an import.

    Attributes:
        categories: The counts of each category, by name.
        repeated: Rows that repeated another row.
        held: Rows of chunks that are QUARANTINED, and stay so.
        held_paths: The files of these.
    """

    categories: tuple[CategoryImport, ...]
    repeated: int
    held: int = 0
    held_paths: frozenset[str] = frozenset()

    @property
    def inserted(self) -> int:
        """Return the number of new chunks."""
        return sum(one.inserted for one in self.categories)

    @property
    def updated(self) -> int:
        """Return the number of known chunks that differed."""
        return sum(one.updated for one in self.categories)

    @property
    def unchanged(self) -> int:
        """Return the number of known chunks that were the same."""
        return sum(one.rows for one in self.categories) - self.inserted - self.updated

    @property
    def without_duration(self) -> int:
        """Return the number of rows without a duration that a worker can weigh by."""
        return sum(one.without_duration for one in self.categories)


async def import_chunks(
    database_url: str,
    rows: Iterable[ChunkRow],
    problems: Problems | None = None,
    *,
    beside: Callable[[Connection], Awaitable[None]] | None = None,
    is_trial: bool = False,
) -> Imported:
    """Register chunks by their path and `start_s`, all or none: insert new ones, and update known ones.

    Args:
        database_url: A `postgresql://` URL.
        rows: May be a generator, and may raise. A chunk may be repeated by an equal row.
        problems: The problems that `rows` finds on the way; if there are any, nothing is imported.
        beside: What else is done in the transaction, while the rows stand in the table `incoming`, before they are
            written. It may change them there.
        is_trial: Whether everything is undone at the end.

    Raises:
        ManifestError: Rows are not accepted, contradict each other, or are refused by PostgreSQL.
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    found = problems or Problems("the rows")
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            # Not the role's default: at a higher level, the statement could not be repeated.
            await connection.execute("begin isolation level read committed")
            await connection.execute(f"set local work_mem = '{_WORK_MEMORY}'")
            await connection.execute(_STAGE)
            last = await _stage(connection, rows, found)
            repeated = await _join_repeated(connection, found)
            found.raise_any()
            held = await hold_quarantined(connection)
            if beside is not None:
                await beside(connection)
            categories = await _merge_again(connection, last, found)
            if held:
                await note_held(connection)
            await connection.execute("rollback" if is_trial else "commit")
    return Imported(tuple(categories), repeated, len(held), frozenset(held))


async def _stage(connection: Connection, rows: Iterable[ChunkRow], problems: Problems) -> int:
    """Copy the rows to the server, and return the number of the last line.

    Raises:
        ManifestError: A value does not fit its column; the message names its line.
    """
    lines = array("q")

    def records() -> Iterator[tuple[object, ...]]:
        for number, row in enumerate(rows, start=1):
            lines.append(row.line or number)
            yield lines[-1], row.path, row.start_s, row.category, row.status, row.duration_s, row.split, row.error

    try:
        await connection.copy_records_to_table("incoming", records=records(), columns=_COLUMNS)
    except asyncpg.PostgresError as error:
        if place := _COPY_ROW.match(error.context or ""):
            raise _refusal(problems, lines[int(place[1]) - 1], error) from error
        raise
    return lines[-1] if lines else 0


async def _join_repeated(connection: Connection, problems: Problems) -> int:
    """Remove repeated rows and return their number; record rows that contradict each other."""
    await connection.execute("analyze incoming")  # else the planner takes it for small, and joins row by row
    await connection.execute(_REPEATED)
    contradictions = await connection.fetch(_CONTRADICTIONS, _MOST_NAMED)
    unit = problems.unit
    for line, first_line, path, start_s, _ in contradictions:
        begin = "" if start_s is None else f" from {start_s:g} s"
        problems.add(line, f"path {path!r}{begin} is in {unit} {first_line} already, and the two {unit}s differ")
    if contradictions:
        problems.count += contradictions[0]["count"] - len(contradictions)
    done = await connection.execute(_ONCE)
    return int(done.removeprefix("DELETE "))


async def _merge_again(connection: Connection, last: int, problems: Problems) -> list[CategoryImport]:
    """Write the staged rows; repeat this after a deadlock with other writers.

    Raises:
        ManifestError: PostgreSQL refuses a row; the message names its line.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            return await _merge(connection, 1, last)
        except _CONFLICTS:
            if attempts == _MOST_ATTEMPTS:
                raise
        except _REFUSALS as error:
            line = await _refused_line(connection, last)
            if line is None:
                raise
            raise _refusal(problems, line, error) from error


async def _merge(connection: Connection, first: int, last: int) -> list[CategoryImport]:
    """Write the rows of some lines, or none of them if that fails."""
    await connection.execute("savepoint staged")
    try:
        return [CategoryImport(*row) for row in await connection.fetch(_MERGE, first, last)]
    except asyncpg.PostgresError:
        await connection.execute("rollback to savepoint staged")
        raise


async def _refused_line(connection: Connection, last: int) -> int | None:
    """Return the first line that PostgreSQL refuses, found by bisection; None if it refuses no line alone."""
    first = 1
    while first < last:
        middle = (first + last) // 2
        if await _is_refused(connection, first, middle):
            last = middle
        else:
            first = middle + 1
    return first if await _is_refused(connection, first, first) else None


async def _is_refused(connection: Connection, first: int, last: int) -> bool:
    try:
        await _merge(connection, first, last)
    except _REFUSALS:
        return True
    await connection.execute("rollback to savepoint staged")
    return False


def _refusal(problems: Problems, line: int, error: asyncpg.PostgresError) -> ManifestError:
    problems.add(line, f"PostgreSQL refuses it: {redact(str(error)).partition(chr(10))[0]}")
    return problems.refusal()
