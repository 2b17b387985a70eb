"""What `catalog import` shows: how far it is, and what became of the rows."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from worker.adapters.postgres.chunks import Imported
from worker.cli.context import print_table, print_text
from worker.cli.output import complain
from worker.core.catalog.manifest import ChunkRow, Notes

_ROWS_A_STEP = 5_000
_MOST_CATEGORIES = 30
_WORDS = ("rows", "inserted", "updated", "without_duration")


@contextmanager
def rows_shown(rows: Iterable[ChunkRow]) -> Iterator[Iterable[ChunkRow]]:
    """Show on a terminal how many rows were read, while they are."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield rows
        return
    columns = (TextColumn("{task.completed:,.0f} rows read"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _counted(rows, progress)


def _counted(rows: Iterable[ChunkRow], progress: Progress) -> Iterator[ChunkRow]:
    task = progress.add_task("", total=None)
    number = 0
    for number, row in enumerate(rows, start=1):
        yield row
        if not number % _ROWS_A_STEP:
            progress.update(task, completed=number)
    progress.update(task, completed=number, description="writing them into PostgreSQL")


def imported_json(imported: Imported, notes: Notes) -> dict[str, Any]:
    """Make the document of `--json`."""
    return {
        "inserted": imported.inserted,
        "updated": imported.updated,
        "unchanged": imported.unchanged,
        "rows": notes.rows,
        "repeated": imported.repeated,
        "without_duration": imported.without_duration,
        "ignored_columns": list(notes.ignored),
        "categories": {one.category: {word: getattr(one, word) for word in _WORDS} for one in imported.categories},
    }


def print_imported(name: str, imported: Imported, notes: Notes) -> None:
    """Say what became of the rows, in all and by category."""
    repeated = f", {imported.repeated:,} repeated" if imported.repeated else ""
    print_text(
        f"{_chunks(imported.inserted)} inserted, {imported.updated:,} updated, {imported.unchanged:,} unchanged"
        f" (rows read: {notes.rows:,}{repeated})"
    )
    largest = sorted(imported.categories, key=lambda one: -one.rows)
    rows = [(one.category, one.rows, one.inserted, one.updated) for one in largest[:_MOST_CATEGORIES]]
    others = len(largest) - len(rows)
    title = "by category" if not others else f"the largest categories ({others:,} more)"
    print_table(title, ("category", "rows", "inserted", "updated"), rows)
    if imported.without_duration:
        complain(
            f"{name}: {_rows_have(imported.without_duration)} no duration_s, or 0: "
            "with WORKER_WEIGHT_UNIT=seconds such a chunk is not drawn"
        )


def _chunks(count: int) -> str:
    return f"{count:,} chunk" if count == 1 else f"{count:,} chunks"


def _rows_have(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"
