"""Which pending entries are tried again, in which company, and when they are given up on."""

from pathlib import Path

import pytest

from tests.support.log_lines import captured_log
from tests.support.streams import Desk
from worker.adapters.redis_streams import RedisStreams
from worker.core.keys import GROUP
from worker.core.wire import Entry
from worker.errors import GroupMissingError
from worker.recovery import Recovery, Rescued

_NOW_MS = 10
_HOUR_MS = 3_600_000


async def _deliver(desk: Desk, stream: RedisStreams, *deliveries: int) -> list[str]:
    """Add an entry for each number, which then is how often it was delivered."""
    ids = await desk.add_many(len(deliveries))
    await stream.read(len(ids), _NOW_MS)
    for entry_id, count in zip(ids, deliveries, strict=True):
        words = ("XCLAIM", desk.keys.requests, GROUP, "one", 0, entry_id, "RETRYCOUNT", count, "JUSTID")
        await desk.client.execute_command(*words)
    return ids


async def _rescued(recovery: Recovery) -> list[Rescued]:
    return [rescued async for rescued in recovery.entries(())]


async def test_fresh_entries_come_together_suspects_alone_and_hopeless_ones_to_be_given_up(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 2, 1, 4, 5, 1, 3)
    rescued = await _rescued(Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=4))
    assert [[entry.id for entry in one.entries] for one in rescued] == [
        [ids[0], ids[2], ids[5]],
        [ids[1]],
        [],
        [],
        [ids[6]],
    ]
    assert [[entry.id for entry in one.given_up] for one in rescued] == [[], [], [ids[3]], [ids[4]], []]
    delivered = {entry.id: entry.deliveries for one in rescued for entry in (*one.entries, *one.given_up)}
    assert [delivered[entry_id] for entry_id in ids] == [2, 3, 2, 4, 5, 2, 4]
    assert [pending.deliveries for pending in await stream.pending()] == [2, 3, 2, 4, 5, 2, 4]


async def test_many_fresh_entries_come_in_groups(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(600)
    await stream.read(600, _NOW_MS)
    rescued = await _rescued(Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5))
    assert [len(one.entries) for one in rescued] == [256, 256, 88]
    assert [entry.id for one in rescued for entry in one.entries] == ids


async def test_with_one_delivery_allowed_nothing_is_tried_again(desk: Desk, stream: RedisStreams) -> None:
    ids = await _deliver(desk, stream, 1, 1, 2)
    rescued = await _rescued(Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=1))
    assert [[entry.id for entry in one.given_up] for one in rescued] == [ids[:2], ids[2:]]
    assert not any(one.entries for one in rescued)


async def test_an_entry_that_was_deleted_is_neither_tried_nor_given_up(desk: Desk, stream: RedisStreams) -> None:
    ids = await _deliver(desk, stream, 1, 1, 9)
    await desk.client.xdel(desk.keys.requests, ids[0], ids[2])
    rescued = await _rescued(Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5))
    assert [entry.id for one in rescued for entry in (*one.entries, *one.given_up)] == [ids[1]]


async def test_what_failed_a_moment_ago_is_left_alone_until_the_idle_time_is_over(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 1)
    patient = Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    patient.note_failure(ids[0], "internal", "why")
    assert [entry.id for one in await _rescued(patient) for entry in one.entries] == [ids[1]]
    idle = ("XCLAIM", desk.keys.requests, GROUP, "one", 0, ids[0], "IDLE", 2 * _HOUR_MS, "JUSTID")
    await desk.client.execute_command(*idle)
    assert ids[0] in [entry.id for one in await _rescued(patient) for entry in one.entries]


async def test_failures_are_forgotten_when_told_and_when_the_entry_is_no_longer_pending_here(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 1, 1)
    recovery = Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    recovery.forget(ids)
    for entry_id in ids:
        recovery.note_failure(entry_id, "internal", "why")
    recovery.forget([ids[0], "1-1"])
    await desk.client.xack(desk.keys.requests, GROUP, ids[1])
    await _rescued(recovery)
    assert list(recovery._failures) == [ids[2]]


async def test_looking_is_due_at_first_then_after_a_pause_or_on_demand(desk: Desk, stream: RedisStreams) -> None:
    recovery = Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    assert recovery.is_due()
    assert await _rescued(recovery) == []
    assert not recovery.is_due()
    recovery.demand()
    assert recovery.is_due()
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    with pytest.raises(GroupMissingError):
        await _rescued(recovery)
    assert recovery.is_due()


@pytest.mark.parametrize("failure", [None, ("internal", "the worker failed with ZeroDivisionError")])
def test_giving_up_says_why(stream: RedisStreams, failure: tuple[str, str] | None) -> None:
    recovery = Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    entry = Entry("7-1", (b"reply_to", b"job", b"request_id", b"mine", b"size", b"x"), 6)
    if failure:
        recovery.note_failure(entry.id, *failure)
    code, why = failure or ("too_many_deliveries", "no worker lived to answer it")
    message = f"the request was delivered 6 times without an answer: {why}; accepted: at most 5 deliveries"
    result, letter = recovery.give_up(entry)
    assert (result.entry_id, result.request_id, result.reply_to, result.error) == ("7-1", "mine", "job", code)
    assert result.message == message
    added = ("entry_id", "7-1", "error", code, "message", message, "deliveries", "6")
    assert tuple(letter) == (*entry.fields, *added)


def test_few_of_many_that_are_given_up_on_get_a_line(stream: RedisStreams, tmp_path: Path) -> None:
    recovery = Recovery(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    with captured_log(tmp_path) as log:
        letters = [recovery.give_up(Entry(f"{i + 1}-1", (), 5)) for i in range(1000)]
    assert len({result.entry_id for result, _ in letters}) == 1000
    assert [line["entry_id"] for line in log.of("request.dead_lettered")] == [f"{i + 1}-1" for i in range(5)]
