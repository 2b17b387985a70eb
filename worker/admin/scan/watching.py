"""Follow a folder: register what is dropped into it, and mark what goes.

The operating system reports which paths changed. A path is looked at when it has settled. A file is read then, and a
folder is walked. A path that is not there is gone, with all that was below it. Each round is one transaction. The
system reports nothing while its queue is full. A look at the whole folder finds what it left out. This look comes every
few minutes, and soon after many changes. It compares sizes and times, and opens no file.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread

from worker.adapters.audio_readers import HeaderReaders
from worker.adapters.folder_changes import folder_changes
from worker.adapters.postgres.scanned import Registered, register_scanned
from worker.admin.scan.reading import Progress, Reading, read_files, rows_of
from worker.admin.scan.report import ScanReport
from worker.admin.scan.scanning import say_nothing, scan_folder, scanned_root, scope_of
from worker.admin.scan.settling import Settling
from worker.admin.scan.walk import Walk
from worker.core.catalog.scan import Placing, ScanOptions
from worker.errors import PostgresUnreachableError, ScanError

LOOK_EVERY_S: Final = 300.0
_LOOK_SOON_S: Final = 2.0
_MANY: Final = 1000
_MOST_AT_ONCE: Final = 4000
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of some changes.

    Attributes:
        reading: What was read.
        registered: What became of it.
    """

    reading: Reading
    registered: Registered


Tell = Callable[[ScanReport | Followed | str], None]
"""Receives the report of the first scan, what became of each change, and sentences about what failed for now."""


async def watch_folder(
    database_url: str, folder: Path, options: ScanOptions, tell: Tell, progress: Progress = say_nothing
) -> None:
    """Scan a folder, and follow it until it is cancelled.

    Args:
        database_url: A `postgresql://` URL of a migrated database.
        folder: As for `scan_folder`.
        options: As for `scan_folder`.
        tell: Receives the first report, and what became of each change.
        progress: As for `scan_folder`.

    Raises:
        ScanError: As for `scan_folder`; or the folder cannot be followed, or is gone itself.
        SettingsError: A library is not installed.
        PostgresError: PostgreSQL refused a statement, or could not be reached for the first scan.
    """
    root = scanned_root(folder)
    async with aclosing(folder_changes(root)) as changes:  # type: ignore[type-var]
        await anext(changes)
        with HeaderReaders(_MOST_AT_ONCE) as readers:
            watch = _Watch(root, options, readers)
            await to_thread.run_sync(watch.learn)
            tell(await scan_folder(database_url, folder, options, progress))
            async for changed in changes:
                await _follow(watch, changed, database_url, tell)


async def _follow(watch: "_Watch", changed: set[str], database_url: str, tell: Tell) -> None:
    """Take up changes, and register what has settled."""
    paths = await to_thread.run_sync(watch.take_up, changed)
    if not paths:
        return
    reading = await to_thread.run_sync(watch.read, paths)
    scope = scope_of(watch.root, reading, watch.options, paths)
    try:
        registered = await register_scanned(database_url, rows_of(reading, watch.options), scope)
    except PostgresUnreachableError as error:
        watch.put_back(paths)
        tell(str(error))
        return
    tell(Followed(reading, registered))


class _Watch:
    """What is known of a folder that is followed. Its methods are for threads."""

    def __init__(self, root: str, options: ScanOptions, readers: HeaderReaders) -> None:
        self.root = root
        self.options = options
        self._prefix = f"{root.rstrip('/')}/"
        self._identity = _identity(root)
        self._readers = readers
        self._placing = Placing(options.rules)
        self._settling = Settling()
        self._look_at_s = time.monotonic() + LOOK_EVERY_S

    def learn(self) -> None:
        """Take what is there for known, as a scan reads it next; start a reader, so that no change waits for it."""
        list(self._readers.measured([self.root]))
        self._settling.learn(self._prefix + name for name in self._walk("").found.audio)

    def take_up(self, changed: set[str]) -> Sequence[str]:
        """Note changes, and return the paths that have settled.

        Raises:
            ScanError: The folder itself is gone.
        """
        now_s = time.monotonic()
        if _identity(self.root) != self._identity:
            raise ScanError(f"folder {self.root} is gone, or another one; its chunks stay as they are")
        for path in changed:
            relative = path.removeprefix(self._prefix)
            if relative != path and not any(part.startswith(".") for part in relative.split("/")):
                self._settling.note(path, now_s)
        if len(changed) >= _MANY:
            self._look_at_s = min(self._look_at_s, now_s + _LOOK_SOON_S)
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._look("", now_s)
        settled = self._settling.settled(now_s)
        for path in settled:
            if os.path.isdir(path):  # noqa: PTH112
                self._look(path.removeprefix(self._prefix), now_s)
        return [path for path in settled if not os.path.isdir(path)]  # noqa: PTH112

    def put_back(self, paths: Sequence[str]) -> None:
        """Note paths again that could not be registered."""
        for path in paths:
            self._settling.note(path, time.monotonic() + _AGAIN_S)

    def read(self, paths: Sequence[str]) -> Reading:
        """Read the headers of files."""
        walk = Walk(self.root, lambda _: None)
        for path in paths:
            walk.file(path.removeprefix(self._prefix))
        return read_files(self.root, walk.found, self._placing, self._readers, say_nothing)

    def _look(self, relative: str, now_s: float) -> None:
        """Note what differs below a folder from what is known."""
        found = self._walk(relative).found
        if found.unreadable or not (found.audio or relative):
            return  # a disk may be missing; of what was deleted, the system has told
        below = f"{self._prefix}{relative}".rstrip("/") + "/"
        self._settling.note_differences([self._prefix + name for name in found.audio], below, now_s)

    def _walk(self, relative: str) -> Walk:
        walk = Walk(self.root, lambda _: None)
        walk.folder(relative)
        return walk


def _identity(folder: str) -> tuple[int, int] | None:
    """Return what distinguishes a folder from another one of its name; None if there is none."""
    try:
        about = os.stat(folder)  # noqa: PTH116 - paths are text here
    except OSError:
        return None
    return about.st_dev, about.st_ino
