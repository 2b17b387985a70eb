"""`catalog import` and `catalog show`."""

from pathlib import Path

import click

from worker.cli import options
from worker.cli.help import LIBRARY, Group, Verb


@click.group(cls=Group, panel=LIBRARY, example="sampling-worker catalog import library.csv")
def catalog() -> None:
    """Register chunks, and look at what is READY."""


@catalog.command("import", cls=Verb, example="sampling-worker catalog import library.csv")
@click.argument("file", type=Path, metavar="FILE")
@options.as_json
def import_(file: Path, *, as_json: bool) -> None:
    """Register the chunks of a manifest (path, category, and optionally status, duration_s); all of it or nothing.

    FILE is CSV with a header, or JSON Lines, also as .gz, .bz2 or .xz; - is standard input.
    """
    from worker.cli.imported import import_manifest

    import_manifest(file, as_json=as_json)


@catalog.command(cls=Verb, example="sampling-worker catalog show")
@options.as_json
def show(*, as_json: bool) -> None:
    """Show how many chunks each category has, by status, where the workers read them.

    That is the table audio_chunks, or what the setting WORKER_CHUNKS_QUERY selects. Chunks that workers leave out are
    counted as IGNORED: their category is no category name, or WORKER_WEIGHT_UNIT=seconds and they have no duration.
    """
    from worker.cli.library import show_library

    show_library(as_json=as_json)
