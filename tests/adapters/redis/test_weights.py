"""Weights on real servers: one step to store them, and no change without a notification or a resync."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect
from worker.adapters.redis.weights import RedisWeights
from worker.core.keys import Keys
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.embedded import RedisServer
from worker.errors import RedisError
from worker.ports import Notification, Reading

_SOON_S = 60.0
_RESYNC = Notification(None, resync=True)


@pytest.fixture
async def store(desk: Desk) -> RedisWeights:
    return desk.weights()


@asynccontextmanager
async def _listening(store: RedisWeights) -> AsyncIterator[tuple[list[Notification], asyncio.Task[None]]]:
    """Collect notifications from the first one on, which is that of the subscription."""
    heard: list[Notification] = []

    async def listen() -> None:
        async with aclosing(store.notifications()) as notifications:  # type: ignore[type-var]
            async for notification in notifications:
                heard.append(notification)  # noqa: PERF401 - each is looked at as it comes

    task = asyncio.create_task(listen())
    try:
        await wait_until(lambda: heard, timeout_s=_SOON_S, what="the subscription is confirmed")
        yield heard, task
    finally:
        await end(task)


async def _hears(heard: list[Notification], count: int) -> None:
    await wait_until(lambda: len(heard) >= count, timeout_s=_SOON_S, what=f"{count} notifications, not {heard}")


# -- keys ------------------------------------------------------------------------------------------------------


async def test_a_reading_tells_what_a_key_holds(desk: Desk, store: RedisWeights) -> None:
    await desk.client.set(desk.keys.weights(), b'{"voice": 1}\xff')
    await desk.client.set(desk.keys.weights("empty"), b"")
    await desk.client.rpush(desk.keys.weights("list"), "x")
    assert await store.read([None, "absent", "empty", "list"]) == [
        Reading(mark_of(b'{"voice": 1}\xff'), b'{"voice": 1}\xff', order=1),
        Reading(ABSENT, None, order=1),
        Reading(mark_of(b""), b"", order=1),
        Reading(WRONG_TYPE, None, order=1),
    ]
    assert await store.read([]) == []


async def test_another_refusal_is_an_error(desk: Desk, redis_url: str) -> None:
    name = desk.keys.prefix
    await desk.client.execute_command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", "-get")
    try:
        async with desk_at(redis_url.replace("//", f"//{name}:x@"), name) as denied:
            with pytest.raises(RedisError, match="reading the weights"):
                await denied.weights().read([None])
    finally:
        await desk.client.execute_command("ACL", "DELUSER", name)


@pytest.mark.parametrize("dataset", [None, "d"])
async def test_weights_stored_quietly_notify_and_leave_no_note(
    desk: Desk, store: RedisWeights, dataset: str | None
) -> None:
    async with _listening(store) as (heard, _):
        await store.store_quietly(dataset, "value")
        await _hears(heard, 2)
        assert heard == [_RESYNC, Notification(dataset)]
    assert await desk.client.get(desk.keys.weights(dataset)) == b"value"
    assert await desk.client.exists(desk.keys.history) == 0


async def test_removing_takes_the_key_away_and_notifies(desk: Desk, store: RedisWeights) -> None:
    await desk.client.set(desk.keys.weights("d"), "value")
    await desk.client.set(desk.keys.weights(), "kept")
    async with _listening(store) as (heard, _):
        await store.remove("d")
        await store.remove("d")
        await _hears(heard, 3)
        assert heard == [_RESYNC, Notification("d"), Notification("d")]
    assert [(one.mark, one.value) for one in await store.read([None, "d"])] == [
        (mark_of(b"kept"), b"kept"),
        (ABSENT, None),
    ]


# -- notifications -----------------------------------------------------------------------------------------------------


async def test_any_message_on_the_channel_of_a_key_is_a_notification_and_other_channels_are_not(
    desk: Desk, store: RedisWeights
) -> None:
    shared = desk.keys.weights()
    foreign = (
        f"{shared}-other",
        f"{shared}:",
        f"{shared}:a:b",
        f"{shared}:{'x' * 65}",
        f"{shared}:ä",
        f"{shared}s:dataset",
        f"other:{shared}",
        desk.keys.requests,
    )
    async with _listening(store) as (heard, _):
        for channel in (*foreign, shared, f"{shared}:one", b"%s:\xff" % shared.encode(), f"{shared}:{'y' * 64}"):
            await desk.client.publish(channel, b"\xff anything")
        await _hears(heard, 4)
        assert heard == [_RESYNC, Notification(None), Notification("one"), Notification("y" * 64)]


async def test_a_lost_subscription_is_told_by_an_error_or_by_another_resync(desk: Desk, store: RedisWeights) -> None:
    for _ in range(3):
        async with _listening(store) as (heard, task):
            await desk.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await wait_until(lambda: task.done() or len(heard) > 1, timeout_s=_SOON_S, what="the loss is noticed")
            assert heard[1:] in ([], [_RESYNC])
            if task.done():
                assert isinstance(task.exception(), RedisError)


async def _stop(server: RedisServer) -> None:
    os.kill(server.pid, signal.SIGSTOP)


async def _kill(server: RedisServer) -> None:
    server.kill()


@pytest.mark.parametrize("harm", [_kill, _stop])
async def test_a_server_that_dies_or_falls_silent_is_an_error(
    tmp_path: Path, harm: Callable[[RedisServer], Any]
) -> None:
    with RedisServer(tmp_path) as server:
        client = connect(server.url, timeout_s=1.0)
        async with _listening(RedisWeights(client, Keys("p"))) as (_, task):
            await harm(server)
            await wait_until(task.done, timeout_s=30.0, what="the silence is noticed")
            assert isinstance(task.exception(), RedisError)
        with pytest.raises(RedisError):
            await RedisWeights(client, Keys("p")).read([None])
        await client.aclose()


async def test_a_quiet_subscription_stays(desk: Desk, store: RedisWeights) -> None:
    """The subscription sends PING, and stays open beyond the time limit for the PONG."""
    async with _listening(store) as (heard, task):
        before = await _pings(desk)
        await wait_until(lambda: _pinged(desk, before), timeout_s=_SOON_S, what="the subscription said PING")
        await desk.client.publish(desk.keys.weights("after"), "")
        await _hears(heard, 2)
        assert (heard, task.done()) == ([_RESYNC, Notification("after")], False)


async def _pings(desk: Desk) -> int:
    stats = await desk.client.info("commandstats")
    return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])


async def _pinged(desk: Desk, before: int) -> bool:
    return await _pings(desk) > before
