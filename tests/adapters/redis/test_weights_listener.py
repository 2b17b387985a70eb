"""A notified key is read at once; if that reading fails, the change is not lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_listener import WeightsListener
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.ports import Notification, Reading

_SOON_S = 60.0
_RESYNC = Notification(None, resync=True)


@dataclass
class Follower:
    """A follower of all datasets but one, which accepts short values."""

    store: RedisWeights
    accepted: list[tuple[str | None, Reading]] = field(default_factory=list)
    heard: list[Notification] = field(default_factory=list)

    def follows(self, dataset: str | None) -> bool:
        return dataset != "strange"

    def accept(self, dataset: str | None, reading: Reading) -> bool:
        if reading.value is not None and len(reading.value) > 10:
            return False
        self.accepted.append((dataset, reading))
        return True

    async def listen(self) -> None:
        async with aclosing(self.store.notifications(self)) as notifications:  # type: ignore[type-var]
            async for notification in notifications:
                self.heard.append(notification)


@asynccontextmanager
async def _following(desk: Desk) -> AsyncIterator[Follower]:
    """Follow from the subscription on, with the connection for reading open."""
    follower = Follower(desk.weights())
    await follower.store.read([None])
    task = asyncio.create_task(follower.listen())
    try:
        await wait_until(lambda: follower.heard, timeout_s=_SOON_S, what="the subscription is confirmed")
        yield follower
    finally:
        await end(task)


async def _count(follower: Follower, accepted: int, heard: int) -> None:
    await wait_until(
        lambda: (len(follower.accepted), len(follower.heard)) == (accepted, heard),
        timeout_s=_SOON_S,
        what=f"{accepted} readings and {heard} notifications, not {follower}",
    )


async def test_what_a_key_holds_is_handed_on_with_its_number_and_its_notification_is_not(desk: Desk) -> None:
    async with _following(desk) as follower:
        await desk.client.rpush(desk.keys.weights("list"), "x")
        await follower.store.store_quietly("d", "first")
        for dataset in ("list", None):
            await desk.client.publish(desk.keys.weights(dataset), "what a message says is not the truth")
        await _count(follower, 3, 1)
    assert follower.accepted == [
        ("d", Reading(mark_of(b"first"), b"first", order=2)),
        ("list", Reading(WRONG_TYPE, None, order=3)),
        (None, Reading(ABSENT, None, order=4)),
    ]


async def test_what_is_not_accepted_is_heard_and_what_nobody_follows_is_not(desk: Desk) -> None:
    async with _following(desk) as follower:
        await follower.store.store_quietly("strange", "short")
        await follower.store.store_quietly("d", "too long for this one")
        await _count(follower, 0, 2)
        await follower.store.store_quietly("d", "short")
        await _count(follower, 1, 2)
    assert follower.heard == [_RESYNC, Notification("d")]


async def test_a_notification_is_heard_where_its_key_cannot_be_read(desk: Desk, redis_url: str) -> None:
    async with _following(desk) as follower:
        follower.store.close()
        await desk.client.publish(desk.keys.weights("closed"), "")
        await _count(follower, 0, 2)
    assert follower.heard[1:] == [Notification("closed")]
    name = desk.keys.prefix
    await desk.client.execute_command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all")
    try:
        async with desk_at(redis_url.replace("//", f"//{name}:x@"), name) as other, _following(other) as follower:
            await desk.client.execute_command("ACL", "SETUSER", name, "-get")
            await desk.client.publish(desk.keys.weights("denied"), "")
            await _count(follower, 0, 2)
            assert follower.heard[1:] == [Notification("denied")]
    finally:
        await desk.client.execute_command("ACL", "DELUSER", name)


async def test_where_too_many_notifications_wait_one_stands_for_all(desk: Desk) -> None:
    listener = WeightsListener(desk.client, desk.keys, desk.weights().read_at_once, None)
    notifications = listener.listen()
    assert await anext(notifications) == _RESYNC
    pipeline = desk.client.pipeline(transaction=False)
    for number in range(1002):
        pipeline.publish(desk.keys.weights(f"d{number}"), "")
    await pipeline.execute()
    await listener._subscription.call("PING")  # its reply comes behind the messages
    heard = [await anext(notifications) for _ in range(2)]
    assert heard == [_RESYNC, Notification("d1001")]
    await notifications.aclose()  # type: ignore[attr-defined]
