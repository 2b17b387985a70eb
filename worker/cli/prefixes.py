"""One verb in several prefixes: all at once, each by itself, and a failure of one leaves the others alone."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, TypeVar

from worker.cli.context import Opened, open_redis
from worker.core.keys import PREFIX_PATTERN
from worker.errors import SamplingError, SettingsError
from worker.settings.servers import Server, read_server_settings

Found = TypeVar("Found")

_REDIS: Final[tuple[Server, ...]] = ("redis",)


def check_prefixes(prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return prefixes, each once, if all of them can be used.

    Raises:
        SettingsError: One cannot; the sentence says what is accepted.
    """
    for prefix in prefixes:
        if not PREFIX_PATTERN.fullmatch(prefix):
            raise SettingsError(f"--prefix {prefix!r} is not accepted; accepted: {PREFIX_PATTERN.pattern}")
        read_server_settings(need=["redis"], prefix=prefix)
    return tuple(dict.fromkeys(prefixes))


def try_in_each(prefixes: Sequence[str], work: Callable[[Opened], Awaitable[Found]]) -> list[Found | SamplingError]:
    """Do something in each of several prefixes.

    Args:
        prefixes: The prefixes.
        work: What is done, over a connection of its own.

    Returns:
        What came of each, in their order; an error where it failed.
    """

    async def try_in(prefix: str) -> Found | SamplingError:
        try:
            return await _do(work, prefix, _REDIS)
        except SamplingError as error:
            return error

    async def try_all() -> list[Found | SamplingError]:
        return await asyncio.gather(*map(try_in, prefixes))

    return asyncio.run(try_all())


def run_in_one(
    prefixes: Sequence[str], work: Callable[[Opened], Awaitable[Found]], need: Collection[Server] = _REDIS
) -> Found:
    """Do something in one prefix.

    Args:
        prefixes: The prefix; none: that of the settings.
        work: What is done.
        need: Servers whose URL has to be given.

    Raises:
        SamplingError: It failed.
    """
    return asyncio.run(_do(work, next(iter(prefixes), None), need))


async def _do(work: Callable[[Opened], Awaitable[Found]], prefix: str | None, need: Collection[Server]) -> Found:
    async with open_redis(need, prefix) as opened:
        return await work(opened)
