"""Turns to read everything: never more at once than there are turns, and nobody waits for ever."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest

from tests.support.library import fill, session
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection, connected
from worker.adapters.postgres.turns import LONGEST_S, Turns

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]

_ENDED = "select pg_terminate_backend($1)"


@pytest.fixture
def connecting(database_url: str) -> Connecting:
    @asynccontextmanager
    async def begin() -> AsyncIterator[Connection]:
        async with connected(database_url, statement_timeout_s=30) as connection:
            await connection.execute("begin isolation level repeatable read, read only")
            yield connection

    return begin


async def test_no_more_read_at_once_than_there_are_turns(connecting: Connecting) -> None:
    reading, most, finished = 0, 0, 0

    async def read(turns: Turns) -> None:
        nonlocal reading, most, finished
        async with turns.taken(connecting) as connection:
            reading += 1
            most = max(most, reading)
            await connection.execute("select pg_sleep(0.05)")
            reading -= 1
        finished += 1

    async with anyio.create_task_group() as workers:
        for _ in range(8):
            workers.start_soon(read, Turns(2))
    assert (most, finished) == (2, 8)


async def test_turn_ends_with_the_session_of_its_reader(database_url: str, connecting: Connecting) -> None:
    async with connecting() as first, session(database_url) as other:
        assert await Turns(1)._take(first)
        async with connecting() as second:
            assert not await Turns(1)._take(second)
        await other.execute(_ENDED, await first.fetchval("select pg_backend_pid()"))

        async def is_free() -> bool:
            async with connecting() as third:
                return await Turns(1)._take(third)

        await wait_until(is_free, timeout_s=30, what="the turn is free")


async def test_who_has_waited_for_long_reads_all_the_same(connecting: Connecting) -> None:
    assert LONGEST_S > 60
    async with Turns(1).taken(connecting), Turns(1, longest_s=0).taken(connecting) as late:
        assert await late.fetchval("select 1") == 1


async def test_snapshot_is_of_the_turn_and_not_of_the_wait(database_url: str, connecting: Connecting) -> None:
    """A catalog holds what was committed while its reader waited."""
    source = PostgresCatalog(database_url, readers=1)
    sizes = []

    async def load() -> None:
        sizes.append(len((await source.load()).catalog))

    async with session(database_url) as writer, anyio.create_task_group() as loads, Turns(1).taken(connecting):
        loads.start_soon(load)
        await writer.execute(fill(20))
    assert sizes == [20]
