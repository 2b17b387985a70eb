"""What `catalog import` does: register the rows of a manifest, and print what became of them."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from worker.adapters.manifest_file import STDIN, open_manifest
from worker.adapters.postgres.chunks import Imported, import_chunks
from worker.adapters.postgres.dominant import dominant_files
from worker.cli.dominant import warn_of_dominant
from worker.cli.library import warn_of_held, warn_of_query
from worker.cli.library_wait import needed, tell_and_wait
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.progress import counted_items, stages
from worker.cli.words import counted
from worker.core.catalog.manifest import ChunkRow, Manifest, Notes, Wishes
from worker.errors import ManifestError
from worker.settings.servers import read_server_settings

_MOST_CATEGORIES = 30
_WORDS = ("rows", "inserted", "updated", "without_duration")


def import_manifest(file: Path, wishes: Wishes, wait_s: float | None, *, as_json: bool) -> None:
    """Register the chunks of a manifest.

    Args:
        file: The manifest; `-` is standard input.
        wishes: What was asked for beside what it says.
        wait_s: How long to wait until workers draw from it; None: not at all.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=needed(wait_s))
    if str(file) != STDIN and not file.exists():
        raise click.BadParameter(f"there is no file {str(file)!r}")
    try:
        with open_manifest(file, wishes) as manifest:
            imported = _import(settings.database_url, manifest)
    except ManifestError as error:
        for sentence in error.sentences:
            complain(sentence)
        raise click.exceptions.Exit(error.exit_status) from error
    for sentence in manifest.notes.sentences():
        complain(f"{manifest.problems.name}: {sentence}")
    warn_of_held(imported.held)
    categories = [one.category for one in imported.categories]
    warn_of_dominant(asyncio.run(dominant_files(settings.database_url, categories)))
    warn_of_query(settings)

    def tell(more: Mapping[str, Any]) -> None:
        if as_json:
            print_json({**_document(imported, manifest.notes), **more})
        else:
            _print_imported(manifest.problems.name, imported, manifest.notes)

    tell_and_wait(wait_s, tell, as_json=as_json)


def _import(url: str, manifest: Manifest) -> Imported:
    """Register the rows, and show how far that is: read first, then written, which takes as long."""
    with stages("rows read") as tell:
        read = 0

        def advance(more: int) -> None:
            nonlocal read
            read += more
            tell("reading", read, None)

        def rows() -> Iterator[ChunkRow]:
            yield from counted_items(manifest.rows(), advance)
            tell("registering", read, None)

        return asyncio.run(import_chunks(url, rows(), manifest.problems))


def _document(imported: Imported, notes: Notes) -> dict[str, Any]:
    return {
        "inserted": imported.inserted,
        "updated": imported.updated,
        "unchanged": imported.unchanged,
        "rows": notes.rows,
        "repeated": imported.repeated,
        "without_duration": imported.without_duration,
        "quarantined": imported.held,
        "format": notes.shape.name if notes.shape else None,
        "ignored_columns": list(notes.ignored),
        "categories": {one.category: {word: getattr(one, word) for word in _WORDS} for one in imported.categories},
    }


def _print_imported(name: str, imported: Imported, notes: Notes) -> None:
    """Print what became of the rows, in all and by category."""
    repeated = f", {imported.repeated:,} repeated" if imported.repeated else ""
    print_text(
        f"{counted(imported.inserted, 'chunk')} inserted, {imported.updated:,} updated, "
        f"{imported.unchanged:,} unchanged (rows read: {notes.rows:,}{repeated})"
    )
    largest = sorted(imported.categories, key=lambda one: -one.rows)
    rows = [(one.category, one.rows, one.inserted, one.updated) for one in largest[:_MOST_CATEGORIES]]
    others = len(largest) - len(rows)
    title = "by category" if not others else f"the largest categories ({others:,} more)"
    print_table(title, ("category", "rows", "inserted", "updated"), rows)
    if imported.without_duration:
        have = "row has" if imported.without_duration == 1 else "rows have"
        complain(
            f"{name}: {imported.without_duration:,} {have} no duration_s, or 0: "
            "with WORKER_WEIGHT_UNIT=seconds such a chunk is not drawn"
        )
