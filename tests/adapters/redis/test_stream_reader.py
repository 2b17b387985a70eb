"""A settling and the next read in one packet, on real servers: every promise still holds."""

from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.support.proxy import Link, Proxy
from tests.support.streams import Desk, batch_of, desk_at, result_of
from tests.support.waiting import wait_until
from worker.adapters.redis.settling import MOST_FEW
from worker.adapters.redis.streams import RedisStreams
from worker.core.weights.in_force import ABSENT, mark_of
from worker.errors import RedisUnreachableError
from worker.ports import NextRead

_NOW_MS = 10
_SOON_S = 60.0
_NEXT = NextRead(10, 3000)


async def _read(desk: Desk, stream: RedisStreams, requests: int = 1) -> list[str]:
    """Add requests, and read them."""
    ids = await desk.add_many(requests)
    assert [entry.id for entry in await stream.read(requests, _NOW_MS)] == ids
    return ids


async def test_what_comes_after_a_settling_is_read_behind_it(desk: Desk, stream: RedisStreams) -> None:
    [first] = await _read(desk, stream)
    assert (await stream.settle(batch_of([result_of(first)]), _NEXT)).is_done
    assert stream.is_reading_ahead
    later = await desk.add_many(2)
    assert [entry.id for entry in await stream.read(10, _NOW_MS)] == later[:1]  # it waited, and returns with the first
    assert not stream.is_reading_ahead
    assert [entry.id for entry in await stream.read(10, _NOW_MS)] == later[1:]
    assert [result["entry_id"] for result in await desk.results()] == [first]


async def test_both_are_sent_in_one_packet(redis_url: str, prefix: str) -> None:
    together: list[Link] = []
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        async with desk_at(proxy.url, prefix) as desk:
            stream = desk.consumer("one")
            await stream.open()
            [first] = await _read(desk, stream)
            proxy.on_command("EVALSHA", together.append, holding=b"XREADGROUP")
            assert (await stream.settle(batch_of([result_of(first)]), _NEXT)).is_done
    assert len(together) == 1


@pytest.mark.parametrize("requests", [MOST_FEW + 1, 64])
async def test_many_requests_are_settled_while_a_read_that_was_sent_before_waits(
    desk: Desk, stream: RedisStreams, requests: int
) -> None:
    ids = await _read(desk, stream, requests)
    stream.read_ahead(*_NEXT)
    assert (await stream.settle(batch_of(map(result_of, ids)), _NEXT)).is_done
    assert stream.is_reading_ahead
    [later] = await desk.add_many(1)
    assert [entry.id for entry in await stream.read(10, _NOW_MS)] == [later]


async def test_a_server_that_has_forgotten_the_script_settles_though_a_read_waits(
    desk: Desk, stream: RedisStreams
) -> None:
    [first] = await _read(desk, stream)
    await desk.client.script_flush()
    assert (await stream.settle(batch_of([result_of(first)]), NextRead(10, 60_000))).is_done
    await desk.add_many(1)
    assert len(await stream.read(10, _NOW_MS)) == 1


async def test_what_the_small_script_leaves_is_settled_though_a_read_waits(desk: Desk, stream: RedisStreams) -> None:
    [first] = await _read(desk, stream)
    await desk.client.set(desk.keys.weights(), '{"voice": 1}')
    settled = await stream.settle(batch_of([result_of(first)], marks=[(None, ABSENT)]), NextRead(10, 60_000))
    assert settled.stale == {None: mark_of(b'{"voice": 1}')}
    assert (await stream.settle(batch_of([result_of(first)]))).is_done
    assert (await stream.settle(batch_of([result_of(first)]))).lost == (first,)
    await desk.add_many(1)
    assert len(await stream.read(10, _NOW_MS)) == 1


async def test_a_lost_reply_is_told_once_and_what_the_read_delivered_is_pending(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        async with desk_at(proxy.url, prefix) as beyond:
            stream = beyond.consumer("one")
            await stream.open()
            [known] = await _read(desk, stream)
            assert (await stream.settle(batch_of([result_of(known)]))).is_done
            [first] = await _read(desk, stream)
            [later] = await desk.add_many(1)
            proxy.on_reply("EVALSHA", Link.cut)
            with pytest.raises(RedisUnreachableError):
                await stream.settle(batch_of([result_of(first)]), _NEXT)
            assert not stream.is_reading_ahead
            await wait_until(
                partial(_is_pending, desk, 1), timeout_s=_SOON_S, what="the read has delivered the second request"
            )
            assert (await stream.settle(batch_of([result_of(first)]))).lost == (first,)
            assert [entry.id for entry in await stream.pending()] == [later]


async def _is_pending(desk: Desk, count: int) -> bool:
    return await desk.pending() == count
