"""A reply of a wrong shape is a broken connection: it is closed, and the next command gets its own reply."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis.exceptions

from tests.support.nonsense import NONSENSE
from tests.support.proxy import Proxy
from tests.support.servers import redis_binaries
from tests.support.streams import Desk, batch_of, desk_at, result_of
from tests.support.topologies import as_cluster, on_socket, under_sentinel
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.client import connect
from worker.adapters.redis.client_streams import RedisClientStreams
from worker.adapters.redis.replies import check_ids, closing_if_misread, read_entries
from worker.adapters.redis.streams import RedisStreams
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.wire import Entry
from worker.errors import RedisError
from worker.ports import Pending

_SOON_S = 60.0
_NOW_MS = 10
_PENDING = [Pending("1-0", 0, 1)]
Topology = Callable[[Path, Path], AbstractContextManager[str]]
Work = Callable[[Desk, RedisStreams], Awaitable[object]]


async def _read_results(desk: Desk) -> object:
    exchange = RedisClientStreams(desk.client, desk.keys, "job")
    try:
        return await exchange.read("0-0", 0)
    finally:
        exchange.close()


def _writer(desk: Desk, stream: RedisStreams) -> RedisWeightsWriter:
    """Return a worker's writer."""
    return RedisWeightsWriter(desk.client, desk.keys, often=stream.light_client)


async def _names_of_rules(desk: Desk, stream: RedisStreams) -> object:
    await desk.client.execute_command("HSET", desk.keys.adjust, "d", "{}")
    return await RedisAdjust(desk.client, desk.keys, often=stream.light_client).names()


_WORK: dict[str, tuple[str, Work]] = {
    "open": ("TIME", lambda _, stream: stream.open()),
    "read": ("XREADGROUP", lambda _, stream: stream.read(10, _NOW_MS)),
    "take over": ("XAUTOCLAIM", lambda _, stream: stream.take_over(1)),
    "pending": ("XPENDING", lambda _, stream: stream.pending()),
    "deliver again": ("EVAL", lambda _, stream: stream.deliver_again(_PENDING)),
    "look at": ("XRANGE", lambda _, stream: stream.look_at(_PENDING[0])),
    "sessions": ("HGETALL", lambda _, stream: stream.read_sessions(["s", "t"])),
    "settle": ("EVALSHA", lambda _, stream: stream.settle(batch_of([result_of("1-0")]))),
    "backlog": ("XPENDING", lambda _, stream: stream.backlog()),
    "weights": ("GET", lambda desk, _: desk.weights().read([None, "d"])),
    "returns": ("EVAL", lambda desk, _: desk.writer().expire_temporary()),
    "returns, often": ("HGETALL", lambda desk, stream: _writer(desk, stream).expire_temporary()),
    "change": ("EVAL", lambda desk, _: desk.writer().look(None)),
    "results": ("XREAD", lambda desk, _: _read_results(desk)),
    "is there a rule": ("EXISTS", _names_of_rules),
    "rules": ("HKEYS", _names_of_rules),
    "presets": ("SMEMBERS", lambda desk, _: desk.writer().presets()),
    "history after": ("XRANGE", lambda desk, _: desk.writer().history_after("0", 10)),
}


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
async def far_desk(proxy: Proxy, prefix: str) -> AsyncIterator[Desk]:
    """A desk at the other end of the proxy."""
    async with desk_at(proxy.url, prefix) as desk:
        yield desk


@pytest.mark.fault("replies are made up: other shapes, errors of no known kind", "D05")
@pytest.mark.parametrize("name", _WORK)
async def test_nonsense_is_a_broken_connection(far_desk: Desk, proxy: Proxy, name: str) -> None:
    """The true reply comes after the nonsense. Any exception but a RedisError would be a bug."""
    command, work = _WORK[name]
    stream = far_desk.consumer("one")
    await stream.open()
    do = partial(work, far_desk, stream)
    truth = await do()
    told = 0
    for words in NONSENSE:
        proxy.on_command(command, lambda link, words=words: link.say(words))  # type: ignore[misc]
        try:
            await do()
        except RedisError:
            told += 1
        proxy.forget_rules()

        async def is_well() -> bool:
            try:
                return type(await do()) is type(truth)
            except RedisError:
                return False

        await wait_until(is_well, timeout_s=_SOON_S, what="the server is understood again")
    assert told >= len(NONSENSE) // 2


async def test_messages_of_another_shape_end_the_subscription(far_desk: Desk, proxy: Proxy) -> None:
    for words in (b"*1\r\n$8\r\npmessage\r\n", b"*4\r\n$8\r\npmessage\r\n:1\r\n:2\r\n:3\r\n", b":5\r\n", b"*0\r\n"):
        notifications = far_desk.weights().notifications()
        assert (await anext(notifications)).resync
        proxy.say(words, using="PSUBSCRIBE")
        with pytest.raises(RedisError, match=r"Redis at \S+ is not reachable: the (reply|server)"):
            await anext(notifications)


@pytest.mark.parametrize("topology", [under_sentinel, as_cluster, on_socket])
async def test_a_client_of_any_kind_connects_anew(tmp_path: Path, topology: Topology) -> None:
    with topology(tmp_path, redis_binaries()["valkey"]) as url:
        async with connect(url, timeout_s=_SOON_S) as client:
            before = await client.execute_command("CLIENT ID", target_nodes="random")
            with pytest.raises(redis.exceptions.InvalidResponse, match="no reply to it"):
                async with closing_if_misread(client):
                    raise TypeError
            assert await client.execute_command("CLIENT ID", target_nodes="random") != before


@pytest.mark.parametrize("fields", [[b"size"], [b"size", 8], b"size", 8, [None, None]])
def test_entries_are_fields_and_values(fields: object) -> None:
    with pytest.raises(TypeError):
        read_entries([(b"1-0", [b"size", b"8"]), (b"2-0", fields)])


def test_entries_that_were_deleted_have_no_fields() -> None:
    assert read_entries([(b"1-0", None), (b"2-0", [b"", b""])]) == [Entry("1-0", ()), Entry("2-0", [b"", b""])]


@pytest.mark.parametrize(
    "ids",
    [[b"-5"], [b"5-"], [b"1-0", b"-"], [b"5"], [b""], [b"1-0 2-0"], [b"1-0", b"1-0"], [b"a-1"], [b"-1", b"2-0"]],
    ids=repr,
)
def test_ids_that_are_none_or_come_twice_are_refused(ids: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"an id is two numbers|an entry comes once"):
        check_ids(ids)


@pytest.mark.parametrize("ids", [[], [b"1-0"], [b"1-0", b"2-33", b"1795934042961-7"]], ids=repr)
def test_ids_of_entries_are_accepted(ids: list[bytes]) -> None:
    check_ids(ids)
