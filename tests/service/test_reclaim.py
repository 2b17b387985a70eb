"""Which pending entries are tried again, in which company, and when they are given up on."""

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.streams import RedisStreams
from worker.core.keys import GROUP
from worker.core.wire import Entry
from worker.errors import GroupMissingError
from worker.ports import Failure
from worker.service.reclaim import Reclaim, Reclaimed

_NOW_MS = 10
_HOUR_MS = 3_600_000
_FAILURE = Failure("internal", "the worker failed with ZeroDivisionError")


async def _deliver(desk: Desk, stream: RedisStreams, *deliveries: int) -> list[str]:
    """Add an entry for each number, which then is how often it was delivered."""
    ids = await desk.add_many(len(deliveries))
    await stream.read(len(ids), _NOW_MS)
    for entry_id, count in zip(ids, deliveries, strict=True):
        words = ("XCLAIM", desk.keys.requests, GROUP, "one", 0, entry_id, "RETRYCOUNT", count, "JUSTID")
        await desk.client.execute_command(*words)
    return ids


async def _reclaimed(reclaim: Reclaim) -> list[Reclaimed]:
    return [reclaimed async for reclaimed in reclaim.entries(())]


async def test_fresh_entries_come_together_suspects_alone_and_hopeless_ones_to_be_given_up(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 2, 1, 4, 5, 1, 3)
    reclaimed = await _reclaimed(Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=4))
    assert [[entry.id for entry in one.entries] for one in reclaimed] == [
        [ids[0], ids[2], ids[5]],
        [ids[1]],
        [],
        [],
        [ids[6]],
    ]
    assert [[entry.id for entry in one.given_up] for one in reclaimed] == [[], [], [ids[3]], [ids[4]], []]
    delivered = {entry.id: entry.deliveries for one in reclaimed for entry in (*one.entries, *one.given_up)}
    assert [delivered[entry_id] for entry_id in ids] == [2, 3, 2, 4, 5, 2, 4]
    assert [pending.deliveries for pending in await stream.pending()] == [2, 3, 2, 4, 5, 2, 4]


async def test_while_nothing_is_pending_one_command_says_so(desk: Desk, stream: RedisStreams) -> None:
    class Counted(RedisStreams):
        looks = 0

        async def take_over(self, idle_ms: int) -> list[str]:
            Counted.looks += 1
            return await super().take_over(idle_ms)

    stream.__class__ = Counted
    reclaim = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    await desk.add_many(1)  # waits, and is not pending
    assert (await _reclaimed(reclaim), Counted.looks) == ([], 0)
    [entry] = await stream.read(1, _NOW_MS)
    [reclaimed] = await _reclaimed(reclaim)
    assert ([one.id for one in reclaimed.entries], Counted.looks) == ([entry.id], 1)


async def test_many_fresh_entries_come_in_groups(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(600)
    await stream.read(600, _NOW_MS)
    reclaimed = await _reclaimed(Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5))
    assert [len(one.entries) for one in reclaimed] == [256, 256, 88]
    assert [entry.id for one in reclaimed for entry in one.entries] == ids


async def test_with_one_delivery_allowed_nothing_is_tried_again(desk: Desk, stream: RedisStreams) -> None:
    ids = await _deliver(desk, stream, 1, 1, 2)
    reclaimed = await _reclaimed(Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=1))
    assert [[entry.id for entry in one.given_up] for one in reclaimed] == [ids[:2], ids[2:]]
    assert not any(one.entries for one in reclaimed)


async def test_an_entry_that_was_deleted_is_neither_tried_nor_given_up(desk: Desk, stream: RedisStreams) -> None:
    ids = await _deliver(desk, stream, 1, 1, 9)
    await desk.client.xdel(desk.keys.requests, ids[0], ids[2])
    reclaimed = await _reclaimed(Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5))
    assert [entry.id for one in reclaimed for entry in (*one.entries, *one.given_up)] == [ids[1]]


async def test_what_failed_a_moment_ago_is_left_alone_until_the_idle_time_is_over(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 1)
    patient = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    patient.rest([ids[0]], _FAILURE)
    assert [entry.id for one in await _reclaimed(patient) for entry in one.entries] == [ids[1]]
    idle = ("XCLAIM", desk.keys.requests, GROUP, "one", 0, ids[0], "IDLE", 2 * _HOUR_MS, "JUSTID")
    await desk.client.execute_command(*idle)
    assert ids[0] in [entry.id for one in await _reclaimed(patient) for entry in one.entries]


