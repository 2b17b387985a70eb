"""Take chunks out of the library, and put them back: `chunk_quarantine` and the status QUARANTINED.

Theory. A chunk that is taken out has the status QUARANTINED, which no worker draws, and an open row of
`chunk_quarantine`: one whose `released_at` is null. A call is one transaction, and one statement changes all of its
chunks. So triggers announce them together, and a worker sees all of them or none.

1. A call locks its chunks first, in the order in which imports do. It reads what it changes after that. So two calls at
   the same time do not take the status of one another for the one before.
2. Imports and scans leave the status of a QUARANTINED chunk alone, in the statement that writes it. So an import or a
   scan that began before the call brings nothing back, either.
3. A chunk that was deleted and comes again has another id. It is known by its path and `start_s`: `hold_quarantined`
   makes it QUARANTINED before it is written, and `note_held` notes its new id.
4. An import or a scan may give another status meanwhile. It becomes the status to go back to, if the one before was
   READY, or FAILED with an error. Any other status before was given by somebody else, and it stays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from worker.adapters.postgres.client import Connection, connected, translated
from worker.core.redaction import redact
from worker.errors import PostgresError

QUARANTINED: Final = "QUARANTINED"

_STATEMENT_TIMEOUT_S: Final = 60.0
_ACCEPTED: Final = "`sampling-worker migrate` creates audio_chunks and chunk_quarantine"
_STATUS_ACCEPTED: Final = f"accepted: a check or type of audio_chunks.status that has {QUARANTINED}, too"
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LARGEST: Final = 2**63
_ID_TYPE: Final = """
select format_type(coalesce(nullif(typbasetype, 0), pg_type.oid), null)
from pg_attribute join pg_type on pg_type.oid = atttypid
where attrelid = to_regclass('audio_chunks') and attname = 'id'"""
_MEANT: Final = "(id = any($1::{ids}[]) or path = any($2::text[]))"
_LOCK: Final = """
select id from audio_chunks where {meant} order by path collate "C", start_s, id for update"""
# A chunk that was made QUARANTINED by hand has no status before; people take out what was drawn.
_TAKE: Final = """
with meant as materialized (
  select id, path, start_s, status, error, status::text = 'QUARANTINED' as is_out,
    exists (select from chunk_quarantine where chunk_id = id and released_at is null) as is_noted
  from audio_chunks where {meant}
), changed as (
  update audio_chunks as chunk set status = 'QUARANTINED' from meant where chunk.id = meant.id and not is_out
), noted as (
  insert into chunk_quarantine (chunk_id, path, start_s, status_before, error_before, reason, who)
  select id, path, start_s, case when is_out then 'READY' else status end, error, $3, $4
  from meant where not (is_out and is_noted)
  on conflict (chunk_id) where released_at is null do update set
    status_before = excluded.status_before, error_before = excluded.error_before,
    reason = excluded.reason, who = excluded.who, quarantined_at = excluded.quarantined_at
)
select id::text, path::text, not (is_out and is_noted) from meant order by id"""
_FREE: Final = """
with meant as materialized (
  select number, chunk_id as id, path, status_before, error_before
  from (select *, chunk_id as id from chunk_quarantine) as notes
  where released_at is null and {meant} for update
), changed as (
  update audio_chunks as chunk set status = meant.status_before, error = meant.error_before
  from meant where chunk.id = meant.id and chunk.status::text = 'QUARANTINED'
), noted as (
  update chunk_quarantine as note set released_at = now(), released_by = $3
  from meant where note.number = meant.number
)
select id::text, path::text, true from meant
union all
select id::text, path::text, false from audio_chunks
where {meant} and not exists (select from meant where meant.id = audio_chunks.id)
order by 1"""
_LIST: Final = """
select note.chunk_id::text, note.path::text, note.start_s, note.status_before::text, note.reason, note.who,
  note.quarantined_at, note.released_at, note.released_by, chunk.status::text
from chunk_quarantine as note left join audio_chunks as chunk on chunk.id = note.chunk_id
where $1 or note.released_at is null order by note.number"""
_HAS_OPEN: Final = "select exists (select from chunk_quarantine where released_at is null)"
_SET_ASIDE: Final = """
create temporary table held on commit drop as
select note.number, incoming.status, incoming.error from incoming join chunk_quarantine as note
on note.released_at is null and note.path = incoming.path
  and coalesce(note.start_s, -1) = coalesce(incoming.start_s, -1)"""
_HOLD: Final = """
update incoming set status = 'QUARANTINED', error = null from chunk_quarantine as note
where note.released_at is null and note.path = incoming.path
  and coalesce(note.start_s, -1) = coalesce(incoming.start_s, -1)
