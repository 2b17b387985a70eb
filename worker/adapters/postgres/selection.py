"""What is read of the READY chunks: the SQL of the rows, and of the hash that stands for the part of each.

A part is a category, or one split of it; see `worker.core.catalog.parts`. A row without a split has the hash of its
category. Any other row has the hash of its split, seeded by that. So no category's name can be taken for a part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.adapters.postgres.client import Connection
from worker.core.catalog import part_name, read_part
from worker.core.catalog.rendering import BIGINT, UUID, cell_width, render_cells
from worker.core.keys import CATEGORY_PATTERN, SPLIT_PATTERN
from worker.core.wire import PATH
from worker.errors import PostgresError

NAMELESS = 0
"""The hash of a row without a category, an id or a duration."""

_KINDS = {"smallint": BIGINT, "integer": BIGINT, "bigint": BIGINT, "uuid": UUID}
_ZERO = {BIGINT: "0", UUID: "'00000000-0000-0000-0000-000000000000'"}
_SPLIT = "coalesce(split::text, '')"
_MILLISECONDS = """
case when duration_s::double precision * 1000 >= 0.5 and duration_s::double precision * 1000 < 4294967295.5
then round(duration_s::double precision * 1000)::bigint end"""
_ELSEWHERE = """
select string_agg(nspname, ', ' order by nspname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relname = 'audio_chunks' and relkind in ('r', 'p', 'v', 'm', 'f') and to_regclass('audio_chunks') is null"""
_CAN_READ_SPLIT = """
select has_column_privilege(attrelid, attnum, 'select') from pg_attribute
where attrelid = to_regclass('audio_chunks') and attname = 'split' and not attisdropped"""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is read of each chunk.

    Attributes:
        kind: int64 or S16, what ids are.
        rows: SQL of a relation that is named `chunks`: READY chunks.
        has_split: Whether the rows say which split a chunk belongs to.
        with_durations: Whether durations matter; chunks without one are then left out.
        held: Other columns that are read, in the order of `worker.core.wire.COLUMNS`.
        is_split_hidden: Whether there is a column of splits that this role may not read.
    """

    kind: np.dtype[np.generic]
    rows: str
    has_split: bool
    with_durations: bool
    held: tuple[str, ...] = ()
    is_split_hidden: bool = False

    @property
    def split(self) -> str:
        """Return the SQL of a row's split; empty if it has none."""
        return _SPLIT if self.has_split else "''::text"

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the held columns that are numbers."""
        return tuple(name for name in self.held if name != PATH)

    @property
    def mark(self) -> str:
        """Return the SQL of the hash of what a row's held columns hold."""
        found = "0"
        for name in self.held:
            if name == PATH:
                found = f"hashtextextended(coalesce({PATH}::text, E'\\x01') collate \"C\", {found})"
            else:
                found = f"hashfloat8extended({number(name)}, {found})"
        return found

    @property
    def part_hash(self) -> str:
        """Return the SQL of the hash of a row's part; null without a category."""
        whole = _hash("category::text", "0")
        if not self.has_split:
            return whole
        # Measured: where nobody splits, this takes half the time of a comparison with a coalesced text.
        return f"case when split is null or split::text = '' then {whole} else {_hash('split::text', whole)} end"

    @property
    def row_hash(self) -> str:
        """Return the SQL of a row's hash, as `worker.core.catalog.checksum` computes it; null for ignored rows."""
        if self.kind == UUID:
            chunk = f"uuid_hash_extended(id, {self.part_hash})"
        else:
            chunk = f"hashint8extended(id::bigint, {self.part_hash} # (id::bigint >> 32))"
        chunk = f"hashint8extended({_MILLISECONDS}, {chunk})" if self.with_durations else chunk
        return f"hashint8extended({self.mark}, {chunk} # ({self.mark} >> 32))" if self.held else chunk

    @property
    def copied(self) -> str:
        """Return the statement that a COPY reads: id, hash of the part and perhaps more; only a path may be null."""
        duration = f", {number('duration_s')}" if self.with_durations else ""
        held = f", {self.mark}" if self.held else ""
        held += "".join(f", {number(name)}" for name in self.numbers)
        held += f", {PATH}::text" if PATH in self.held else ""
        return (
            f"select coalesce(id::{type_name(self.kind)}, {_ZERO[self.kind]}), "  # noqa: S608 - the operator's query
            f"case when id is null or category is null then {NAMELESS} else {self.part_hash} end{duration}{held} "
            f"from {self.rows}"
        )

    @property
    def names(self) -> str:
        """Return the statement that names parts: category, split and hash of those that the chunks of $1 are in."""
        category = _shown("category::text", CATEGORY_PATTERN.pattern)
        split = _shown(self.split, f"|{SPLIT_PATTERN.pattern}")
        return (
            f"select distinct {category} as category, {split} as split, {self.part_hash} as hash from {self.rows} "  # noqa: S608
            f"join unnest($1::text::{type_name(self.kind)}[]) as example (chunk_id) on id = chunk_id "
            "where category is not null"
        )


async def select_own(connection: Connection, *, with_durations: bool, held: tuple[str, ...] = ()) -> Selection:
    """Return what is read of the table `audio_chunks`, as far as it is there and this role may read it.

    Raises:
        PostgresError: The table is not there, or its ids are of a type that is not accepted.
    """
    if schemas := await connection.fetchval(_ELSEWHERE):
        raise PostgresError(
            f"audio_chunks is in schema {schemas}, which is not on the search_path of this role, or closed to it; "
            "accepted: a search_path that has it, set by ALTER ROLE or in DATABASE_URL"
        )
    can_read = await connection.fetchval(_CAN_READ_SPLIT)
    wanted = ("id", "category", *(("split",) if can_read else ()), *(("duration_s",) if with_durations else ()), *held)
    columns = dict.fromkeys(wanted)
    rows = f"(select {', '.join(columns)} from audio_chunks where status = 'READY') as chunks"  # noqa: S608 - constants
    return Selection(await _read_kind(connection, rows), rows, bool(can_read), with_durations, held, can_read is False)


async def select_by_query(
    connection: Connection, query: str, *, with_durations: bool, held: tuple[str, ...] = ()
) -> Selection:
    """Return what is read of the rows that an operator's query returns.

    Raises:
        PostgresError: Its ids are of a type that is not accepted.
    """
    # On lines of its own: a query may end with a comment.
    rows = f"(\n{query.strip().rstrip(';')}\n) as chunks"
    kind = await _read_kind(connection, rows)
    told = await connection.prepare(f"select * from {rows} limit 0")  # noqa: S608 - the operator's query
    columns = {column.name for column in told.get_attributes()}
    return Selection(kind, rows, "split" in columns, with_durations, held)


async def hash_parts(connection: Connection, parts: Sequence[str]) -> dict[str, int]:
    """Return PostgreSQL's hash of each part."""
    pairs = [read_part(name) for name in parts]
    whole = _hash("category", "0")
    statement = (
        f"select case when split = '' then {whole} else {_hash('split', whole)} end "  # noqa: S608 - constants
        "from unnest($1::text[], $2::text[]) with ordinality as part (category, split, place) order by place"
    )
    rows = await connection.fetch(statement, [category for category, _ in pairs], [split for _, split in pairs])
    return {name: row[0] for name, row in zip(parts, rows, strict=True)}


def name_part(category: str, split: str) -> str:
    """Return the name of a part; of an invalid one, a text that is no such name."""
    if not CATEGORY_PATTERN.fullmatch(category):
        return f"{category!a}" if {"+", "!"} & set(category) else category
    if split and not SPLIT_PATTERN.fullmatch(split):
        return f"{category} of split {split!a}"
    return part_name(category, split)


def is_name(category: str) -> str:
    """Return the condition that a category is a valid name; others may not even be text that PostgreSQL can send."""
    return _matches(f"{category}::text", CATEGORY_PATTERN.pattern)


def is_split(split: str) -> str:
    """Return the condition that a split is a valid name, or empty."""
    return _matches(split, f"|{SPLIT_PATTERN.pattern}")


def number(column: str) -> str:
    """Return the SQL of a column as a number; NaN where it is null."""
    return f"coalesce({column}::double precision, 'NaN')"


def type_name(kind: np.dtype[np.generic]) -> str:
    """Return the SQL type in which ids of this kind are compared."""
    return "uuid" if kind == UUID else "bigint"


def array_literal(ids: NDArray[np.generic]) -> str:
    """Return ids as an array literal of PostgreSQL, which is JSON with other brackets.

    Args:
        ids: int64 or S16, shape (n,).
    """
    cells = render_cells(ids, cell_width(ids)).tobytes()
    return "{" + cells[:-1].decode() + "}"


async def _read_kind(connection: Connection, rows: str) -> np.dtype[np.generic]:
    """Return the data type of ids, without reading a row."""
    statement = (
        "select format_type(coalesce(nullif(typbasetype, 0), oid), null) from pg_type "  # noqa: S608
        f"where oid = pg_typeof((select id from {rows} limit 0))"
    )
    name = await connection.fetchval(statement)
    if name not in _KINDS:
        raise PostgresError(f"chunk ids are of type {name}; accepted are {', '.join(_KINDS)}")
    return _KINDS[name]


def _hash(text: str, seed: str) -> str:
    return f'hashtextextended({text} collate "C", {seed})'


def _matches(text: str, pattern: str) -> str:
    return f"{text} collate \"C\" ~ '^(?:{pattern})$'"


def _shown(text: str, pattern: str) -> str:
    """Return the SQL of a text that is sent as it is if it matches; else cut, and printable."""
    cut = f"regexp_replace(left({text}, 80) collate \"C\", '[^ -~]', '?', 'g')"
    return f"case when {_matches(text, pattern)} then {text} else {cut} end"
