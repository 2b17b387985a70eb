"""Scan a folder: find its audio files, read their headers, and register their chunks."""

import os
from collections.abc import Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from anyio import to_thread

from worker.adapters.postgres.dominant import dominant_files
from worker.adapters.postgres.scanned import Scope, check_library, register_scanned
from worker.admin.scan.reading import Progress, Reading, read_folder, rows_of
from worker.admin.scan.report import ScanReport
from worker.core.catalog.scan import ScanOptions
from worker.errors import ScanError

_AS_IT_IS: Final = ScanOptions()


def say_nothing(_doing: str, _done: int, _total: int | None) -> None:
    """Do nothing with the progress of a scan."""


async def scan_folder(
    database_url: str, folder: Path, options: ScanOptions = _AS_IT_IS, progress: Progress = say_nothing
) -> ScanReport:
    """Register the audio files below a folder, and mark FAILED what was known there and is gone; all of it or nothing.

    A file whose header cannot be read is registered FAILED with its reason, and stops nothing. Chunks of other folders
    are not touched. The folder is read in a thread, which ends soon after a cancellation; nothing is written then.

    Args:
        database_url: A `postgresql://` URL of a migrated database.
        folder: The folder. Paths of chunks are absolute: links in the folder's own path are resolved, those below not.
        options: Where categories and splits come from, how files are cut, what becomes of chunks that are gone.
        progress: Receives what is being done, the number of files done, and of how many. It is called in a thread.

    Raises:
        ScanError: There is no such folder, the options are not accepted, no file gets a category, or the folder is
            empty where chunks are known.
        SettingsError: The audio libraries are not installed.
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    root = scanned_root(folder)
    await check_library(database_url)
    reading = await _read_in_thread(root, options, progress)
    if reading.unplaced and not reading.files:
        raise ScanError(_without_category(root, reading))
    progress("registering", 0, None)
    scope = scope_of(root, reading, options)
    registered = await register_scanned(database_url, rows_of(reading, options), scope, is_trial=options.dry_run)
    dominant = await dominant_files(database_url, reading.found.categories)
    return ScanReport(root, reading.found, registered, dominant, options.dry_run)


def scanned_root(folder: Path) -> str:
    """Return the absolute path of a folder to scan, without links.

    Raises:
        ScanError: It is no folder that can be read, or its path cannot be stored.
    """
    root = os.path.realpath(folder.expanduser())
    if not os.path.lexists(root):
        raise ScanError(f"there is no folder {str(folder)!r}")
    if not os.path.isdir(root):  # noqa: PTH112 - the path is text from here on
        raise ScanError(f"{str(folder)!r} is not a folder; accepted is a folder of audio files")
    try:
        root.encode()
        os.scandir(root).close()
    except UnicodeEncodeError as error:
        raise ScanError(f"the path of folder {str(folder)!a} is not UTF-8, so that it cannot be stored") from error
    except OSError as error:
        raise ScanError(f"folder {str(folder)!r} cannot be read: {(error.strerror or str(error)).lower()}") from error
    return root


async def _read_in_thread(root: str, options: ScanOptions, progress: Progress) -> Reading:
    """Read a folder; if this is cancelled, the thread is told to end, and is not waited for."""
    is_stopped = Event()

    def tell(doing: str, done: int, total: int | None) -> None:
        if is_stopped.is_set():
            raise CancelledError
        progress(doing, done, total)

    try:
        return await to_thread.run_sync(partial(read_folder, root, options, tell), abandon_on_cancel=True)
    finally:
        is_stopped.set()


def scope_of(root: str, reading: Reading, options: ScanOptions, paths: Sequence[str] | None = None) -> Scope:
    """Return what was looked at.

    Args:
        root: The scanned folder.
        reading: What was read.
        options: What the scan is told.
        paths: Paths of files, and of what is gone with all that was below it; None: the whole folder was looked at.
    """
    folders = [root] if paths is None else paths
    return Scope(
        paths=paths or (),
        folders=[f"{path.rstrip('/')}/" for path in folders],
        unreadable=reading.unreadable,
        unplaced=reading.unplaced,
        prune=options.prune,
        decides_splits=bool(options.rules.splits) or "split" in (options.rules.category_from or ""),
        may_be_empty=paths is not None or bool(reading.files) or options.prune,
    )


def _without_category(root: str, reading: Reading) -> str:
    """Write that no file gets a category, and what would give them one."""
    count, first = len(reading.unplaced), reading.unplaced[0].removeprefix(f"{root.rstrip('/')}/")
    files = (
        f"the only audio file, {first!r}, gets" if count == 1 else f"none of {count:,} audio files, as {first!r}, gets"
    )
    return (
        f"{files} a category: accepted are folders, whose names are the categories, --category NAME for all files, "
        "or --category-from PATTERN that fits"
    )
