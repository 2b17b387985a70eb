"""Temporary weights give way while any worker lives, and a refusal is no reason for one to stop serving."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, redis_availability
from worker.core.events import WeightsRevertRefused
from worker.core.weights.changes import WantedChange, plan_change
from worker.embedded import RedisServer
from worker.service.availability import Availability
from worker.service.housekeeping import HousekeepingTask
from worker.service.supervisor import unending

_MUSIC = '{"music": 1}'
_OFTEN_S = 0.01


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@asynccontextmanager
async def _looking(desk: Desk, availability: Availability, workers: int = 1) -> AsyncIterator[None]:
    tasks = [
        HousekeepingTask(
            "weights returns", desk.writer().give_back, availability, every_s=_OFTEN_S, refusal=WeightsRevertRefused
        )
        for _ in range(workers)
    ]
    loops = [asyncio.create_task(unending(task.run)) for task in tasks]
    try:
        yield
    finally:
        bugs = [one for one in await end(*loops) if isinstance(one, Exception)]
        assert not bugs, bugs


async def _set_for(desk: Desk, milliseconds: int, name: str | None = None) -> None:
    order = WantedChange(_MUSIC, "ann", "", milliseconds, f"{milliseconds} ms")
    assert await desk.writer().change(name, lambda found: plan_change(found, order))


async def _has_returned(desk: Desk, name: str | None = None) -> None:
    async def is_gone() -> bool:
        return not await desk.client.exists(desk.keys.weights(name), desk.keys.returns)

    await wait_until(is_gone, timeout_s=DONE_S, what="the temporary weights have given way")


async def test_of_many_workers_one_makes_each_return(desk: Desk) -> None:
    async with _looking(desk, redis_availability(), workers=4):
        for name in (None, "a", "b"):
            await _set_for(desk, 20, name)
        for name in (None, "a", "b"):
            await _has_returned(desk, name)
    returned = [change async for change in desk.writer().history() if change.returned_ms]
    assert sorted(change.name or "" for change in returned) == ["", "a", "b"]
    assert all(change.at_ms >= change.returned_ms for change in returned if change.returned_ms)


async def test_a_refusal_is_told_once_and_the_return_is_made_when_it_can_be(desk: Desk, log: LogLines) -> None:
    availability = redis_availability()
    await _set_for(desk, 1)
    await desk.client.rename(desk.keys.history, f"{desk.keys.prefix}:kept")
    await desk.client.set(desk.keys.history, "of another type")
    async with _looking(desk, availability):
        await wait_until(lambda: log.of("weights.revert_refused"), timeout_s=DONE_S, what="the refusal is told")
        assert await desk.client.exists(desk.keys.weights())
        assert availability.is_up
        await desk.client.delete(desk.keys.history)
        await _has_returned(desk)
    [line] = log.of("weights.revert_refused")
    assert "WRONGTYPE" in line["message"]
    assert line["level"] == "error"
    assert log.of("redis.lost") == []


async def test_while_redis_is_away_the_link_is_lost_and_what_is_due_comes_after(tmp_path: Path, log: LogLines) -> None:
    with RedisServer(tmp_path) as server:
        async with desk_at(server.url, "p") as desk:
            availability = redis_availability()
            async with _looking(desk, availability):
                await wait_until(lambda: availability.is_up, timeout_s=DONE_S, what="Redis answers")
                server.kill()
                await wait_until(lambda: not availability.is_up, timeout_s=DONE_S, what="Redis is missed")
                server.start()
                await wait_until(lambda: availability.is_up, timeout_s=DONE_S, what="Redis is found again")
                await _set_for(desk, 1)
                await _has_returned(desk)
    assert (len(log.of("redis.lost")), len(log.of("redis.restored"))) == (1, 1)
    assert log.of("weights.revert_refused") == []
