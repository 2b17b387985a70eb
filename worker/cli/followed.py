"""What `catalog scan --watch` does: scan a folder, then print a line for each change of it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from worker.admin.scan import Followed, ScanReport, watch_folder
from worker.cli.library import warn_of_query
from worker.cli.output import complain
from worker.cli.printing import State, print_json, print_text
from worker.cli.progress import stages
from worker.cli.scanned import print_report
from worker.cli.words import counted
from worker.core.catalog.scan import ScanOptions
from worker.settings.servers import read_server_settings

_MOST_LINES: Final = 20

Line = tuple[dict[str, Any], str, State | None]
"""A change as plain data, as text, and what it says."""


def follow(folder: Path, options: ScanOptions, *, as_json: bool) -> None:
    """Scan a folder and follow it, until interrupted.

    Args:
        folder: Where the audio files are.
        options: What the scan is told.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=["database"])
    warn_of_query(settings)
    with ExitStack() as shown:
        printer = _Printer(options, shown.close, as_json=as_json)
        asyncio.run(watch_folder(settings.database_url, folder, options, printer.tell, shown.enter_context(stages())))


class _Printer:
    """Prints what a watch tells."""

    def __init__(self, options: ScanOptions, end_progress: Callable[[], None], *, as_json: bool) -> None:
        self._options = options
        self._end_progress = end_progress
        self._as_json = as_json
        self._said: set[str] = set()
        self._failure = ""

    def tell(self, what: ScanReport | Followed | str) -> None:
        """Print a report, a change, or once why something fails for now."""
        if isinstance(what, str):
            if what != self._failure:
                complain(f"{what}; it is tried again")
            self._failure = what
            return
        self._failure = ""
        if isinstance(what, ScanReport):
            self._end_progress()
            self._said.update(what.found.sentences)
            print_report(what, self._options, as_json=self._as_json)
            return
        for sentence in what.reading.found.sentences:
            if sentence not in self._said:
                complain(sentence)
        self._said.update(what.reading.found.sentences)
        _print_changes(what, self._options, as_json=self._as_json)


def _print_changes(followed: Followed, options: ScanOptions, *, as_json: bool) -> None:
    lines = [*_found(followed), *_gone(followed, options)]
    for document, text, state in lines if as_json else lines[:_MOST_LINES]:
        if as_json:
            print_json(document)
        else:
            print_text(text, state)
    if len(lines) > _MOST_LINES and not as_json:
        print_text(f"{counted(len(lines) - _MOST_LINES, 'more change')}")


def _found(followed: Followed) -> Iterator[Line]:
    """Yield what was registered; nothing if all of it was known already."""
    imported, found = followed.registered.imported, followed.reading.found
    if imported.inserted or imported.updated:
        for path, (category, split), (duration_s, reason) in followed.reading.files:
            document = {"path": path, "category": category, "split": split, "duration_s": duration_s, "error": reason}
            if path in imported.held_paths:
                yield (
                    {"change": "quarantined", **document},
                    f"kept    {path}: QUARANTINED",
                    "waits",
                )
            elif duration_s is None:
                yield {"change": "failed", **document}, f"FAILED  {path}: {reason}", "wrong"
            else:
                yield {"change": "ready", **document}, f"READY   {path}  {category}, {duration_s:,.1f} s", "fits"
    for path, reason in (*found.refused.first, *found.unplaced.first):
        yield {"change": "skipped", "path": path, "error": reason}, f"skipped {path}: {reason}", "waits"


def _gone(followed: Followed, options: ScanOptions) -> Iterator[Line]:
    registered = followed.registered
    becomes = "deleted" if options.prune else "FAILED"
    if not registered.gone:
        return
    for path in registered.gone_paths:
        yield {"change": "gone", "path": path}, f"gone    {path}: {becomes}", "waits"
    if registered.gone > len(registered.gone_paths):
        text = f"gone    {counted(registered.gone, 'chunk')} in all: {becomes}"
        yield {"change": "gone", "chunks": registered.gone}, text, "waits"
