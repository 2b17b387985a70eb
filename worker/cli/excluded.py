"""What the verbs of `exclude` do."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import click

from worker.adapters.redis.exclusions import Change, Changed, RedisExclusions
from worker.cli.context import Opened, check_list, open_redis
from worker.cli.near import near_list
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.typed_ids import read_ids
from worker.cli.words import counted
from worker.core.wire.exclusions import ExclusionList
from worker.errors import RedisError, SettingsError
from worker.weights.in_use import live_workers

Doubts = Callable[[Opened, str, Changed], Awaitable[Sequence[str]]]


def add(name: str, ids: Sequence[str], file: Path | None, *, as_json: bool) -> None:
    """Add ids to a list, and print how many it has.

    Args:
        name: The list.
        ids: As they are typed.
        file: A file of more, one a line; None: none.
        as_json: Whether to print JSON.
    """
    given = read_ids(ids, file)
    changed, notes = _change(name, lambda before: before | given, _doubts)
    _print_changed(name, changed, as_json=as_json)
    for sentence in notes:
        complain(sentence)


def remove(name: str, ids: Sequence[str], file: Path | None, *, as_json: bool) -> None:
    """Take ids off a list, and print how many it has; as `add`."""
    given = read_ids(ids, file)
    _check_exists(name)
    changed, _ = _change(name, lambda before: before - given)
    _print_changed(name, changed, as_json=as_json)
    if missed := len(given) - (changed.before - changed.now.size):
        complain(f"{counted(missed, 'id')} of {len(given):,} {'was' if missed == 1 else 'were'} not on {name}")


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
    check_list(name)

    async def work() -> str | None:
        async with open_redis() as opened:
            is_removed = await RedisExclusions(opened.client, opened.keys).remove(name)
            return None if is_removed else await near_list(opened, name)

    if (near := asyncio.run(work())) is not None:
        _say_missing(name, near)
    print_text(f"deleted; requests with exclude={name} are refused now")


async def _read_or_say(lists: RedisExclusions, name: str) -> ExclusionList | str:
    """Read a list, or return why it cannot be read."""
    try:
        return await lists.read(name) or "it is gone by now"
    except RedisError as error:
        return str(error)


def _change(name: str, change: Change, doubts: Doubts | None = None) -> tuple[Changed, Sequence[str]]:
    """Change a list; return also what is doubtful about it then.

    Raises:
        SettingsError: The ids are refused.
    """
    check_list(name)

    async def work() -> tuple[Changed, Sequence[str]]:
        async with open_redis() as opened:
            changed = await RedisExclusions(opened.client, opened.keys).change(name, change)
            return changed, () if doubts is None else await doubts(opened, name, changed)

    try:
        return asyncio.run(work())
    except ValueError as error:
        raise SettingsError(str(error)) from error


async def _doubts(opened: Opened, name: str, changed: Changed) -> list[str]:
    """Return sentences about a new list that may be a mistyped one, and about ids that workers will refuse."""
    said = [near] if changed.is_new and (near := await near_list(opened, name)) else []
    said = [f"{name} is a new list{near}" for near in said]
    kind = changed.now.kind
    try:
        theirs = {worker.id_kind for worker in await live_workers(opened.client, opened.keys)}
    except RedisError:  # whoever may not read the states of workers has changed the list all the same
        theirs = set()
    if changed.now.size and theirs - {"", kind}:
        said.append(f"the ids of the library are of another kind than {kind}: requests that name {name} are refused")
    return said


def _check_exists(name: str) -> ExclusionList:
    """Return a list.

    Raises:
        Exit: There is none.
    """
    check_list(name)

    async def work() -> tuple[ExclusionList | None, str]:
        async with open_redis() as opened:
            found = await RedisExclusions(opened.client, opened.keys).read(name)
            return found, "" if found is not None else await near_list(opened, name)

    found, near = asyncio.run(work())
    return found if found is not None else _say_missing(name, near)


def _say_missing(name: str, near: str) -> Any:
    complain(f"there is no exclusion list {name}; sampling-worker exclude list names those that exist{near}")
    raise click.exceptions.Exit(1)


def _print_changed(name: str, changed: Changed, *, as_json: bool) -> None:
    if as_json:
        print_json({**_document(name, changed.now), "before": changed.before})
    else:
        print_text(f"{name}: {counted(changed.now.size, 'id')}, {changed.before:,} before")


def _document(name: str, found: ExclusionList) -> dict[str, Any]:
    return {"name": name, "ids": found.size, "version": found.version}
