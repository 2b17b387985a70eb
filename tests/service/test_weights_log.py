"""A change of weights is logged with who made it and why, and comes into force without waiting for that."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk
from tests.support.tasks import endless
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, wired
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.events import WeightsChanged
from worker.core.weights.authors import AppliedChange
from worker.core.weights.changes import PlannedChange, StoredWeights, WantedChange, plan_change, plan_return
from worker.core.weights.history import Authorship
from worker.core.weights.in_force import mark_of
from worker.ports import Reading
from worker.service.snapshots import WeightsBook
from worker.service.weights_feed import WeightsFeed
from worker.service.weights_log import WeightsLog
from worker.service.wiring import Serving, redis_availability


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


class Writer:
    """Somebody who changes weights through the history."""

    def __init__(self, desk: Desk) -> None:
        self._writer = RedisWeightsWriter(desk.client, desk.keys)

    async def set(self, value: str | None, who: str, *, name: str | None = None, lasts_ms: int | None = None) -> str:
        """Store weights, and return the id of the entry."""
        wanted = WantedChange(value, who, f"{who} said so", lasts_ms=lasts_ms, lasts="a moment")
        change = await self._writer.change(name, lambda found: plan_change(found, wanted))
        assert change is not None
        return change.id

    async def give_way(self) -> str:
        """Make the due return of temporary weights."""
        change = await self._writer.change(None, _return_at_last)
        assert change is not None
        return change.id


def _return_at_last(found: StoredWeights) -> PlannedChange | None:
    return plan_return(replace(found, now_ms=found.now_ms + 10_000_000))


@asynccontextmanager
async def _feeding(url: str, prefix: str) -> AsyncIterator[Serving]:
    async with wired(url, prefix) as parts, anyio.create_task_group() as loops:
        with anyio.fail_after(DONE_S):
            await loops.start(endless, parts.weights.run)
        try:
            yield parts
        finally:
            loops.cancel_scope.cancel()


async def _told(log: LogLines, count: int) -> list[tuple[Any, ...]]:
    await wait_until(
        lambda: len(log.of("weights.changed")) >= count, timeout_s=DONE_S, what=f"{count} changes are logged"
    )
    return [(line["who"], line["reason"], line["entry"]) for line in log.of("weights.changed")]


async def test_who_only_has_the_log_finds_when_voice_was_set_to_zero_and_who_did_it(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    writer = Writer(desk)
    first = await writer.set('{"voice": 1, "music": 1}', "ann")
    async with _feeding(redis_url, prefix) as parts:
        await _told(log, 1)
        await wait_until(lambda: desk.client.execute_command("PUBSUB", "NUMPAT"), timeout_s=DONE_S, what="it listens")
        guilty = await writer.set('{"voice": 0, "music": 1}', "bob")
        await _told(log, 2)
        await desk.weights().store_quietly(None, '{"voice": 1, "music": 1}')  # as by SET: nobody knows who
        await _told(log, 3)
        brief = await writer.set('{"music": 2, "voice": 1}', "cy", lasts_ms=60_000)
        await _told(log, 4)
        back = await writer.give_way()
        await _told(log, 5)
        await parts.weights.read(["d"])
        own = await writer.set('{"voice": 1}', "dee", name="d")
        gone = await writer.set(None, "eve", name="d")
        assert await _told(log, 7) == [
            ("ann", "ann said so", first),
            ("bob", "bob said so", guilty),
            (None, None, None),
            ("cy", "cy said so", brief),
            ("cy", "return after a moment", back),
            ("dee", "dee said so", own),
            ("eve", "eve said so", gone),
        ]
    lines = log.of("weights.changed")
    zero = next(line for line in lines[1:] if "voice" not in line["after"])
    assert (zero["who"], zero["timestamp"] > lines[0]["timestamp"]) == ("bob", True)
    assert [line["until_ms"] is not None for line in lines] == [False, False, False, True, False, False, False]


async def test_a_burst_of_changes_has_each_its_own_author(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    writer = Writer(desk)
    async with _feeding(redis_url, prefix):
        await wait_until(lambda: desk.client.execute_command("PUBSUB", "NUMPAT"), timeout_s=DONE_S, what="it listens")
        entries = [await writer.set(f'{{"voice": {number}, "music": 1}}', f"w{number}") for number in range(1, 101)]
        await wait_until(
            lambda: [line["entry"] for line in log.of("weights.changed")][-1:] == entries[-1:],
            timeout_s=DONE_S,
            what="the last change is logged",
        )
    told = [(line["entry"], line["who"]) for line in log.of("weights.changed")]
    assert None not in [entry for entry, _ in told]
    assert all(who == f"w{entries.index(entry) + 1}" for entry, who in told)


async def test_without_the_right_to_the_history_that_is_said_and_changes_are_logged_all_the_same(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    await desk.client.execute_command("ACL", "SETUSER", prefix, "on", "nopass", "~*", "&*", "+@all", "-xrevrange")
    try:
        async with _feeding(redis_url.replace("//", f"//{prefix}:x@"), prefix) as parts:
            await Writer(desk).set('{"voice": 1}', "ann")
            await parts.weights.read([None])
            assert await _told(log, 1) == [(None, None, None)]
    finally:
        await desk.client.execute_command("ACL", "DELUSER", prefix)
    [line] = log.of("weights.history_refused")
    assert "history" in line["message"]


class _Silent(RedisWeights):
    """A store whose history never answers."""

    async def authorships(self, *_words: Any, **_most: Any) -> list[Authorship]:
        await anyio.sleep_forever()
        return []


async def test_a_history_that_never_answers_holds_up_neither_the_weights_nor_for_ever_their_lines(
    desk: Desk, log: LogLines
) -> None:
    book = WeightsBook()
    feed = WeightsFeed(_Silent(desk.client, desk.keys), book, redis_availability(), refresh_s=3600.0)
    async with anyio.create_task_group() as loops:
        with anyio.fail_after(DONE_S):
            await loops.start(endless, feed.run)
        for number, value in enumerate((b'{"voice": 1}', b'{"music": 1}'), 1):
            assert feed.accept(None, Reading(mark_of(value), value, order=number + 10))
            assert book.held(None).mark == mark_of(value)
        assert await _told(log, 2) == [(None, None, None)] * 2
        assert feed.accept(None, Reading(mark_of(b"{}"), b"{}", order=20))
        assert len(log.of("weights.changed")) == 2
        loops.cancel_scope.cancel()
    feed.close()
    assert [line["source"] for line in log.of("weights.changed")] == ["redis", "redis", "default"]


async def test_more_changes_than_may_wait_are_logged_at_once_the_oldest_first(desk: Desk, log: LogLines) -> None:
    told = WeightsLog(_Silent(desk.client, desk.keys))
    async with anyio.create_task_group() as loops:
        loops.start_soon(told.run)
        await anyio.lowlevel.checkpoint()
        for number in range(300):
            event = WeightsChanged(dataset=None, version=str(number), source="redis", before=None, after="{}")
            told.tell(AppliedChange(None, b"x"), event)
        assert repr(told) == "<WeightsLog: 256 changes waiting>"
        assert [line["version"] for line in log.of("weights.changed")] == [str(number) for number in range(44)]
        loops.cancel_scope.cancel()
    assert [line["version"] for line in log.of("weights.changed")] == [str(number) for number in range(300)]
