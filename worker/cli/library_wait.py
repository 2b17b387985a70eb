"""What `--wait` of the verbs that change the library does: wait until workers draw from it, and print how many do."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from worker.cli.output import complain
from worker.cli.printing import print_text
from worker.cli.words import counted, span_text
from worker.errors import SamplingError

if TYPE_CHECKING:
    from worker.admin.catalog_wait import Followed
    from worker.settings.servers import Server

Tell = Callable[[Mapping[str, Any]], None]


def needed(wait_s: float | None) -> list["Server"]:
    """Return the servers whose URLs a verb needs that changes the library and perhaps waits for workers."""
    return ["database"] if wait_s is None else ["database", "redis"]


def tell_and_wait(wait_s: float | None, tell: Tell, *, as_json: bool) -> None:
    """Print what became of a change, and wait until live workers draw from the library.

    Args:
        wait_s: The longest wait; None: none is wanted.
        tell: Prints what became of the change. It is given what a JSON document has to have besides.
        as_json: Whether it prints JSON, which is one document and so comes after the wait; text comes before.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
        RedisError: Redis did not answer, or refused.
        Exit: A worker does not draw from it, or none is alive.
    """
    if wait_s is None or not as_json:
        tell({})
    if wait_s is None:
        return
    try:
        found = _wait(wait_s)
    except SamplingError:
        if as_json:
            tell({})
        raise
    if as_json:
        tell(_document(found))
    _tell_followed(found, wait_s, as_json=as_json)


def _wait(wait_s: float) -> "Followed":
    # numpy, where somebody waits
    from worker.admin.catalog_wait import wait_until_followed  # noqa: PLC0415
    from worker.cli.context import open_redis  # noqa: PLC0415 - the same

    async def work() -> "Followed":
        async with open_redis(need=needed(wait_s)) as opened:
            return await wait_until_followed(opened.client, opened.keys, opened.settings, wait_s)

    return asyncio.run(work())


def _document(found: "Followed") -> dict[str, Any]:
    took_ms = round(found.took_s * 1000, 1)
    return {"applied": list(found.having), "missing": list(found.missing), "ready": found.chunks, "took_ms": took_ms}


def _tell_followed(found: "Followed", wait_s: float, *, as_json: bool) -> None:
    """Print how many workers draw from the library.

    Raises:
        Exit: One does not, or none is alive.
    """
    having, missing = found.having, found.missing
    every = counted(len(having) + len(missing), "worker")
    if not (having or missing):
        complain("the library is changed, but no worker is alive, so that none follows")
    elif missing:
        complain(f"followed by {len(having)} of {every} within {wait_s:g} s; not by {', '.join(missing)}")
    elif not as_json:
        chunks, took = counted(found.chunks, "READY chunk"), span_text(found.took_s)
        print_text(f"followed by {len(having)} of {every} within {took}: {chunks}", "fits")
    if missing or not having:
        raise click.exceptions.Exit(1)
