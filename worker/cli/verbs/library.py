"""The verbs of `catalog` but for `scan` and `remove`, and those of `exclude`."""

from pathlib import Path

import click

from worker.cli import options
from worker.cli.help import LIBRARY, Group, Verb
from worker.cli.numbers import Whole

_FORMATS = ("csv", "jsonl", "nemo", "lhotse", "kaldi", "audioset", "commonvoice", "audiofolder", "parquet")
_WRITTEN = ("csv", "jsonl", "parquet")
_names = click.argument("names", metavar="[ID|PATH]...", nargs=-1)
_who = click.option("--who", metavar="NAME", help="Who does it; the user of this machine if not given.")
_name = click.argument("name", metavar="NAME")
_ids = click.argument("ids", metavar="[ID]...", nargs=-1)
_from = click.option("--from", "file", type=Path, metavar="FILE", help="A file of ids, one a line; - is stdin.")


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
@options.wait_for_library
@options.timeout
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
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Register the chunks of a manifest; all of it or nothing.

    FILE is CSV with a header or JSON Lines (path, category, and optionally status, duration_s, start_s, split). It may
    also be a NeMo manifest, Lhotse cuts or recordings, a Kaldi folder, or AudioSet's segments. Common Voice's TSV,
    AudioFolder metadata and Parquet are read, too. All of these may be compressed as .gz, .bz2 or .xz. - is standard
    input. Where a format has no category, give one. Workers follow within a second.
    """
    wait_s = options.wait_s(wait=wait, timeout=timeout)
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
    import_manifest(file, wishes, wait_s, as_json=as_json)


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


@catalog.command(cls=Verb, example="sampling-worker catalog quarantine 4711 /audio/a.wav --reason 'wrong speaker'")
@_names
@click.option("--reason", metavar="TEXT", help="Why, for those who look later.")
@_who
@click.option("--list", "lists", is_flag=True, help="List what is taken out: who, when and why.")
@click.option("--all", "with_released", is_flag=True, help="With --list: also what was put back.")
@options.wait_for_library
@options.timeout
@options.as_json
def quarantine(
    names: tuple[str, ...],
    *,
    reason: str | None,
    who: str | None,
    lists: bool,
    with_released: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Take chunks out of every training at once, until they are released.

    ID is a chunk's id, PATH all chunks of a file; write ./4711 for a file of such a name. Within a second no
    worker draws them. Imports and scans bring none of them back. Names that no chunk has are listed, and the status is
    then 1; all others are taken out.
    """
    if lists:
        options.refuse({"names": names, "--reason": reason, "--who": who, "--wait": wait}, "is not for --list")
        from worker.cli.quarantined import list_quarantined

        list_quarantined(with_released=with_released, as_json=as_json)
        return
    options.refuse({"--all": with_released}, "is for --list, which is not given")
    _check_named(names)
    if not (reason or "").strip():
        raise click.UsageError("--reason is missing; accepted: --reason TEXT, which says why")
    wait_s = options.wait_s(wait=wait, timeout=timeout)
    from worker.cli.quarantined import quarantine as take_out

    take_out(names, str(reason), who, wait_s, as_json=as_json)


@catalog.command(cls=Verb, example="sampling-worker catalog release 4711")
@_names
@_who
@options.wait_for_library
@options.timeout
@options.as_json
def release(names: tuple[str, ...], *, who: str | None, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Put chunks back to the status that they had before `catalog quarantine`.

    Names that nothing has are listed, and those that are not in quarantine; the status is then 1. Workers follow within
    a second.
    """
    _check_named(names)
    wait_s = options.wait_s(wait=wait, timeout=timeout)
    from worker.cli.quarantined import release as put_back

    put_back(names, who, wait_s, as_json=as_json)


@catalog.command(cls=Verb, example="sampling-worker catalog who 4711")
@click.argument("chunk", metavar="ID")
@click.option(
    "--count", type=Whole(1, 1_000_000), default=20, show_default=True, help="Show the newest results, at most."
)
@options.as_json
def who(chunk: str, *, count: int, as_json: bool) -> None:
    """Show which sessions drew a chunk, and when, as far back as Redis keeps results.

    ID is a chunk's id, also of one that is no longer in the library. Each result that is kept is looked at, in the
    shared stream and in every reply stream. A client removes results that it has read, so look at once. Logs cannot
    tell: their lines hold counts, and no ids.
    """
    from worker.cli.who import show_who

    show_who(chunk, count, as_json=as_json)


@click.group(cls=Group, panel=LIBRARY, example="sampling-worker exclude add heldout 4711 4712")
def exclude() -> None:
    """Keep chunks out of the requests that name a list: `exclude=NAME`."""


@exclude.command(cls=Verb, example="sampling-worker exclude add heldout --from ids.txt")
@_name
@_ids
@_from
@options.as_json
def add(name: str, ids: tuple[str, ...], *, file: Path | None, as_json: bool) -> None:
    """Add chunks to an exclusion list, which is made if there is none.

    The first request after that gets none of them, if it names the list (`exclude=NAME`). A training names its list
    in each request: `ChunkIdStream(32, exclude="heldout")`. So a list is that of a session, of a dataset, or of
    several. It has at most 1,000,000 ids; those that no chunk has may be there.
    """
    from worker.cli.excluded import add as add_ids

    add_ids(name, ids, file, as_json=as_json)


@exclude.command(cls=Verb, example="sampling-worker exclude remove heldout 4711")
@_name
@_ids
@_from
@options.as_json
def remove(name: str, ids: tuple[str, ...], *, file: Path | None, as_json: bool) -> None:
    """Take chunks off an exclusion list; one that is empty stays, and excludes nothing."""
    from worker.cli.excluded import remove as remove_ids

    remove_ids(name, ids, file, as_json=as_json)


@exclude.command("show", cls=Verb, example="sampling-worker exclude show heldout")
@_name
@options.as_json
def show_excluded(name: str, *, as_json: bool) -> None:
    """Print the ids of an exclusion list, one a line; status 1 if there is none."""
    from worker.cli.excluded import show_list

    show_list(name, as_json=as_json)


@exclude.command("list", cls=Verb, example="sampling-worker exclude list")
@options.as_json
def list_(*, as_json: bool) -> None:
    """List the exclusion lists; every key of the database is looked at."""
    from worker.cli.excluded import list_lists

    list_lists(as_json=as_json)


@exclude.command(cls=Verb, example="sampling-worker exclude clear heldout")
@_name
def clear(name: str) -> None:
    """Delete an exclusion list: requests that name it are refused then; status 1 if there is none."""
    from worker.cli.excluded import clear_list

    clear_list(name)


def _check_named(names: tuple[str, ...]) -> None:
    """Refuse to do it to nothing.

    Raises:
        click.UsageError: No chunk is named.
    """
    if not names:
        raise click.UsageError("it is not said which chunks: accepted are ids and paths")
