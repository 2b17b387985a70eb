"""Commands while a slot is moved: they wait for their keys, and then go where the cluster says."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import redis.exceptions

from tests.support.clusters import Cluster, call, clustered
from tests.support.servers import redis_binaries, running
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.errors import RedisError

_FIRST, _SECOND = "{moved}:1", "{moved}:2"
_OF_REDIS_PY = 16
"""So often redis-py sends a command that does not find its keys."""
_LONG_S, _SHORT_S = 30.0, 0.2
_BOTH = ("EVAL", "return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[2])", 2, _FIRST, _SECOND)
_UNNAMED = ("EVAL", "return redis.call('GET', KEYS[1]) .. redis.call('GET', ARGV[1])", 1, _SECOND, _FIRST)
_ALONE = ("GET", _FIRST)


@pytest.fixture
def redis_binary(request: pytest.FixtureRequest) -> Path:
    return redis_binaries()[request.param]


@pytest.fixture
def cluster(redis_binary: Path) -> Iterator[Cluster]:
    with running(lambda folder: clustered(folder, redis_binary, _FIRST)) as cluster:
        yield cluster


@asynccontextmanager
async def _direct(cluster: Cluster, timeout_s: float) -> AsyncIterator[DirectConnection]:
    async with connect(cluster.url, timeout_s=timeout_s) as client:
        direct = DirectConnection(client, _FIRST)
        try:
            await direct.call("SET", _FIRST, "a")
            await direct.call("SET", _SECOND, "b")
            yield direct
        finally:
            direct.close()


async def test_commands_wait_while_their_keys_are_split_and_then_follow(cluster: Cluster) -> None:
    async with _direct(cluster, _LONG_S) as direct:
        before = direct.address
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)  # the first key is there, and the second is here
        waiting = [direct.send(*words) for words in (_BOTH, _UNNAMED, _ALONE)]
        assert await direct.call("GET", _SECOND) == b"b"
        assert not any(reply.done() for reply in waiting)
        await asyncio.to_thread(list, move)
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, redis.exceptions.MovedError)
        assert [await direct.call(*words) for words in (_BOTH, _UNNAMED, _ALONE)] == [b"ab", b"ba", b"a"]
        assert direct.address == ("127.0.0.1", cluster.others[1].port) != before


async def test_who_waits_gets_an_error_where_the_connection_is_closed_and_opened_meanwhile(cluster: Cluster) -> None:
    async with _direct(cluster, _LONG_S) as direct:
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)
        waiting = [direct.send(*_BOTH) for _ in range(20)]
        assert await direct.call("GET", _SECOND) == b"b"  # so all of them have been put off
        direct.close()
        await direct.open()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, redis.exceptions.ConnectionError)


async def test_whoever_waits_for_too_long_is_told_why(cluster: Cluster) -> None:
    async with _direct(cluster, _SHORT_S) as direct:
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)
        for words in (_BOTH, _UNNAMED, _ALONE):
            with (
                pytest.raises(RedisError, match="the slot of its keys is moved to another node"),
                redis_errors("a command"),
            ):
                await direct.call(*words)
        assert direct.is_open


async def test_whoever_waits_learns_that_the_connection_is_closed(cluster: Cluster) -> None:
    async with _direct(cluster, _LONG_S) as direct:
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)
        waiting = direct.send(*_BOTH)
        direct.close()
        with pytest.raises(redis.exceptions.ConnectionError, match="closed here"):
            await waiting


async def test_a_client_without_a_connection_of_its_own_waits_as_well(cluster: Cluster) -> None:
    """Verbs use such a client; redis-py alone gives up after half a second."""
    async with _direct(cluster, _LONG_S), connect(cluster.url, timeout_s=_LONG_S) as client:
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)
        waiting = asyncio.create_task(client.execute_command(*_BOTH))
        refusals = partial(_refusals, cluster)
        await wait_until(lambda: refusals() > _OF_REDIS_PY, timeout_s=_LONG_S, what="redis-py alone would give up")
        assert not waiting.done()
        await asyncio.to_thread(list, move)
        assert await waiting == b"ab"


def _refusals(cluster: Cluster) -> int:
    """Count how often the nodes have said TRYAGAIN."""
    found = [call(node, "INFO", "errorstats") for node in cluster.nodes]
    return sum(about["errorstat_TRYAGAIN"]["count"] for about in found if "errorstat_TRYAGAIN" in about)


async def test_such_a_client_is_told_why_it_has_waited_for_too_long(cluster: Cluster) -> None:
    async with _direct(cluster, _LONG_S), connect(cluster.url, timeout_s=_SHORT_S) as client:
        move = cluster.moving(first=_FIRST)
        for _ in range(2):
            await asyncio.to_thread(next, move)
        with (
            pytest.raises(RedisError, match="the slot of its keys is moved to another node"),
            redis_errors("a command"),
        ):
            await client.execute_command(*_BOTH)