returning incoming.path::text"""
_LEARN: Final = """
update chunk_quarantine as note set status_before = held.status, error_before = held.error from held
where note.number = held.number and (note.status_before::text = 'READY' or note.error_before is not null)
  and (note.status_before, note.error_before) is distinct from (held.status, held.error)"""
_LEARN_GONE: Final = """
update chunk_quarantine as note set status_before = 'FAILED', error_before = gone.reason from gone
where note.released_at is null and note.chunk_id = gone.id
  and (note.status_before::text = 'READY' or note.error_before is not null)"""
_FOLLOW: Final = """
update chunk_quarantine as note set chunk_id = chunk.id from audio_chunks as chunk
where note.released_at is null and note.path = chunk.path
  and coalesce(note.start_s, -1) = coalesce(chunk.start_s, -1) and chunk.id <> note.chunk_id
  and not exists (select from audio_chunks as old where old.id = note.chunk_id)"""


class Named(NamedTuple):
    """A chunk that a call meant: its id and path, and whether the call changed it."""

    id: str
    path: str | None
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call.

    Attributes:
        chunks: The chunks that it meant.
        unknown: Those of its names that no chunk has.
    """

    chunks: tuple[Named, ...]
    unknown: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the ids of chunks that were changed."""
        return tuple(one.id for one in self.chunks if one.is_changed)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """Return the ids of chunks that were so already."""
        return tuple(one.id for one in self.chunks if not one.is_changed)


class Quarantine(NamedTuple):
    """One taking out of one chunk.

    Attributes:
        id: The chunk's.
        path: Its path.
        start_s: Where it begins in its file, in seconds; None: it is the whole file.
        status_before: The status that a release puts back, or has put back.
        reason: Why.
        who: Who did it.
        at: When.
        released_at: When it was put back; None: it is still out.
        released_by: Who put it back.
        status: What the chunk is now; None: it is no longer in the library.
    """

    id: str
    path: str | None
    start_s: float | None
    status_before: str
    reason: str
    who: str
    at: datetime
    released_at: datetime | None
    released_by: str | None
    status: str | None


Names = Sequence[tuple[str, ...]]
"""Names of chunks: an id or a path as it was given, and other forms of that path."""


async def quarantine_chunks(database_url: str, names: Names, *, reason: str, who: str) -> Outcome:
    """Take chunks out; those that are known, where some are not.

    Args:
        database_url: A `postgresql://` URL.
        names: Ids, and paths, which stand for all chunks of a file.
        reason: Why.
        who: Who does it.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    return await _change(database_url, names, _TAKE, reason, who)


async def release_chunks(database_url: str, names: Names, *, who: str) -> Outcome:
    """Put chunks back to the status that they had before.

    Args:
        database_url: A `postgresql://` URL.
        names: As for `quarantine_chunks`; also of chunks that are no longer in the library.
        who: Who does it.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    return await _change(database_url, names, _FREE, who)


async def list_quarantines(database_url: str, *, with_released: bool = False) -> list[Quarantine]:
    """List what is taken out, oldest first.

    Args:
        database_url: A `postgresql://` URL.
        with_released: Whether to list what was put back, too.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    with translated(database_url, accepted=_ACCEPTED):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            return [Quarantine(*row) for row in await connection.fetch(_LIST, with_released)]


async def hold_quarantined(connection: Connection) -> list[str]:
    """Keep rows of the table `incoming` QUARANTINED that are so, and return the path of each.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused a statement.
    """
    if not await _has_open(connection):
        return []
    await connection.execute(_SET_ASIDE)
    return [path for (path,) in await connection.fetch(_HOLD)]


async def note_gone(connection: Connection) -> None:
    """Note of QUARANTINED chunks in the table `gone` that a release makes them FAILED.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused a statement.
    """
    if await _has_open(connection):
        await connection.execute(_LEARN_GONE)


async def note_held(connection: Connection) -> None:
    """Note what rows said that were held, and new ids of chunks that came again; the chunks are locked by now.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused a statement.
    """
    await connection.execute(_LEARN)
    await connection.execute(_FOLLOW)


async def _has_open(connection: Connection) -> bool:
    """Return whether anything is taken out; never by a schema of an earlier release."""
    is_there = await connection.fetchval("select to_regclass('chunk_quarantine') is not null")
    return is_there and bool(await connection.fetchval(_HAS_OPEN))


async def _change(database_url: str, names: Names, statement: str, *told: str) -> Outcome:
    """Lock the chunks that are meant, and change them."""
    with translated(database_url, accepted=_ACCEPTED):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            await connection.execute("begin isolation level read committed")
            id_type = str(await connection.fetchval(_ID_TYPE) or "bigint")
            ids = [read for name in names if (read := _read_id(name[0], id_type)) is not None]
            paths = [form for name in names if _read_id(name[0], id_type) is None for form in name]
            meant = _MEANT.format(ids="uuid" if id_type == "uuid" else "bigint")
            try:
                await connection.fetch(_LOCK.format(meant=meant), ids, paths)
                rows = await connection.fetch(statement.format(meant=meant), ids, paths, *told)
            except (asyncpg.CheckViolationError, asyncpg.InvalidTextRepresentationError) as error:
                said = redact(str(error)).partition("\n")[0]
                raise PostgresError(f"audio_chunks refuses it: {said}; {_STATUS_ACCEPTED}") from error
            await connection.execute("commit")
    chunks = tuple(Named(*row) for row in rows)
    known = {one.path for one in chunks} | {_read_id(one.id, id_type) for one in chunks}
    return Outcome(chunks, tuple(n[0] for n in names if not _forms(n, id_type) & known))


def _forms(name: tuple[str, ...], id_type: str) -> set[Any]:
    """Return what a name may stand for."""
    read = _read_id(name[0], id_type)
    return {*name} if read is None else {read}


def _read_id(text: str, id_type: str) -> int | UUID | None:
    """Read an id of a table; None if it is none, and so a path."""
    if id_type == "uuid":
        try:
            return UUID(text)
        except ValueError:
            return None
    if not _NUMBER.fullmatch(text):
        return None
    return number if -_LARGEST <= (number := int(text)) < _LARGEST else None