async def test_an_answer_from_before_a_failure_does_not_end_its_rest(
    desk: Desk, stream: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.adapters.redis.presence._JUST_S", 3600.0)
    reclaim = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    assert await _reclaimed(reclaim) == []
    await stream.show("{}", ttl_s=10)  # nothing is pending, it will say
    ids = await _deliver(desk, stream, 1)
    await reclaim.note_failures(ids, _FAILURE)
    assert await _reclaimed(reclaim) == []
    assert list(reclaim.resting) == ids


async def test_failures_are_forgotten_when_told_and_when_the_entry_is_no_longer_pending_here(
    desk: Desk, stream: RedisStreams
) -> None:
    ids = await _deliver(desk, stream, 1, 1, 1)
    reclaim = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    reclaim.forget(ids)
    await reclaim.note_failures(ids, _FAILURE)
    reclaim.forget([ids[0], "1-1"])
    await desk.client.xack(desk.keys.requests, GROUP, ids[1])
    await _reclaimed(reclaim)
    assert list(reclaim.resting) == [ids[2]]
    assert repr(reclaim) == "<Reclaim not due, 1 entries rest>"


async def test_looking_is_due_at_first_then_after_a_pause_or_on_demand(desk: Desk, stream: RedisStreams) -> None:
    reclaim = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    assert reclaim.is_due()
    assert await _reclaimed(reclaim) == []
    assert not reclaim.is_due()
    reclaim.demand()
    assert reclaim.is_due()
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    with pytest.raises(GroupMissingError):
        await _reclaimed(reclaim)
    assert reclaim.is_due()


@pytest.mark.parametrize("by", ["nobody", "this worker", "another worker", "both", "a stranger"])
async def test_giving_up_says_why_whoever_saw_it(desk: Desk, stream: RedisStreams, by: str) -> None:
    reclaim = Reclaim(stream, idle_ms=_HOUR_MS, max_deliveries=5)
    entry = Entry("7-1", (b"reply_to", b"job", b"request_id", b"mine", b"size", b"x"), 6)
    code, why = (
        "too_many_deliveries",
        "no worker has noted why, as each that had it ended or lost Redis before it could",
    )
    if by in {"this worker", "both"}:
        reclaim.rest([entry.id], Failure("too_many_deliveries", "an earlier failure"))
        code, why = "too_many_deliveries", "an earlier failure"
    if by in {"another worker", "both"}:
        other = Reclaim(desk.consumer("two"), idle_ms=_HOUR_MS, max_deliveries=5)
        await other.note_failures([entry.id], _FAILURE)
        code, why = _FAILURE
    if by == "a stranger":
        await desk.client.set(desk.keys.failure(entry.id), '{"error": "unheard of", "message": "x"}')
    message = f"the request was delivered 6 times without an answer: {why}; accepted: at most 5 deliveries"
    result, letter, deliveries, failure = await reclaim.give_up(entry)
    assert (result.entry_id, result.request_id, result.reply_to, result.error) == ("7-1", "mine", "job", code)
    assert (deliveries, failure, result.message) == (6, (code, why), message)
    added = ("entry_id", "7-1", "error", code, "message", message, "deliveries", "6")
    assert tuple(letter) == (*entry.fields, *added)


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"[1]", b"{}", b"null", b'{"error": [], "message": "x"}', b"[" * 10_000]
)
async def test_a_note_that_no_worker_wrote_says_nothing(desk: Desk, stream: RedisStreams, value: bytes) -> None:
    await desk.client.set(desk.keys.failure("7-1"), value)
    assert await stream.failure_of("7-1") is None


async def test_a_note_that_cannot_be_written_or_read_is_none(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.rpush(desk.keys.failure("7-1"), "of another type")
    assert await stream.failure_of("7-1") is None
    await stream.note_failures({"7-1": _FAILURE, "7-2": _FAILURE}, 60)
    assert await stream.failure_of("7-1") == _FAILURE
    assert 0 < await desk.client.ttl(desk.keys.failure("7-2")) <= 60
