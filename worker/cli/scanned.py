"""What `catalog scan` does: register the audio files of a folder, and print what became of them."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from worker.admin.scan import ScanReport, scan_folder
from worker.admin.scan.report import Listing
from worker.cli.dominant import warn_of_dominant
from worker.cli.library import warn_of_held, warn_of_query
from worker.cli.library_wait import needed, tell_and_wait
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.progress import stages
from worker.cli.words import Clock, counted, listed
from worker.core.catalog.scan import ScanOptions
from worker.settings.servers import read_server_settings

_MOST_SHOWN: Final = 10
_MOST_CATEGORIES: Final = 30
_MOST_KINDS: Final = 6


def scan(folder: Path, options: ScanOptions, wait_s: float | None, *, as_json: bool) -> None:
    """Scan a folder once.

    Args:
        folder: Where the audio files are.
        options: What the scan is told.
        wait_s: How long to wait until workers draw from it; None: not at all.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=needed(wait_s))
    with stages() as tell:
        report = asyncio.run(scan_folder(settings.database_url, folder, options, tell))
    warn_of_query(settings)
    tell_and_wait(wait_s, lambda more: print_report(report, options, more, as_json=as_json), as_json=as_json)


def print_report(
    report: ScanReport, options: ScanOptions, more: Mapping[str, Any] = MappingProxyType({}), *, as_json: bool
) -> None:
    """Print what became of a scan; what was skipped or decided goes to standard error.

    Args:
        report: What became of it.
        options: What it was told.
        more: What the JSON document has besides.
        as_json: Whether to print JSON.
    """
    for sentence in _notes(report):
        complain(sentence)
    _complain_of(report.found.unreadable, "folder that cannot be read", "folders that cannot be read")
    _complain_of(report.found.refused, "file that cannot be registered", "files that cannot be registered")
    _complain_of(report.found.failed, "file that cannot be read, FAILED", "files that cannot be read, FAILED")
    warn_of_held(report.registered.imported.held)
    warn_of_dominant(report.dominant)
    if as_json:
        print_json({**scan_document(report), **more})
        return
    for line in _summary(report, options):
        print_text(line)
    _print_categories(report)


def scan_document(report: ScanReport) -> dict[str, Any]:
    """Return what became of a scan as plain data."""
    found, registered = report.found, report.registered
    return {
        "folder": report.folder,
        "dry_run": report.is_trial,
        "files": found.files,
        "chunks": report.chunks,
        "inserted": registered.imported.inserted,
        "updated": registered.imported.updated,
        "unchanged": registered.imported.unchanged,
        "gone": registered.gone,
        "gone_paths": list(registered.gone_paths),
        "kept": registered.kept,
        "quarantined": registered.imported.held,
        "categories": {name: asdict(counts) for name, counts in sorted(found.categories.items())},
        "splits": dict(sorted(found.splits.items())),
        "failed": found.failed.as_dict(),
        "refused": found.refused.as_dict(),
        "without_category": found.unplaced.as_dict(),
        "unreadable_folders": found.unreadable.as_dict(),
        "too_short": found.too_short,
        "vanished": found.vanished,
        "others": dict(found.others),
        "hidden": found.hidden,
        "linked_again": found.linked_again,
        "names": list(found.sentences),
        "dominant": [asdict(one) for one in report.dominant],
    }


def _notes(report: ScanReport) -> Iterator[str]:
    """Yield sentences about what was decided, and what was left out."""
    found = report.found
    yield from found.sentences[:_MOST_CATEGORIES]
    if len(found.sentences) > _MOST_CATEGORIES:
        yield f"{counted(len(found.sentences) - _MOST_CATEGORIES, 'more name')} made likewise"
    if found.unplaced.count:
        example = found.unplaced.first[0].path
        yield f"{counted(found.unplaced.count, 'file')} without a category left out, as {example}"
    if found.others:
        yield f"{counted(sum(found.others.values()), 'other file')} left out: {_kinds(found.others)}"
    told = {
        f"{counted(found.hidden, 'hidden file or folder', 'hidden files and folders')} left out": found.hidden,
        f"{counted(found.linked_again, 'link')} to what is here already left out": found.linked_again,
        f"{counted(found.too_short, 'file')} shorter than --shortest left out": found.too_short,
        f"{counted(found.vanished, 'file')} went while the folder was read": found.vanished,
        f"{counted(report.registered.kept, 'chunk')} keep the status that somebody else set": report.registered.kept,
    }
    yield from (sentence for sentence, count in told.items() if count)


def _kinds(others: Mapping[str, int]) -> str:
    """Write how many files there are of each kind."""
    most = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return listed([_kind(kind, count) for kind, count in most], _MOST_KINDS)


def _kind(kind: str, count: int) -> str:
    if not kind or kind.startswith("."):
        return f"{count:,} {kind or 'without an ending'}"
    return counted(count, kind)


def _complain_of(listing: Listing, one: str, several: str) -> None:
    """List files and what is wrong with them, the first ten of them."""
    if not listing.count:
        return
    more = f", the first {_MOST_SHOWN}" if listing.count > _MOST_SHOWN else ""
    complain(f"{counted(listing.count, one, several)}{more}:")
    for path, reason in listing.first[:_MOST_SHOWN]:
        complain(f"  {path}: {reason}")


def _summary(report: ScanReport, options: ScanOptions) -> Iterator[str]:
    """Yield sentences about what was found, and what became of it."""
    found, registered = report.found, report.registered
    failed = f", {found.failed.count:,} of them FAILED" if found.failed.count else ""
    yield f"{counted(found.files, 'audio file')} in {report.folder}{failed}"
    gone = f", {registered.gone:,} gone and {'deleted' if options.prune else 'FAILED'}" if registered.gone else ""
    trial = " (a dry run: nothing is written)" if report.is_trial else ""
    imported = registered.imported
    yield (
        f"{counted(imported.inserted, 'chunk')} inserted, {imported.updated:,} updated, "
        f"{imported.unchanged:,} unchanged{gone}{trial}"
    )
    if registered.cleared:
        yield f"{counted(registered.cleared, 'chunk')} left their split"
    if set(found.splits) - {""}:
        parts = [f"{count:,} in {name or 'no split'}" for name, count in sorted(found.splits.items())]
        yield f"files by split: {', '.join(parts)}"
    for name, share in options.rules.splits:
        if share and found.files and not found.splits[name]:
            yield f"no {options.rules.by} fell into split {name}: there are too few for a share of {share:g}"


def _print_categories(report: ScanReport) -> None:
    largest = sorted(report.found.categories.items(), key=lambda item: (-item[1].duration_s, item[0]))
    rows = [(name, one.files, one.chunks, Clock(one.duration_s)) for name, one in largest[:_MOST_CATEGORIES]]
    others = len(largest) - len(rows)
    title = "by category" if not others else f"the largest categories ({others:,} more)"
    if rows:
        print_table(title, ("category", "files", "READY chunks", "h:min:s"), rows)
