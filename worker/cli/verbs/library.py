"""`catalog import`, `catalog export` and `catalog show`."""

from pathlib import Path

import click

from worker.cli import options
from worker.cli.help import LIBRARY, Group, Verb

_FORMATS = ("csv", "jsonl", "nemo", "lhotse", "kaldi", "audioset", "commonvoice", "audiofolder", "parquet")
_WRITTEN = ("csv", "jsonl", "parquet")


@click.group(cls=Group, panel=LIBRARY, example="sampling-worker catalog import library.csv")
def catalog() -> None:
    """Register chunks, write them out, and look at what is READY."""


@catalog.command("import", cls=Verb, example="sampling-worker catalog import train.jsonl --category voice --root /data")
@click.argument("file", type=Path, metavar="FILE")
@click.option("--format", "format_", type=click.Choice(_FORMATS), help="Its format; otherwise told by its looks.")
@click.option("--category", metavar="NAME", help="The category of all rows, or of those whose column is empty.")
@click.option("--category-column", metavar="COLUMN", help="A column there whose values are made into category names.")
@click.option(
    "--map",
    "columns",
    metavar="COLUMN=NAME",
    multiple=True,
    help="A column there and our name for it, e.g. seconds=duration_s.",
)
@click.option("--label", "labels", metavar="LABEL=CATEGORY", multiple=True, help="A label there and its category.")
@click.option("--root", metavar="DIR", help="A folder to put before relative paths, which are stored as written.")
@click.option("--encoding", metavar="NAME", help="The encoding of its text, if that is not UTF-8.")
@options.as_json
def import_(
    file: Path,
    *,
    format_: str | None,
    category: str | None,
    category_column: str | None,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    root: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Register the chunks of a manifest; all of it or nothing.

    FILE is CSV with a header or JSON Lines (path, category, and optionally status, duration_s, start_s, split), a NeMo
    manifest, Lhotse cuts or recordings, a Kaldi folder, AudioSet's segments, Common Voice's TSV, AudioFolder metadata,
    or Parquet; also as .gz, .bz2 or .xz. - is standard input. Where a format has no category, say one.
    """
    from worker.cli.import_wishes import read_wishes
    from worker.cli.imported import import_manifest

    wishes = read_wishes(
        format_,
        category=category,
        category_column=category_column,
        columns=columns,
        labels=labels,
        root=root,
        encoding=encoding,
    )
    import_manifest(file, wishes, as_json=as_json)


@catalog.command(cls=Verb, example="sampling-worker catalog export library.csv.gz --category voice")
@click.argument("file", type=Path, metavar="FILE")
@click.option("--format", "format_", type=click.Choice(_WRITTEN), help="The format; otherwise told by FILE's name.")
@click.option("--category", "categories", metavar="NAME", multiple=True, help="Only this category; may be repeated.")
@click.option("--split", metavar="NAME", help="Only chunks of this split.")
@options.as_json
def export(file: Path, *, format_: str | None, categories: tuple[str, ...], split: str | None, as_json: bool) -> None:
    """Write the READY chunks (id, category, path, start_s, duration_s, and split where there is one).

    FILE ends with .csv, .jsonl or .parquet, the first two also with .gz; - is standard output. A FILE that is there is
    replaced once the export is whole. With the setting WORKER_CHUNKS_QUERY, what that selects is written.
    """
    from worker.cli.exported import export_chunks

    export_chunks(file, format_, categories=categories, split=split, as_json=as_json)


@catalog.command(cls=Verb, example="sampling-worker catalog show")
@options.as_json
def show(*, as_json: bool) -> None:
    """Show how many chunks each category has, by status, where the workers read them.

    That is the table audio_chunks, or what the setting WORKER_CHUNKS_QUERY selects. Chunks that workers leave out are
    counted as IGNORED: their category is no category name, or WORKER_WEIGHT_UNIT=seconds and they have no duration.
    """
    from worker.cli.library import show_library

    show_library(as_json=as_json)
