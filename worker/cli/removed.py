"""What `catalog remove` does: delete chunks, after it has said how many."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from worker.adapters.postgres.near_paths import near_paths
from worker.adapters.postgres.removing import Selected, Selection, remove_chunks, select_chunks
from worker.cli.library import unknown_categories, warn_of_query
from worker.cli.library_wait import needed, tell_and_wait
from worker.cli.output import complain
from worker.cli.printing import print_json, print_text
from worker.cli.words import counted, listed
from worker.core.catalog.globs import glob_expression
from worker.settings.servers import read_server_settings

_MOST_NAMED: Final = 10
_YES: Final = frozenset({"y", "yes"})


class Wanted(NamedTuple):
    """Which chunks are meant.

    Attributes:
        ids: Their ids.
        paths: Their paths; a relative one also stands for the absolute one.
        patterns: Patterns that their paths fit, likewise.
        categories: Their categories.
    """

    ids: Sequence[str]
    paths: Sequence[str]
    patterns: Sequence[str]
    categories: Sequence[str]


def remove(wanted: Wanted, wait_s: float | None, *, is_sure: bool, as_json: bool) -> None:
    """Remove chunks.

    Args:
        wanted: Which are meant.
        wait_s: How long to wait until workers draw none of them; None: not at all.
        is_sure: Whether nobody is asked.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=needed(wait_s))
    ids, paths, patterns, categories = wanted
    whole = {path: (path, os.path.abspath(path)) for path in paths}  # noqa: PTH100 - links stay, as in a scan
    fitting = tuple(glob_expression(one) for pattern in patterns for one in {pattern, _absolute(pattern)})
    selection = Selection(tuple(ids), tuple(one for pair in whole.values() for one in pair), fitting, tuple(categories))
    selected = asyncio.run(select_chunks(settings.database_url, selection))
    unknown = [f"id {one}" for one in ids if one not in selected.known]
    unknown += [f"path {path!r}" for path, forms in whole.items() if not selected.known.intersection(forms)]
    if unknown:
        complain(f"there is no chunk of {listed(unknown, _MOST_NAMED)}")
        strange = [path for path, forms in whole.items() if not selected.known.intersection(forms)][:_MOST_NAMED]
        for path, near in asyncio.run(near_paths(settings.database_url, strange)).items():
            complain(f"{path!r}: did you mean {near!r}?")
    number = sum(selected.counts.values())
    if not number:
        if not unknown:
            hint = "; a pattern is compared with whole paths" if patterns else ""
            complain(f"no chunk fits {_wanted(patterns, categories)}{hint}")
        for sentence in asyncio.run(unknown_categories(settings.database_url, categories)):
            complain(sentence)
        raise click.exceptions.Exit(1)
    if not is_sure:
        _ask(selected)
    removed = asyncio.run(remove_chunks(settings.database_url, selection))
    warn_of_query(settings)

    def tell(more: Mapping[str, Any]) -> None:
        if as_json:
            print_json({"removed": removed, "categories": dict(selected.counts), "unknown": unknown, **more})
        else:
            text = f"{counted(removed, 'chunk')} removed: {_by_category(selected.counts)}"
            print_text(f"{text}; files stay where they are")

    tell_and_wait(wait_s, tell, as_json=as_json)


def _absolute(pattern: str) -> str:
    """Put the working directory before a relative pattern, unless it may begin with it by itself."""
    if pattern.startswith(("/", "*")):
        return pattern
    here = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in os.getcwd())  # noqa: PTH109 - text
    return f"{here.rstrip('/')}/{pattern.removeprefix('./')}"


def _ask(selected: Selected) -> None:
    """Ask on a terminal whether it is meant; without one, nobody can be asked.

    Raises:
        Exit: It is not.
    """
    what = f"{counted(sum(selected.counts.values()), 'chunk')}: {_by_category(selected.counts)}"
    if sys.stdin is None or not sys.stdin.isatty():
        complain(f"it would remove {what}; nobody can be asked here, and --yes removes them without a question")
        raise click.exceptions.Exit(2)
    sys.stderr.write(f"Remove {what}? [y/N] ")
    if sys.stdin.readline().strip().lower() not in _YES:
        complain("nothing is removed")
        raise click.exceptions.Exit(1)


def _wanted(patterns: Sequence[str], categories: Sequence[str]) -> str:
    words = [f"--pattern {pattern!r}" for pattern in patterns] + [f"--category {name}" for name in categories]
    return listed(words, _MOST_NAMED)


def _by_category(counts: Mapping[str, int]) -> str:
    return listed([f"{name} {count:,}" for name, count in counts.items()], _MOST_NAMED)
