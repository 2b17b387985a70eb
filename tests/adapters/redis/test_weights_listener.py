"""Values taken in at once: nothing that a bell stands for gets lost on the way, whatever becomes of the reading."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_listener import RedisBells
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.ports import Bell, Reading

_SOON_S = 5.0
_RESYNC = Bell(None, resync=True)


@dataclass
class Follower:
    """Follow all datasets but one, and take in what is short."""

    store: RedisWeights
    taken: list[tuple[str | None, Reading]] = field(default_factory=list)
    heard: list[Bell] = field(default_factory=list)

    def follow(self, dataset: str | None) -> Callable[[Reading], bool] | None:
        return None if dataset == "strange" else lambda reading: self._take(dataset, reading)

    def _take(self, dataset: str | None, reading: Reading) -> bool:
        if reading.value is not None and len(reading.value) > 10:
            return False
        self.taken.append((dataset, reading))
        return True

    async def listen(self) -> None:
        async with aclosing(self.store.bells(self.follow)) as bells:  # type: ignore[type-var]
            async for bell in bells:
                self.heard.append(bell)


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


async def _count(follower: Follower, taken: int, heard: int) -> None:
    await wait_until(
        lambda: (len(follower.taken), len(follower.heard)) == (taken, heard),
        timeout_s=_SOON_S,
        what=f"{taken} values were taken in and {heard} bells heard, not {follower}",
    )


async def test_what_a_key_holds_is_handed_on_and_its_bell_is_not(desk: Desk) -> None:
    async with _following(desk) as follower:
        await desk.client.rpush(desk.keys.weights("list"), "x")
        await follower.store.store_quietly("d", "first")
        for dataset in ("list", None):
            await desk.client.publish(desk.keys.weights(dataset), "what a message says is not the truth")
        await _count(follower, 3, 1)
    assert follower.taken == [
        ("d", Reading(mark_of(b"first"), b"first")),
        ("list", Reading(WRONG_TYPE, None)),
        (None, Reading(ABSENT, None)),
    ]


async def test_what_is_not_taken_in_is_heard_and_what_nobody_follows_is_not(desk: Desk) -> None:
    async with _following(desk) as follower:
        await follower.store.store_quietly("strange", "short")
        await follower.store.store_quietly("d", "too long for this one")
        await _count(follower, 0, 2)
        await follower.store.store_quietly("d", "short")
        await _count(follower, 1, 2)
    assert follower.heard == [_RESYNC, Bell("d")]


async def test_a_bell_is_heard_where_its_key_cannot_be_read(desk: Desk, redis_url: str) -> None:
    async with _following(desk) as follower:
        follower.store.close()
        await desk.client.publish(desk.keys.weights("closed"), "")
        await _count(follower, 0, 2)
    assert follower.heard[1:] == [Bell("closed")]
    name = desk.keys.prefix
    await desk.client.execute_command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all")
    try:
        async with desk_at(redis_url.replace("//", f"//{name}:x@"), name) as other, _following(other) as follower:
            await desk.client.execute_command("ACL", "SETUSER", name, "-get")
            await desk.client.publish(desk.keys.weights("denied"), "")
            await _count(follower, 0, 2)
            assert follower.heard[1:] == [Bell("denied")]
    finally:
        await desk.client.execute_command("ACL", "DELUSER", name)


async def test_where_too_many_bells_wait_one_stands_for_all(desk: Desk) -> None:
    ring = RedisBells(desk.client, desk.keys, DirectConnection(desk.client, desk.keys.weights()), None)
    bells = ring.listen()
    assert await anext(bells) == _RESYNC
    pipeline = desk.client.pipeline(transaction=False)
    for number in range(1002):
        pipeline.publish(desk.keys.weights(f"d{number}"), "")
    await pipeline.execute()
    await ring._subscription.call("PING")  # its reply comes behind the messages
    heard = [await anext(bells) for _ in range(2)]
    assert heard == [_RESYNC, Bell("d1001")]
    await bells.aclose()  # type: ignore[attr-defined]
