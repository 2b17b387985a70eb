"""Users of Redis who lack one right."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tests.support.streams import Desk, desk_at


def without(command: str, at: str, keys: Iterable[str]) -> list[str]:
    """Return the rights of a user who may use a command at all of these keys and channels but one; empty: at none."""
    elsewhere = [f"(+{command} ~{key} &{key})" for key in keys if at and key != at]
    return ["~*", f"-{command}", *elsewhere]


async def give_rights(rights: Iterable[str], desk: Desk) -> None:
    """Give a desk's user all rights but those taken away; that affects open connections at once."""
    words = ("reset", "on", "nopass", "&*", "+@all", *rights)
    await desk.client.execute_command("ACL", "SETUSER", desk.keys.prefix, *words)


@asynccontextmanager
async def user_with(rights: Iterable[str], desk: Desk, redis_url: str) -> AsyncIterator[Desk]:
    """Open a desk of a user who may do everything but what these rights take away."""
    name = desk.keys.prefix
    await give_rights(rights, desk)
    try:
        async with desk_at(redis_url.replace("//", f"//{name}:x@"), desk.keys.prefix) as denied:
            yield denied
    finally:
        await desk.client.execute_command("ACL", "DELUSER", name)
