"""READY chunks out of PostgreSQL, streamed: as CSV or JSON Lines that the server writes, or row by row."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from worker.adapters.postgres.client import Connection, connected, lift_limits, translated
from worker.errors import PostgresError

TextFormat = Literal["csv", "jsonl"]

_PATIENCE_S = 3600.0
_NO_LIMIT_S = 86_400.0
_ROWS_A_PORTION = 16_384
_TABLE = "select * from audio_chunks where status = 'READY'"
_QUERY_ACCEPTED = "WORKER_CHUNKS_QUERY has to be a SELECT of id and category that this role may read"
# NaN and infinity are no seconds; to PostgreSQL both are at least infinity.
_SECONDS = "case when {0}::double precision < 'infinity' then {0}::double precision end"
_COLUMNS: Final = {
    "id": "id",
    "category": "category::text",
    "path": "path::text",
    "start_s": _SECONDS.format("start_s"),
    "duration_s": _SECONDS.format("duration_s"),
    "split": "nullif(split::text, '')",
}
_REQUIRED = ("id", "category")
_NO_PATH = "path is null or path::text = '' or octet_length(path::text) > 2000"
_ODD_PATH = r"""path::text ~ '[\x01-\x1f\x7f-\x9f\u2028\u2029]|^"|"$'"""
# Not by the whole pattern: PostgreSQL takes ten times as long for "{1,64}".
_NO_CATEGORY = "category is null or length(category::text) not between 1 and 64 or category::text ~ '[^a-z0-9_-]'"
_NUMBERS = frozenset({"smallint", "integer", "bigint", "int2", "int4", "int8"})
# Characters that JSON never holds: so nothing is quoted, and each line is an object as it is.
_NEVER: Final = ("\x02", "\x01")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which chunks are exported.

    Attributes:
        query: A SELECT of READY chunks; None: those of `audio_chunks`.
        categories: Names; empty: all.
        split: The split; None: all.
    """

    query: str | None = None
    categories: Sequence[str] = ()
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported, as of one moment.

    Attributes:
        columns: Name -> `int`, `float` or `text`.
        count: The number of chunks.
        refused: How many of them an import would refuse, for their path or category.
    """

    columns: dict[str, str]
    count: int
    refused: int
    _connection: Connection
    _rows: str

    async def write_text(self, form: TextFormat, take: Callable[[bytes], object]) -> int:
        """Hand over all chunks as text.

        Args:
            form: CSV with a header row, or JSON Lines.
            take: Called with each portion of it.

        Returns:
            The number of chunks.
        """

        async def take_async(portion: bytes) -> None:
            take(portion)

        copy = partial(self._connection.copy_from_query, output=take_async, format="csv", timeout=_NO_LIMIT_S)
        if form == "csv":
            done = await copy(self._rows, header=True, force_quote=["path"] if "path" in self.columns else None)
        else:
            objects = f"select json_strip_nulls(row_to_json(chunk)) from ({self._rows}) as chunk"  # noqa: S608 - ours
            done = await copy(objects, delimiter=_NEVER[0], quote=_NEVER[1])
        return int(done.removeprefix("COPY "))

    async def portions(self) -> AsyncIterator[list[Sequence[Any]]]:
        """Yield all chunks, many at a time, with a value for each column."""
        statement = await self._connection.prepare(self._rows, timeout=_NO_LIMIT_S)
        cursor = await statement.cursor(timeout=_NO_LIMIT_S)
        is_text = self.columns["id"] == "text"
        while rows := await cursor.fetch(_ROWS_A_PORTION, timeout=_NO_LIMIT_S):
            yield [(str(row[0]), *tuple(row)[1:]) for row in rows] if is_text else [tuple(row) for row in rows]


@asynccontextmanager
async def open_export(database_url: str, selection: Selection) -> AsyncIterator[Export]:
    """Open an export of one moment's chunks.

    Raises:
        PostgresError: PostgreSQL could not be reached, refused a statement, or a column is missing.
    """
    hint = {"accepted": _QUERY_ACCEPTED} if selection.query else {}
    with translated(database_url, **hint):
        async with connected(database_url, statement_timeout_s=_PATIENCE_S) as connection:
            await connection.execute("begin isolation level repeatable read, read only")
            await lift_limits(connection)
            yield await _look_at(connection, selection)
            await connection.execute("commit")


async def _look_at(connection: Connection, selection: Selection) -> Export:
    """Find the columns that there are, and count the chunks.

    Raises:
        PostgresError: A column is missing.
    """
    source = f"(\n{(selection.query or _TABLE).strip().rstrip(';')}\n) as chunks"
    statement = await connection.prepare(f"select * from {source} limit 0")  # noqa: S608 - the operator's query
    there = {column.name: column.type.name for column in statement.get_attributes()}
    wanted = [*_REQUIRED, *(["split"] if selection.split is not None else [])]
    if lacking := [name for name in wanted if name not in there]:
        what = "WORKER_CHUNKS_QUERY" if selection.query else "audio_chunks"
        raise PostgresError(f"{what} has no column {' and no '.join(lacking)}; exported are {', '.join(_COLUMNS)}")
    where = f"where {' and '.join(_conditions(selection)) or 'true'}"
    odd = f"{_NO_PATH} or {_ODD_PATH}" if "path" in there else "true"
    odd = f"{odd} or {_NO_CATEGORY}"
    splits = "count(nullif(split::text, ''))" if "split" in there else "0"
    counts = f"select count(*), count(*) filter (where {odd}), {splits} from {source} {where}"  # noqa: S608 - ours
    count, refused, with_split = await connection.fetchrow(counts, timeout=_NO_LIMIT_S) or (0, 0, 0)
    names = [name for name in _COLUMNS if name in there and (name != "split" or with_split)]
    selected = ", ".join(f"{_COLUMNS[name]} as {name}" for name in names)
    rows = f"select {selected} from {source} {where} order by id"  # noqa: S608 - ours
    return Export({name: _kind(name, there[name]) for name in names}, count, refused, connection, rows)


def _conditions(selection: Selection) -> list[str]:
    """Write the conditions; the names have been checked, and have no quotes."""
    named = ", ".join(f"'{name}'" for name in selection.categories)
    conditions = [f"category::text in ({named})"] if named else []
    return conditions if selection.split is None else [*conditions, f"split::text = '{selection.split}'"]


def _kind(name: str, type_name: str) -> str:
    if name == "id":
        return "int" if type_name in _NUMBERS else "text"
    return "float" if name.endswith("_s") else "text"
