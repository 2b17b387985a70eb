"""The backlog is exact after entries were taken back or settled out of order. XINFO's `lag` is not."""

import random

import pytest

from tests.support.streams import Desk, batch_of, result_of
from worker.adapters.redis.streams import RedisStreams
from worker.core.keys import GROUP
from worker.errors import GroupMissingError
from worker.ports import Backlog

_NOW_MS = 10


class _Walk:
    """A random walk of what workers and clients do to the stream; it remembers waiting and pending entries."""

    def __init__(self, desk: Desk, stream: RedisStreams) -> None:
        self._desk = desk
        self._stream = stream
        self.waiting: list[str] = []
        self.in_hand: list[str] = []

    async def step(self, name: str) -> None:
        """Do one step; no-op where it does not apply."""
        match name:
            case "add":
                self.waiting += await self._desk.add_many(1)
            case "read" if self.waiting:
                read = await self._stream.read(1, _NOW_MS)
                assert [entry.id for entry in read] == self.waiting[:1]
                self.in_hand.append(self.waiting.pop(0))
            case "answer oldest" if self.in_hand:
                await self._stream.settle(batch_of([result_of(self.in_hand.pop(0))]))
            case "answer newest" if self.in_hand:
                await self._stream.settle(batch_of([result_of(self.in_hand.pop())]))
            case "take back oldest" if self.waiting:
                await self._take_back(self.waiting.pop(0))
            case "take back newest" if self.waiting:
                await self._take_back(self.waiting.pop())
            case "take back what is in hand" if self.in_hand:
                await self._take_back(self.in_hand.pop(0))

    async def _take_back(self, entry_id: str) -> None:
        await self._desk.client.xack(self._desk.keys.requests, GROUP, entry_id)
        await self._desk.client.xdel(self._desk.keys.requests, entry_id)

    async def is_told(self) -> bool:
        """Check whether the backlog is what it should be."""
        found = await self._stream.backlog()
        return (found.lag, found.pending) == (len(self.waiting), len(self.in_hand))


_STEPS = (
    "add",
    "read",
    "answer oldest",
    "answer newest",
    "take back oldest",
    "take back newest",
    "take back what is in hand",
)


@pytest.mark.parametrize(
    "steps",
    [
        ("add", "add", "read", "answer oldest", "take back oldest"),
        ("add", "add", "add", "read", "take back oldest", "read"),
        ("add", "read", "answer oldest", "add", "take back oldest"),
        ("add", "add", "read", "take back what is in hand", "take back oldest"),
        (
            *["add"] * 6,
            *["read"] * 2,
            "take back oldest",
            *["answer oldest"] * 2,
            *["read"] * 3,
            *["answer oldest"] * 3,
        ),
    ],
)
async def test_taking_back_leaves_no_phantom(desk: Desk, stream: RedisStreams, steps: tuple[str, ...]) -> None:
    """After these steps, XINFO on Redis 7.0 or Valkey 9.1 counts one waiting entry, and there is none."""
    walk = _Walk(desk, stream)
    for step in steps:
        await walk.step(step)
        assert await walk.is_told()
    assert walk.waiting == []
    assert await desk.client.xlen(desk.keys.requests) == len(walk.in_hand)


async def test_the_backlog_is_exact_at_every_step_of_a_long_walk(desk: Desk, stream: RedisStreams) -> None:
    walk, rng = _Walk(desk, stream), random.Random(1951)
    for number in range(400):
        step = rng.choice(_STEPS)
        await walk.step(step)
        assert await walk.is_told(), f"step {number}, {step}"


async def test_without_a_group_the_backlog_is_not_known(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    await desk.add_many(1)
    with pytest.raises(GroupMissingError):
        await stream.backlog()
    await desk.client.delete(desk.keys.requests)
    with pytest.raises(GroupMissingError):
        await stream.backlog()
    await stream.open()
    assert await stream.backlog() == Backlog(lag=0, pending=0)


async def test_entries_in_hand_that_a_stranger_deleted_make_no_negative_lag(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(3)
    await stream.read(2, _NOW_MS)
    await desk.client.xdel(desk.keys.requests, *ids)
    assert (await stream.backlog()).lag == 0
