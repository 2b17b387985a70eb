"""Find and measure the files below a folder, and make chunks of them. All of it is for a thread."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.adapters.audio_readers import HeaderReaders
from worker.admin.scan.report import CategoryScan, Found
from worker.admin.scan.walk import Walk, Walked
from worker.core.catalog.manifest import ChunkRow
from worker.core.catalog.scan import Measured, Place, Placing, ScanOptions, cut

Progress = Callable[[str, int, int | None], None]
"""Receives what is being done, how many files are done, and of how many; None: not known."""

LONGEST_PATH_BYTES = 2000  # an index of PostgreSQL takes entries of at most 2,704 bytes
_TOLD_EVERY = 500


class AudioFile(NamedTuple):
    """A file that is registered.

    Attributes:
        path: Its absolute path.
        place: Its category and split.
        measured: What its header says.
    """

    path: str
    place: Place
    measured: Measured


@dataclass(slots=True)
class Reading:
    """What was read below a folder.

    Attributes:
        found: Counts, filled as the rows are made.
        files: The files to register.
        gone: Paths that went while they were read.
        unplaced: Paths of files without a category.
        unreadable: Paths of folders that cannot be read, each with a / at its end.
    """

    found: Found = field(default_factory=Found)
    files: list[AudioFile] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_folder(root: str, options: ScanOptions, tell: Progress) -> Reading:
    """Walk a folder and measure what is in it.

    Args:
        root: An absolute path without links.
        options: What the scan is told.
        tell: Receives how far it is; it may raise to end the reading.

    Raises:
        ScanError: The options are not accepted.
        SettingsError: The audio libraries are not installed.
    """
    placing = Placing(options.rules)
    walk = Walk(root, lambda number: tell("looking for files", number, None))
    walk.folder("")
    with HeaderReaders(len(walk.found.audio)) as readers:
        return read_files(root, walk.found, placing, readers, tell)


def read_files(root: str, walked: Walked, placing: Placing, readers: HeaderReaders, tell: Progress) -> Reading:
    """Measure files that a walk has found.

    Args:
        root: The scanned folder.
        walked: What was found below it.
        placing: Gives files their category and split.
        readers: Read the headers.
        tell: As for `read_folder`.
    """
    reading, prefix = Reading(), f"{root.rstrip('/')}/"
    placed: list[tuple[str, Place]] = []
    for relative in walked.audio:
        path = prefix + relative
        if reason := _refusal(path):
            reading.found.refused.add(_shown(path), reason)
        elif (place := placing.place(relative)) is None:
            reading.unplaced.append(path)
            reading.found.unplaced.add(path, "no category")
        else:
            placed.append((path, place))
    measured = readers.measured([path for path, _ in placed])
    for number, ((path, place), one) in enumerate(zip(placed, measured, strict=True), start=1):
        if one.duration_s is None and one.reason is None:
            reading.gone.append(path)
        else:
            reading.files.append(AudioFile(path, place, one))
        if number % _TOLD_EVERY == 0 or number == len(placed):
            tell("reading headers", number, len(placed))
    _note(reading, walked, placing, prefix)
    return reading


def rows_of(reading: Reading, options: ScanOptions) -> Iterator[ChunkRow]:
    """Yield the chunks of what was read, and count them.

    Args:
        reading: Its `found` gets the counts.
        options: How files are cut.
    """
    found = reading.found
    for path, (category, split), (duration_s, reason) in reading.files:
        found.files += 1
        found.splits[split or ""] += 1
        counts = found.categories.setdefault(category, CategoryScan())
        counts.files += 1
        if duration_s is None:
            found.failed.add(path, reason or "")
            yield ChunkRow(path, category, "FAILED", split=split, error=reason)
            continue
        before = counts.chunks
        for start_s, length_s in cut(duration_s, options.segments):
            counts.chunks += 1
            counts.duration_s += length_s
            yield ChunkRow(path, category, duration_s=length_s, start_s=start_s, split=split)
        found.too_short += counts.chunks == before


def _refusal(path: str) -> str | None:
    """Return why a path cannot be stored; None if it can."""
    if path.isascii() and len(path) <= LONGEST_PATH_BYTES:
        return None
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None if size <= LONGEST_PATH_BYTES else f"its path has {size:,} bytes; accepted are {LONGEST_PATH_BYTES:,}"


def _shown(path: str) -> str:
    """Write a path for people and JSON; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _note(reading: Reading, walked: Walked, placing: Placing, prefix: str) -> None:
    """Note what was left out, and which names were made."""
    found = reading.found
    found.vanished = len(reading.gone)
    found.others, found.hidden, found.linked_again = walked.others, walked.hidden, walked.linked_again
    for relative, reason in walked.unreadable:
        path = (prefix + relative).rstrip("/")
        found.unreadable.add(_shown(path), reason)
        if not _refusal(path):  # else no chunk is known there
            reading.unreadable.append(f"{path}/")
    found.sentences = placing.sentences()
