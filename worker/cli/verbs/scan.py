"""`catalog scan` and `catalog remove`."""

from pathlib import Path

import click

from worker.cli import options
from worker.cli.help import Verb
from worker.cli.numbers import LONGEST_S, Decimal

_SHORTEST_S = 0.05


@click.command(cls=Verb, example="sampling-worker catalog scan ~/audio --segment 10 --split val=0.05")
@click.argument("folder", type=Path, metavar="FOLDER")
@click.option("--category", metavar="NAME", help="The category of all files, not their first folder.")
@click.option(
    "--category-from",
    metavar="PATTERN",
    help="Where paths name the category, as '{split}/{category}/', or a regular expression with (?P<category>...).",
)
@click.option(
    "--segment", type=Decimal(_SHORTEST_S, LONGEST_S), metavar="SECONDS", help="Cut files into chunks of this length."
)
@click.option(
    "--hop", type=Decimal(_SHORTEST_S, LONGEST_S), metavar="SECONDS", help="From chunk to chunk; default: --segment."
)
@click.option(
    "--shortest",
    type=Decimal(0, LONGEST_S),
    metavar="SECONDS",
    help="Leave out a shorter last chunk; default: a tenth of --segment, but never a whole file.",
)
@click.option(
    "--split",
    "splits",
    metavar="NAME=SHARE",
    multiple=True,
    help="Put a share of the files aside, as val=0.05; a hash of the path decides. May be repeated.",
)
@click.option("--by", type=click.Choice(["file", "folder"]), help="What --split puts aside; default: single files.")
@click.option("--prune", is_flag=True, help="Delete chunks whose file is gone, not only mark them FAILED.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--watch", is_flag=True, help="Go on, and follow every change of the folder until interrupted.")
@options.wait_for_library
@options.timeout
@options.as_json
def scan(
    folder: Path,
    *,
    category: str | None,
    category_from: str | None,
    segment: float | None,
    hop: float | None,
    shortest: float | None,
    splits: tuple[str, ...],
    by: str | None,
    prune: bool,
    dry_run: bool,
    watch: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Register the audio files of a folder; a file's category is the first folder below FOLDER.

    Durations are read from headers. A file that cannot be read is registered FAILED, with its reason. Scanned again, a
    folder's new files are added, changed ones renewed, and what is gone is marked FAILED. Paths are stored absolute.
    Workers follow within a second. Needs the extra audio.
    """
    from worker.core.catalog.scan.options import Rules, ScanOptions, check_segments, parse_splits

    if by is not None and not splits:
        raise click.UsageError("--by is for --split, which is not given")
    if watch and dry_run:
        raise click.UsageError("--watch and --dry-run exclude each other; accepted is one of them")
    if wait and (watch or dry_run):
        raise click.UsageError(f"--wait and {'--watch' if watch else '--dry-run'} exclude each other; accepted is one")
    wait_s = options.wait_s(wait=wait, timeout=timeout)
    rules = Rules(category, category_from, parse_splits(splits), "folder" if by == "folder" else "file")
    told = ScanOptions(rules, check_segments(segment, hop, shortest), prune, dry_run)
    if watch:
        from worker.cli.followed import follow

        follow(folder, told, as_json=as_json)
        return
    from worker.cli.scanned import scan as scan_once

    scan_once(folder, told, wait_s, as_json=as_json)


@click.command(cls=Verb, example="sampling-worker catalog remove --pattern '*/old recordings/*'")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--path", "paths", metavar="PATH", multiple=True, help="All chunks of this file. May be repeated.")
@click.option(
    "--pattern",
    "patterns",
    metavar="GLOB",
    multiple=True,
    help="Chunks whose whole path fits, as '*/old/*'; * stands for / too. May be repeated.",
)
@click.option("--category", "categories", metavar="NAME", multiple=True, help="Chunks of this category.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@options.wait_for_library
@options.timeout
@options.as_json
def remove(
    ids: tuple[str, ...],
    *,
    paths: tuple[str, ...],
    patterns: tuple[str, ...],
    categories: tuple[str, ...],
    is_sure: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Remove chunks from the library; on a terminal it says how many, and asks first. Files stay where they are.

    Given several kinds of options, a chunk has to fit all of them. A scan of the folder would register its files again.
    Workers follow within a second.
    """
    if not (ids or paths or patterns or categories):
        raise click.UsageError("it is not said which chunks: accepted are ids, --path, --pattern and --category")
    wait_s = options.wait_s(wait=wait, timeout=timeout)
    from worker.cli.removed import Wanted
    from worker.cli.removed import remove as remove_chunks

    remove_chunks(Wanted(ids, paths, patterns, categories), wait_s, is_sure=is_sure, as_json=as_json)
