"""Commands of one turn of the event loop go in one packet, and each gets its own reply."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import redis.exceptions

from worker.adapters.redis.client import connect
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.light_client import LightClient

_TIMEOUT_S = 60.0


class _Counted(DirectConnection):
    packets = 0

    def send_all(self, commands: Iterable[Any]) -> None:
        self.packets += 1
        super().send_all(commands)


@pytest.fixture
async def connection(redis_url: str) -> AsyncIterator[_Counted]:
    async with connect(redis_url, timeout_s=_TIMEOUT_S) as client:
        connection = _Counted(client, "key")
        yield connection
        connection.close()


async def test_one_turn_is_one_packet(connection: _Counted) -> None:
    light = LightClient(connection)
    await connection.open()
    for turn in range(1, 4):
        replies = await asyncio.gather(*(light.execute_command("ECHO", f"{turn}-{number}") for number in range(50)))
        assert replies == [f"{turn}-{number}".encode() for number in range(50)]
        assert connection.packets == turn


async def test_what_others_send_meanwhile_gets_its_own_reply(connection: _Counted) -> None:
    light = LightClient(connection)
    await connection.open()
    asked = asyncio.gather(*(light.execute_command("ECHO", word) for word in ("one", "two")))
    await asyncio.sleep(0)
    assert await connection.send("ECHO", "between") == b"between"
    assert await asked == [b"one", b"two"]


async def test_a_refusal_is_of_one_command(connection: _Counted) -> None:
    light = LightClient(connection)
    words = (("ECHO", "one"), ("NO-SUCH-COMMAND",), ("ECHO", "two"))
    found = await asyncio.gather(*(light.execute_command(*one) for one in words), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (b"one", redis.exceptions.ResponseError, b"two")


async def test_a_connection_that_closes_in_the_same_turn_is_an_error_and_opens_anew(connection: _Counted) -> None:
    light = LightClient(connection)
    await connection.open()
    asked = asyncio.gather(*(light.execute_command("ECHO", "one") for _ in range(3)), return_exceptions=True)
    await asyncio.sleep(0)
    await light.aclose()
    assert {type(found) for found in await asked} == {redis.exceptions.ConnectionError}
    assert await light.execute_command("ECHO", "two") == b"two"
