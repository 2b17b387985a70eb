"""What the verbs of `exclude` do."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from worker.adapters.redis.exclusions import Change, Changed, RedisExclusions
from worker.cli.context import open_redis
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted
from worker.core.keys import NAME_PATTERN
from worker.core.wire.exclusions import ExclusionList, read_id
from worker.errors import RedisError, SettingsError

_STDIN = "-"


def add(name: str, ids: Sequence[str], file: Path | None, *, as_json: bool) -> None:
    """Add ids to a list, and print how many it has.

    Args:
        name: The list.
        ids: As they are typed.
        file: A file of more, one a line; None: none.
        as_json: Whether to print JSON.
    """
    given = _read_ids(ids, file)
    _print_changed(name, _change(name, lambda before: before | given), as_json=as_json)


def remove(name: str, ids: Sequence[str], file: Path | None, *, as_json: bool) -> None:
    """Take ids off a list, and print how many it has; as `add`."""
    given = _read_ids(ids, file)
    _check_exists(name)
    _print_changed(name, _change(name, lambda before: before - given), as_json=as_json)


def show_list(name: str, *, as_json: bool) -> None:
    """Print the ids of a list."""
    found = _check_exists(name)
    ids = [one if isinstance(one, int) else str(one) for one in found.ids()]
    if as_json:
        print_json({**_document(name, found), "excluded": ids})
    else:
        sys.stdout.write("".join(f"{one}\n" for one in ids))


def list_lists(*, as_json: bool) -> None:
    """Print all lists, and how many ids they have."""

    async def work() -> list[tuple[str, ExclusionList | str]]:
        async with open_redis() as opened:
            lists = RedisExclusions(opened.client, opened.keys)
            return [(name, await _read_or_say(lists, name)) for name in await lists.names()]

    found = asyncio.run(work())
    if as_json:
        print_json([_document(name, one) for name, one in found if isinstance(one, ExclusionList)])
    elif found:
        rows = [
            (name, one.size, one.version) if isinstance(one, ExclusionList) else (name, "", "") for name, one in found
        ]
        print_table(counted(len(found), "exclusion list"), ("list", "ids", "version"), rows)
    else:
        print_text("no exclusion list")
    for _, problem in found:
        if isinstance(problem, str):
            complain(problem)


def clear_list(name: str) -> None:
    """Delete a list.

    Raises:
        Exit: There was none.
    """
    _check_name(name)

    async def work() -> bool:
        async with open_redis() as opened:
            return await RedisExclusions(opened.client, opened.keys).remove(name)

    if not asyncio.run(work()):
        _say_missing(name)
    print_text(f"deleted; requests with exclude={name} are refused now")


async def _read_or_say(lists: RedisExclusions, name: str) -> ExclusionList | str:
    """Read a list, or return why it cannot be read."""
    try:
        return await lists.read(name) or "it is gone by now"
    except RedisError as error:
        return str(error)


def _change(name: str, change: Change) -> Changed:
    """Change a list.

    Raises:
        SettingsError: The ids are refused.
    """
    _check_name(name)

    async def work() -> Changed:
        async with open_redis() as opened:
            return await RedisExclusions(opened.client, opened.keys).change(name, change)

    try:
        return asyncio.run(work())
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _check_exists(name: str) -> ExclusionList:
    """Return a list.

    Raises:
        Exit: There is none.
    """
    _check_name(name)

    async def work() -> ExclusionList | None:
        async with open_redis() as opened:
            return await RedisExclusions(opened.client, opened.keys).read(name)

    found = asyncio.run(work())
    return found if found is not None else _say_missing(name)


def _say_missing(name: str) -> Any:
    complain(f"there is no exclusion list {name}; sampling-worker exclude list names those that exist")
    raise click.exceptions.Exit(1)


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise SettingsError(f"exclusion list {name[:64]!a} is not accepted; accepted: {NAME_PATTERN.pattern}")


def _read_ids(ids: Sequence[str], file: Path | None) -> frozenset[int | UUID]:
    """Read ids as they are typed, and those of a file.

    Raises:
        SettingsError: There are none, or one is no id.
    """
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == _STDIN else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"--from {str(file)!r} cannot be read: {error}") from error
        ids = [*ids, *text.split()]
    if not ids:
        raise SettingsError("it is not said which chunks: accepted are ids and --from FILE")
    try:
        return frozenset(map(read_id, ids))
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _print_changed(name: str, changed: Changed, *, as_json: bool) -> None:
    if as_json:
        print_json({**_document(name, changed.now), "before": changed.before})
    else:
        print_text(f"{name}: {counted(changed.now.size, 'id')}, {changed.before:,} before")


def _document(name: str, found: ExclusionList) -> dict[str, Any]:
    return {"name": name, "ids": found.size, "version": found.version}
