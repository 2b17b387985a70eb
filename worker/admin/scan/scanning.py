"""Scan a folder: find its audio files, read their headers, and register their chunks."""

import os
from functools import partial
from pathlib import Path
from typing import Final

from anyio import from_thread, to_thread

from worker.adapters.postgres.dominant import dominant_files
from worker.adapters.postgres.scanned import Scope, register_scanned
from worker.admin.scan.reading import Progress, Reading, read_folder, rows_of
from worker.admin.scan.report import ScanReport
from worker.core.catalog.scan import ScanOptions
from worker.errors import ScanError

_AS_IT_IS: Final = ScanOptions()


def say_nothing(_doing: str, _done: int, _total: int | None) -> None:
    """Tell nobody how far a scan is."""


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
    reading = await to_thread.run_sync(partial(read_folder, root, options, _stoppable(progress)))
    if reading.unplaced and not reading.files:
        raise ScanError(_without_category(root, reading))
    progress("registering", 0, None)
    scope = _scope(root, reading, options)
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


def _stoppable(progress: Progress) -> Progress:
    """Return what ends the thread that tells how far it is, once nobody waits for it."""

    def tell(doing: str, done: int, total: int | None) -> None:
        from_thread.check_cancelled()
        progress(doing, done, total)

    return tell


def _scope(root: str, reading: Reading, options: ScanOptions) -> Scope:
    """Return what a scan of a whole folder has looked at."""
    return Scope(
        folders=[f"{root.rstrip('/')}/"],
        unreadable=reading.unreadable,
        unplaced=reading.unplaced,
        prune=options.prune,
        decides_splits=bool(options.rules.splits) or "split" in (options.rules.category_from or ""),
        may_be_empty=bool(reading.files) or options.prune,
    )


def _without_category(root: str, reading: Reading) -> str:
    """Say that no file gets a category, and what would give them one."""
    count, first = len(reading.unplaced), reading.unplaced[0].removeprefix(f"{root.rstrip('/')}/")
    files = (
        f"the only audio file, {first!r}, gets" if count == 1 else f"none of {count:,} audio files, as {first!r}, gets"
    )
    return (
        f"{files} a category: accepted are folders, whose names are the categories, --category NAME for all files, "
        "or --category-from PATTERN that fits"
    )
