"""Our own RESP client: replies find their commands, and no failed connection keeps a caller waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.exceptions

from tests.support.proxy import Pace, Proxy, losing_replies
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect
from worker.adapters.redis.connection import DirectConnection

_SOON_S = 60.0
_TIMEOUT_S = 10.0
_BLOCK_S = 60
_ELSEWHERE = {
    "READONLY You can not write against a read only replica.": redis.exceptions.ReadOnlyError,
    "MOVED 1 127.0.0.1:1": redis.exceptions.MovedError,
    "CLUSTERDOWN The cluster is down": redis.exceptions.ClusterDownError,
    "NOREPLICAS Not enough good replicas to write.": redis.exceptions.ResponseError,
}


@asynccontextmanager
async def _direct(url: str, *, timeout_s: float = _TIMEOUT_S) -> AsyncIterator[DirectConnection]:
    async with connect(url, timeout_s=timeout_s) as client:
        direct = DirectConnection(client, "any")
        try:
            yield direct
        finally:
            direct.close()


@pytest.fixture
async def direct(redis_url: str) -> AsyncIterator[DirectConnection]:
    async with _direct(redis_url) as direct:
        yield direct


async def test_replies_find_their_commands_however_many_are_under_way(direct: DirectConnection) -> None:
    await direct.open()
    replies = [direct.send("ECHO", f"{number}-{'x' * 2000}") for number in range(500)]
    assert [reply[:4] for reply in await asyncio.gather(*replies)] == [f"{n}-xxxx".encode()[:4] for n in range(500)]


async def test_it_shows_where_it_leads_to_and_what_waits(direct: DirectConnection, prefix: str) -> None:
    assert repr(direct).endswith("not opened yet>")
    await direct.open()
    assert direct.address is not None
    host, port = direct.address
    waiting = [direct.send("BLPOP", f"{prefix}:empty", _BLOCK_S), direct.send("PING")]
    assert repr(direct).endswith(f"open to {host}:{port}, 2 waiting>")
    direct.close()
    assert repr(direct).endswith(f"closed to {host}:{port}, 0 waiting>")
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [
        redis.exceptions.ConnectionError
    ] * 2


async def test_it_connects_when_it_is_needed_and_once(direct: DirectConnection) -> None:
    assert not direct.is_open
    with pytest.raises(redis.exceptions.ConnectionError, match="closed"):
        direct.send("PING")
    ids = await asyncio.gather(*(direct.call("CLIENT", "ID") for _ in range(5)))
    assert len(set(ids)) == 1
    assert direct.is_open


async def test_a_refusal_is_the_error_of_its_command_alone(direct: DirectConnection) -> None:
    await direct.open()
    refused, accepted = direct.send("NO-SUCH-COMMAND"), direct.send("PING")
    with pytest.raises(redis.exceptions.ResponseError, match="unknown command"):
        await refused
    assert await accepted == b"PONG"


async def test_who_stops_waiting_leaves_the_others_their_replies(direct: DirectConnection, prefix: str) -> None:
    await direct.open()
    given_up, kept = direct.send("BLPOP", f"{prefix}:empty", "0.05"), direct.send("ECHO", "kept")
    given_up.cancel()
    assert await kept == b"kept"


@pytest.mark.fault("a call is cancelled at any step of the event loop, connecting included", "A14")
async def test_a_call_may_be_given_up_at_any_step(direct: DirectConnection, redis_client: Any) -> None:
    before = len(await redis_client.client_list())
    for steps in range(51):
        direct.close()
        given_up = asyncio.create_task(direct.call("ECHO", f"given up after {steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        assert await direct.call("ECHO", f"kept {steps}") == f"kept {steps}".encode()
        await end(given_up)
    direct.close()

    async def are_closed() -> bool:
        return len(await redis_client.client_list()) == before

    await wait_until(are_closed, timeout_s=_SOON_S, what="no connection is left")


async def test_a_killed_connection_fails_what_is_under_way_and_is_opened_anew(
    direct: DirectConnection, redis_client: Any, prefix: str
) -> None:
    number = await direct.call("CLIENT", "ID")
    waiting = direct.send("BLPOP", f"{prefix}:empty", _BLOCK_S)
    assert await redis_client.client_kill_filter(_id=str(number)) == 1
    with pytest.raises(redis.exceptions.ConnectionError, match="lost"):
        await waiting
    assert not direct.is_open
    assert await direct.call("CLIENT", "ID") != number


async def test_a_silent_server_is_given_up_on(redis_url: str, prefix: str) -> None:
    async with _direct(redis_url, timeout_s=0.2) as direct:
        assert await direct.call("PING") == b"PONG"
        waiting = [direct.send("BLPOP", f"{prefix}:empty", _BLOCK_S), direct.send("PING")]
        for reply in waiting:
            with pytest.raises(redis.exceptions.TimeoutError, match="no reply within"):
                await reply
        assert not direct.is_open
        assert await direct.call("PING") == b"PONG"


async def test_what_passes_slowly_is_no_silence(redis_url: str, prefix: str) -> None:
    """A long command has more time, and a long reply has time as long as bytes arrive."""
    value = b"x" * 100_000
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        async with _direct(proxy.url, timeout_s=0.3) as direct:
            await direct.open()
            proxy.pace = Pace(bytes_per_s=100_000, piece=5_000)
            assert await direct.call("SET", f"{prefix}:long", value) == b"OK"
            assert await direct.call("GET", f"{prefix}:long") == value
            assert direct.is_open


async def test_the_clock_goes_on_as_long_as_somebody_waits(redis_url: str, prefix: str) -> None:
    """Each wait has its own timeout of 0.3 s: four waits of 0.1 s do not add up to it."""
    async with _direct(redis_url, timeout_s=0.3) as direct:
        await direct.open()
        for _ in range(4):
            assert await direct.call("BLPOP", f"{prefix}:empty", "0.1") is None
        assert direct.is_open


async def test_closing_ends_all_waits_and_is_no_end(direct: DirectConnection, prefix: str) -> None:
    await direct.open()
    waiting = direct.send("BLPOP", f"{prefix}:empty", _BLOCK_S)
    direct.close()
    with pytest.raises(redis.exceptions.ConnectionError, match="closed here"):
        await waiting
    assert await direct.call("PING") == b"PONG"


@pytest.mark.parametrize("refusal", _ELSEWHERE)
async def test_a_server_that_is_no_longer_the_one_to_speak_to_is_left(direct: DirectConnection, refusal: str) -> None:
    """Commands that were sent behind the refused one fail with the same error."""
    await direct.open()
    refused = direct.send("EVAL", f"return redis.error_reply('{refusal}')", "0")
    behind = direct.send("PING")
    for reply in (refused, behind):
        with pytest.raises(_ELSEWHERE[refusal]):
            await reply
    assert not direct.is_open
    assert await direct.call("PING") == b"PONG"


@pytest.mark.parametrize("refusal", ["ASK 1 127.0.0.1:1", "TRYAGAIN Multiple keys request during rehashing of slot"])
async def test_a_slot_that_is_moving_is_no_reason_to_leave(direct: DirectConnection, refusal: str) -> None:
    with pytest.raises(redis.exceptions.ResponseError):
        await direct.call("EVAL", f"return redis.error_reply('{refusal}')", "0")
    assert direct.is_open


async def test_a_lost_reply_is_an_error_and_not_a_second_attempt(
    redis_url: str, redis_client: Any, prefix: str
) -> None:
    async with losing_replies(redis_url, "INCR") as url, _direct(url) as direct:
        with pytest.raises(redis.exceptions.ConnectionError):
            await direct.call("INCR", f"{prefix}:count")
    assert await redis_client.get(f"{prefix}:count") == b"1"


async def test_who_is_told_at_once_gets_replies_refusals_and_the_loss(
    direct: DirectConnection, redis_client: Any, prefix: str
) -> None:
    told: list[Any] = []
    with pytest.raises(redis.exceptions.ConnectionError, match="closed"):
        direct.send_with_callback(told.append, "PING")
    number = await direct.call("CLIENT", "ID")
    for words in (("ECHO", "one"), ("NO-SUCH-COMMAND",), ("BLPOP", f"{prefix}:empty", _BLOCK_S)):
        direct.send_with_callback(told.append, *words)
    await wait_until(lambda: len(told) == 2, timeout_s=_SOON_S, what="two replies were told")
    await redis_client.client_kill_filter(_id=str(number))
    await wait_until(lambda: len(told) == 3, timeout_s=_SOON_S, what="the loss was told")
    kinds = [bytes, redis.exceptions.ResponseError, redis.exceptions.ConnectionError]
    assert [type(one) for one in told] == kinds


async def test_messages_come_between_replies_and_a_loss_is_heard_once(
    redis_url: str, redis_client: Any, prefix: str
) -> None:
    pattern, channel = f"{prefix}:loud*".encode(), f"{prefix}:loud-and-clear".encode()
    heard: list[Any] = []
    async with connect(redis_url, timeout_s=_TIMEOUT_S) as client:
        direct = DirectConnection(client, "any", on_message=heard.append)
        number = await direct.call("CLIENT", "ID")
        assert await direct.call("PSUBSCRIBE", pattern) == [b"psubscribe", pattern, 1]
        for message in ("one", "two"):
            await redis_client.publish(channel, message)
            assert await direct.call("PING") == [b"pong", b""]
        assert heard == [[b"pmessage", pattern, channel, message] for message in (b"one", b"two")]
        await redis_client.client_kill_filter(_id=str(number))
        await wait_until(lambda: not direct.is_open, timeout_s=_SOON_S, what="the loss is noticed")
        direct.close()
        assert [type(one) for one in heard[2:]] == [redis.exceptions.ConnectionError]


async def _answer_with_junk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer redis-py's handshake, and then send something else."""
    greetings = 0
    while command := await reader.read(1 << 16):
        greetings += command.count(b"CLIENT")
        writer.write(b"+OK\r\n" * command.count(b"CLIENT") if b"CLIENT" in command else b"HTTP/1.1 400\r\n\r\n")
    writer.close()


async def test_what_is_no_reply_ends_the_connection(redis_url: str) -> None:
    del redis_url  # the same on every server
    async with await asyncio.start_server(_answer_with_junk, "127.0.0.1", 0) as peer:
        url = f"redis://127.0.0.1:{peer.sockets[0].getsockname()[1]}"
        async with _direct(url) as direct:
            with pytest.raises(redis.exceptions.ConnectionError, match="does not speak RESP"):
                await direct.call("PING")
            assert not direct.is_open


async def test_a_server_that_is_not_there_is_told_of() -> None:
    async with _direct("redis://127.0.0.1:1") as direct:
        with pytest.raises(redis.exceptions.ConnectionError):
            await direct.call("PING")


async def test_waiting_to_connect_can_be_given_up(redis_url: str) -> None:
    async with _direct(redis_url) as direct:
        opening = asyncio.create_task(direct.open())
        await asyncio.sleep(0)
        await end(opening)
        await wait_until(lambda: _opens(direct), timeout_s=_SOON_S, what="it opens after all")


async def _opens(direct: DirectConnection) -> bool:
    await direct.open()
    return direct.is_open
