"""Register the chunks of a scanned folder, and mark or delete those whose file is gone, in one transaction.

What somebody else decided stays: a chunk that is PENDING, PROCESSING or FAILED without an error keeps its status. No
scan made it so, because a scan always writes why a chunk is FAILED.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from worker.adapters.postgres.chunks import Imported, import_chunks
from worker.adapters.postgres.client import Connection, connected, translated
from worker.adapters.postgres.quarantine import note_gone
from worker.core.catalog.manifest import ChunkRow, Problems
from worker.core.wording import plural
from worker.errors import ScanError

_STATEMENT_TIMEOUT_S = 60.0
_KEEP = """
update incoming set status = known.status, error = null from audio_chunks as known
where known.path = incoming.path and coalesce(known.start_s, -1) = coalesce(incoming.start_s, -1)
  and incoming.status = 'READY' and known.status <> 'READY' and known.error is null
  and known.status::text <> 'QUARANTINED'"""
_INHERIT_SPLITS = """
update incoming set split = known.split from audio_chunks as known
where known.path = incoming.path and incoming.split is null and known.split is not null"""
_CLEAR_SPLITS = """
update audio_chunks as known set split = null from incoming
where known.path = incoming.path and coalesce(known.start_s, -1) = coalesce(incoming.start_s, -1)
  and incoming.split is null and known.split is not null"""
_STAGE_GONE = """
create temporary table gone on commit drop as select id, error as reason from audio_chunks with no data"""
# Locked in the order of their paths, as by every import.
_FIND_GONE = """
insert into gone
select known.id,
  case when known.path = any($4::text[]) then 'the scan gives it no category'
    when exists (select from incoming where incoming.path = known.path) then 'segment is gone'
    else 'file is gone' end
from audio_chunks as known
where (known.path = any($1::text[]) or known.path ^@ any($2::text[])) and not known.path ^@ any($3::text[])
  and not exists (
    select from incoming
    where known.path = incoming.path and coalesce(known.start_s, -1) = coalesce(incoming.start_s, -1))
order by known.path collate "C", known.start_s for update of known"""
_MARK = """
with marked as (
  update audio_chunks as chunk set status = 'FAILED', error = gone.reason from gone
  where chunk.id = gone.id and (chunk.status <> 'FAILED' or chunk.error is distinct from gone.reason)
    and chunk.status::text <> 'QUARANTINED'
  returning chunk.path::text as path
)
select count(*), (array_agg(distinct path order by path))[1:20] from marked"""
_PRUNE = """
with pruned as (
  delete from audio_chunks as chunk using gone where chunk.id = gone.id returning chunk.path::text as path
)
select count(*), (array_agg(distinct path order by path))[1:20] from pruned"""
_LOOK = "select path, start_s, split, error from audio_chunks limit 0"
_KNOWN = "select count(*) from audio_chunks where path ^@ any($1::text[])"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a scan has looked at: chunks there that it did not find are gone.

    Attributes:
        paths: Paths of single files.
        folders: Paths of folders, each with a / at its end.
        unreadable: Folders below them that could not be read, likewise: their chunks stay as they are.
        unplaced: Files that are there, but get no category.
        prune: Whether what is gone is deleted, instead of marked FAILED.
        decides_splits: Whether a row without a split takes away that of the chunk.
        may_be_empty: Whether it may find no file at all where chunks are known.
    """

    paths: Sequence[str] = ()
    folders: Sequence[str] = ()
    unreadable: Sequence[str] = ()
    unplaced: Sequence[str] = ()
    prune: bool = False
    decides_splits: bool = False
    may_be_empty: bool = True


@dataclass(slots=True)
class Registered:
    """What became of a scan.

    Attributes:
        imported: Counts of what it found.
        gone: Number of chunks that were marked FAILED or deleted.
        gone_paths: The first twenty files of these.
        kept: Number of chunks whose status somebody else decided, and which stay so.
        cleared: Number of chunks whose split was taken away.
    """

    imported: Imported = field(default_factory=lambda: Imported((), 0))
    gone: int = 0
    gone_paths: tuple[str, ...] = ()
    kept: int = 0
    cleared: int = 0


async def check_library(database_url: str) -> None:
    """Check that the library can be read, before a folder is.

    Args:
        database_url: A `postgresql://` URL.

    Raises:
        PostgresError: PostgreSQL could not be reached, or there is no table of chunks.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            await connection.fetch(_LOOK)


async def register_scanned(
    database_url: str, rows: Iterable[ChunkRow], scope: Scope, *, is_trial: bool = False
) -> Registered:
    """Register what a scan has found, and mark or delete what is gone; all of it or nothing.

    Args:
        database_url: A `postgresql://` URL.
        rows: One a chunk.
        scope: What was looked at.
        is_trial: Whether everything is undone at the end.

    Raises:
        ManifestError: PostgreSQL refuses a row.
        ScanError: Nothing was found where chunks are known, and the scope does not allow that.
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    registered = Registered()

    async def reconcile(connection: Connection) -> None:
        if not scope.may_be_empty:
            await _refuse_empty(connection, scope)
        registered.kept = _count(await connection.execute(_KEEP))
        if scope.decides_splits:
            registered.cleared = _count(await connection.execute(_CLEAR_SPLITS))
        else:  # a file that is cut anew stays in its split
            await connection.execute(_INHERIT_SPLITS)
        await connection.execute(_STAGE_GONE)
        await connection.execute(_FIND_GONE, scope.paths, scope.folders, scope.unreadable, scope.unplaced)
        await note_gone(connection)
        counted = await connection.fetchrow(_PRUNE if scope.prune else _MARK)
        assert counted is not None  # noqa: S101 - a count is always one row
        registered.gone, registered.gone_paths = counted[0], tuple(counted[1] or ())

    problems = Problems("the scan")
    registered.imported = await import_chunks(database_url, rows, problems, beside=reconcile, is_trial=is_trial)
    return registered


async def _refuse_empty(connection: Connection, scope: Scope) -> None:
    """Refuse to take a whole library for gone: its disk may not be mounted.

    Raises:
        ScanError: Chunks are known below the folders.
    """
    known = await connection.fetchval(_KNOWN, scope.folders)
    if known:
        folder = scope.folders[0].rstrip("/") or "/"
        raise ScanError(
            f"there is no audio file in {folder}, where {plural(known, 'chunk')} of earlier scans lay; "
            "is a disk missing? Nothing is changed, and --prune deletes what is gone"
        )


def _count(status: str) -> int:
    """Read the number of rows out of the status of a statement, such as `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
