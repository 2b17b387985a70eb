"""The request stream on real servers: what is read, and that settling is exactly once or nothing."""

import asyncio
import random
import time
from itertools import chain
from typing import Any

import pytest

from tests.support.drawing import mixture_of
from tests.support.servers import running
from tests.support.streams import LARGEST_ID, Desk, batch_of, desk_at, result_of
from tests.support.waiting import wait_until
from worker.adapters.redis.streams import RedisStreams
from worker.core.draw.sessions import SessionChange
from worker.core.keys import GROUP
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.core.wire import Entry, Result, Template
from worker.embedded import RedisServer
from worker.errors import GroupMissingError, RedisError, RefusedError
from worker.ports import Pending, StreamLimits

_NOW_MS = 10
_LONG_MS = 3000
_HOUR_MS = 3_600_000
_SOON_S = 60.0


@pytest.fixture
async def other(desk: Desk) -> RedisStreams:
    """Another consumer of the same stream."""
    return desk.consumer("two")


async def _is_blocked(desk: Desk) -> bool:
    clients = await desk.client.client_list()
    return any("b" in client["flags"] for client in clients)


# -- open ------------------------------------------------------------------------------------------------------


async def test_what_was_asked_for_before_the_first_start_is_read(desk: Desk) -> None:
    ids = await desk.add({"size": 3}, {"size": 4})
    stream = desk.consumer("one")
    await stream.open()
    assert await stream.read(10, _NOW_MS) == [
        Entry(ids[0], [b"size", b"3"], 1),
        Entry(ids[1], [b"size", b"4"], 1),
    ]


async def test_opening_again_changes_nothing(desk: Desk, stream: RedisStreams) -> None:
    await desk.add_many(3)
    await stream.read(2, _NOW_MS)
    await stream.open()
    await desk.consumer("two").open()
    assert await waiting(stream) == (1, 2)


async def test_a_key_of_another_type_is_an_error_of_the_surroundings(desk: Desk) -> None:
    await desk.client.set(desk.keys.requests, "not a stream")
    stream = desk.consumer("one")
    for call in (stream.open(), stream.read(1, _NOW_MS), stream.settle(batch_of([result_of("1-1")])), stream.pending()):
        with pytest.raises(RedisError, match="WRONGTYPE") as caught:
            await call
        assert not isinstance(caught.value, GroupMissingError)


@pytest.mark.parametrize("what", ["open", "settle"])
async def test_the_clock_is_that_of_redis(desk: Desk, stream: RedisStreams, what: str) -> None:
    stream._learn_clock(time.time_ns() // 1_000_000 + _HOUR_MS)
    assert stream.now_ms() - time.time_ns() // 1_000_000 > _HOUR_MS // 2
    if what == "open":
        await stream.open()
    else:
        await stream.settle(batch_of([result_of("1-1")]))
    seconds, _ = await desk.client.time()
    assert abs(stream.now_ms() - seconds * 1000) < _HOUR_MS // 2


# -- read ------------------------------------------------------------------------------------------------------


async def test_repeated_and_binary_fields_are_read_as_they_were_sent(desk: Desk, stream: RedisStreams) -> None:
    words = (b"size", b"8", b"size", b"9", b"\xff\x00", b"", b"", b"x")
    await desk.client.execute_command("XADD", desk.keys.requests, "*", *words)
    [entry] = await stream.read(10, _NOW_MS)
    assert tuple(entry.fields) == words


async def test_nothing_is_read_from_an_empty_stream(stream: RedisStreams) -> None:
    assert await stream.read(10, _NOW_MS) == []


async def test_each_entry_is_read_by_one_consumer_in_order(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(5)
    reads = [await stream.read(2, _NOW_MS), await other.read(2, _NOW_MS), await stream.read(2, _NOW_MS)]
    assert [entry.id for entry in chain(*reads)] == ids


@pytest.mark.parametrize("how", ["deleted", "destroyed", "replaced"])
async def test_a_blocked_read_ends_when_its_stream_or_group_vanishes(
    desk: Desk, stream: RedisStreams, how: str
) -> None:
    reading = asyncio.create_task(stream.read(1, _LONG_MS))
    await wait_until(lambda: _is_blocked(desk), timeout_s=_SOON_S, what="the read blocks")
    if how == "destroyed":
        await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    elif how == "deleted":
        await desk.client.delete(desk.keys.requests)
    else:
        await desk.client.set(desk.keys.requests, "not a stream")
    # Redis 7.0 says UNBLOCKED in each case; later ones say NOGROUP, and WRONGTYPE of a replaced key.
    with pytest.raises(RedisError if how == "replaced" else GroupMissingError):
        await reading


async def test_a_read_or_settling_without_the_group_says_that_it_is_missing(desk: Desk, stream: RedisStreams) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    calls = (
        stream.read(1, _NOW_MS),
        stream.settle(batch_of([result_of(entry_id)])),
        stream.pending(),
        stream.take_over(0),
        stream.deliver_again([Pending(entry_id, 0, 1)]),
        stream.backlog(),
    )
    for call in calls:
        with pytest.raises(GroupMissingError):
            await call
    assert await desk.results() == []


# -- settle ----------------------------------------------------------------------------------------------------


async def test_a_result_is_written_field_by_field_and_acknowledged(desk: Desk, stream: RedisStreams) -> None:
    await desk.add_many(2)
    entries = await stream.read(10, _NOW_MS)
    packed = bytes(range(256))
    template = Template(
        ("request_id", None, "entry_id", None, "status", "ok", "chunk_ids", None, "message", "é \U0001f600")
    )
    results = [
        Result(entries[0].id, "r-1", None, None, template, (packed,)),
        result_of(entries[1], "job", "counts", "{}"),
    ]
    settled = await stream.settle(batch_of(results))
    assert (settled.stale, settled.lost, settled.unwritable, settled.uncounted) == ({}, (), (), "")
    for result, key in zip(results, (desk.keys.results, desk.keys.reply("job")), strict=True):
        assert await desk.words(key) == [
            tuple(word.encode() if isinstance(word, str) else word for word in result.fields)
        ]
    assert await waiting(stream) == (0, 0)
    assert await desk.ids(desk.keys.requests) == []


async def test_settling_tells_the_time_of_redis(desk: Desk, stream: RedisStreams) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    settled = await stream.settle(batch_of([result_of(entry_id)]))
    assert settled.at_ms >= int(entry_id.partition("-")[0])


async def test_nothing_is_written_when_weights_changed_since_the_draw(desk: Desk, stream: RedisStreams) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    await desk.client.set(desk.keys.weights(), "new")
    await desk.client.set(desk.keys.weights("same"), "held")
    await desk.client.rpush(desk.keys.weights("list"), "x")
    marks = (
        (None, mark_of(b"old")),
        ("same", mark_of(b"held")),
        ("vanished", mark_of(b"gone")),
        ("absent", ABSENT),
        ("list", ABSENT),
    )
    batch = batch_of([result_of(entry_id)], marks=marks, growth={"requests:": 1})
    settled = await stream.settle(batch)
    assert settled.stale == {
        None: mark_of(b"new"),
        "vanished": ABSENT,
        "list": WRONG_TYPE,
    }
    assert (await desk.results(), await desk.counts(), await desk.pending()) == ([], {}, 1)

    marks = (
        (None, mark_of(b"new")),
        ("same", mark_of(b"held")),
        ("vanished", ABSENT),
        ("absent", ABSENT),
        ("list", WRONG_TYPE),
    )
    settled = await stream.settle(batch_of([result_of(entry_id)], marks=marks))
    assert settled.stale == {}
    assert (len(await desk.results()), await desk.pending()) == (1, 0)


async def test_what_is_not_pending_here_is_lost_and_the_rest_settles_without_it(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(4)
    await stream.read(2, _NOW_MS)
    await other.read(1, _NOW_MS)  # the last one is nobody's yet
    batch = batch_of([result_of(entry_id) for entry_id in ids], growth={"requests:": 4})
    assert (await stream.settle(batch)).lost == tuple(ids[2:])
    assert (await desk.results(), await desk.counts(), await desk.pending()) == ([], {}, 3)
    settled = await stream.settle(batch_of([result_of(entry_id) for entry_id in ids[:2]]))
    assert settled.lost == ()
    assert [result["entry_id"] for result in await desk.results()] == ids[:2]


async def test_settling_twice_writes_nothing_twice(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    batch = batch_of([result_of(entry_id) for entry_id in ids], growth={"requests:": 3})
    assert (await stream.settle(batch)).lost == ()
    assert (await stream.settle(batch)).lost == tuple(ids)
    assert len(await desk.results()) == 3
    assert await desk.counts() == {"requests:": 3}


async def test_what_one_server_delivered_is_not_settled_on_another(
    desk: Desk, stream: RedisStreams, prefix: str
) -> None:
    """After a failover both may have made the same id, of the same clock, for different entries."""
    with running(RedisServer) as other:
        async with desk_at(other.url, prefix) as elsewhere:
            [entry_id] = await desk.add({"request_id": "here"})
            [entry] = await stream.read(1, 10)
            namesake = elsewhere.consumer("one")
            await elsewhere.client.xadd(desk.keys.requests, {"request_id": "there"}, id=entry_id)
            await namesake.open()
            assert [other.id for other in await namesake.read(1, 10)] == [entry.id]
            desk.client.connection_pool.connection_kwargs["port"] = other.port
            await desk.client.connection_pool.disconnect()
            desk.client.connection_pool.reset()
            stream.close()
            with pytest.raises(GroupMissingError, match="another server"):
                await stream.settle(batch_of([result_of(entry)]))
            assert await elsewhere.client.exists(desk.keys.results) == 0
            await stream.open()
            [again] = await stream.deliver_again(await stream.pending())
            assert again.fields == [b"request_id", b"there"]
            assert (await stream.settle(batch_of([result_of(again)]))).is_done


async def test_the_slow_consumer_loses_an_entry_that_was_taken_over(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    assert await other.take_over(0) == [entry_id]
    assert (await stream.settle(batch_of([result_of(entry_id, None, "by", "slow")]))).lost == (entry_id,)
    assert (await other.settle(batch_of([result_of(entry_id, None, "by", "quick")]))).lost == ()
    assert (await stream.settle(batch_of([result_of(entry_id, None, "by", "slow")]))).lost == (entry_id,)
    assert [result["by"] for result in await desk.results()] == ["quick"]


async def test_thousands_may_be_pending_between_the_first_and_the_last_of_a_batch(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(2501)
    await stream.read(2500, _NOW_MS)
    await other.read(1, _NOW_MS)
    settled = await stream.settle(batch_of([result_of(ids[2499]), result_of(ids[0]), result_of(ids[1000])]))
    assert settled.lost == ()
    assert (await stream.settle(batch_of([result_of(ids[1]), result_of(ids[2500])]))).lost == (ids[2500],)
    found = await stream.pending()
    assert [pending.id for pending in found] == [
        entry_id for i, entry_id in enumerate(ids) if i not in {0, 1000, 2499, 2500}
    ]


async def test_an_unwritable_result_holds_up_nobody(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.set(desk.keys.reply("taken"), "not a stream")
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    results = [result_of(ids[0]), result_of(ids[1], "taken"), result_of(ids[2], "free")]
    settled = await stream.settle(batch_of(results))
    assert settled.unwritable == (ids[1],)
    assert (await desk.results(), await desk.results("free"), await desk.pending()) == ([], [], 3)
    settled = await stream.settle(batch_of([results[0], results[2]]))
    assert settled.unwritable == ()
    assert (len(await desk.results()), len(await desk.results("free"))) == (1, 1)
    assert [pending.id for pending in await stream.pending()] == [ids[1]]


async def test_lost_and_unwritable_entries_are_told_together(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.set(desk.keys.reply("taken"), "not a stream")
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    settled = await stream.settle(batch_of([result_of("1-1", "taken"), result_of(entry_id, "taken")]))
    assert (settled.lost, settled.unwritable) == (("1-1",), (entry_id,))


async def test_nothing_of_a_batch_stays_written_when_a_later_result_cannot_be(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.xadd(desk.keys.reply("full"), {"a": "b"}, id=LARGEST_ID)
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    results = [result_of(ids[0]), result_of(ids[1], "free"), result_of(ids[2], "full")]
    letter = ("size", "1", "error", "internal")
    batch = batch_of(results, growth={"requests:": 3}, dead={ids[0]: letter})
    assert (await stream.settle(batch)).unwritable == (ids[2],)
    assert (await desk.results(), await desk.results("free"), await desk.dead(), await desk.counts()) == (
        [],
        [],
        [],
        {},
    )
    assert await desk.client.ttl(desk.keys.reply("free")) > 0  # emptied, and not left behind for ever
    assert [pending.id for pending in await stream.pending()] == ids
    assert (await stream.settle(batch_of(results[:2], dead={ids[0]: letter}))).unwritable == ()
    assert (len(await desk.results()), len(await desk.results("free")), len(await desk.dead())) == (1, 1, 1)


@pytest.mark.parametrize(
    "command",
    ["xadd", "xack", "xtrim", "xdel", "xpending", "type", "hincrby", "hset", "expire", "time", "evalsha"],
)
async def test_a_denied_command_leaves_everything_as_it_was(
    desk: Desk, stream: RedisStreams, redis_url: str, command: str
) -> None:
    name = desk.keys.prefix
    await desk.client.execute_command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", f"-{command}")
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    try:
        async with desk_at(redis_url.replace("//", f"//{name}:x@"), desk.keys.prefix) as denied:
            results = [result_of(ids[0]), result_of(ids[1], "job")]
            sessions = {"s": SessionChange({}, {"weights": b"{}"}, {"requests:": 2})}
            batch = batch_of(results, growth={"requests:": 2}, sessions=sessions)
            with pytest.raises(RedisError, match="settling"):
                await denied.consumer("one").settle(batch)
    finally:
        await desk.client.execute_command("ACL", "DELUSER", name)
    assert (await desk.results(), await desk.pending(), await desk.counts()) == ([], 2, {})


async def test_a_server_without_memory_refuses_the_whole_batch(desk: Desk, stream: RedisStreams) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    await desk.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(RedisError, match="memory"):
            await stream.settle(batch_of([result_of(entry_id)]))
    finally:
        await desk.client.config_set("maxmemory", "0")
    assert (await desk.results(), await desk.pending()) == ([], 1)


async def test_the_script_is_sent_again_when_the_server_has_forgotten_it(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    for entry_id in ids:
        await desk.client.script_flush()
        assert (await stream.settle(batch_of([result_of(entry_id)]))).lost == ()
    assert len(await desk.results()) == 2


async def test_the_last_possible_id_can_be_settled(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.xadd(desk.keys.requests, {"size": 1}, id=LARGEST_ID)
    [entry] = await stream.read(1, _NOW_MS)
    assert (await stream.settle(batch_of([result_of(entry)]))).lost == ()
    assert (len(await desk.results()), await desk.pending()) == (1, 0)


# -- bounds ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("a job never reads its results: they are bounded, and expire", "H01")
async def test_only_a_reply_stream_expires_and_use_renews_it(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    for entry_id in ids:
        await stream.settle(batch_of([result_of(entry_id, "job")]))
        assert 590 < await desk.client.ttl(desk.keys.reply("job")) <= 600
        await desk.client.expire(desk.keys.reply("job"), 5)
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    await stream.settle(batch_of([result_of(entry_id)]))
    assert await desk.client.ttl(desk.keys.results) == -1
    assert await desk.client.ttl(desk.keys.reply("job")) <= 5


@pytest.mark.fault("a job never reads its results: they are bounded, and expire", "H01")
@pytest.mark.parametrize("reply_to", [None, "job"])
async def test_a_result_stream_keeps_exactly_its_bound(desk: Desk, reply_to: str | None) -> None:
    stream = desk.consumer("one", StreamLimits(results_maxlen=7, reply_ttl_s=600, session_ttl_s=900))
    await stream.open()
    ids = await desk.add_many(250)
    await stream.read(250, _NOW_MS)
    for part in (ids[:5], ids[5:125], ids[125:]):
        await stream.settle(batch_of([result_of(entry_id, reply_to) for entry_id in part]))
    assert [result["entry_id"] for result in await desk.results(reply_to)] == ids[-7:]


async def test_a_group_that_is_made_anew_delivers_no_answered_request(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(4)
    await stream.read(2, _NOW_MS)
    await other.settle(batch_of([result_of(entry) for entry in await other.read(1, _NOW_MS)]))
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    await stream.open()
    assert [entry.id for entry in await stream.read(10, _NOW_MS)] == [*ids[:2], ids[3]]


@pytest.mark.parametrize("seed", range(4))
async def test_answered_requests_are_removed_and_unanswered_ones_never(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    consumers = [desk.consumer(name) for name in ("one", "two")]
    await consumers[0].open()
    held: list[list[str]] = [[], []]
    unanswered: list[str] = []
    answered = 0
    for _ in range(60):
        unanswered += await desk.add_many(chance.randrange(8))
        turn = chance.randrange(2)
        held[turn] += [entry.id for entry in await consumers[turn].read(1 + chance.randrange(6), 1)]
        chance.shuffle(held[turn])
        part = [held[turn].pop() for _ in range(chance.randrange(1 + len(held[turn])))]
        if part:
            await consumers[turn].settle(batch_of([result_of(entry_id) for entry_id in part]))
            answered += len(part)
            unanswered = [entry_id for entry_id in unanswered if entry_id not in part]
        pending = len(held[0]) + len(held[1])
        assert await desk.ids(desk.keys.requests) == unanswered
        assert await waiting(consumers[0]) == (len(unanswered) - pending, pending)
    for consumer, mine in zip(consumers, held, strict=True):
        for entry_id in mine:
            await consumer.settle(batch_of([result_of(entry_id)]))
    rest = await consumers[0].read(1000, 1) + [Entry((await desk.add_many(1))[0], ())]
    await consumers[0].read(1000, 1)
    await consumers[0].settle(batch_of([result_of(entry) for entry in rest]))
    assert await desk.ids(desk.keys.requests) == []
    assert len(await desk.results()) == answered + len(list(chain(*held))) + len(rest)


# -- counts ----------------------------------------------------------------------------------------------------


async def test_the_stats_are_the_sum_of_what_was_settled(desk: Desk, stream: RedisStreams, other: RedisStreams) -> None:
    ids = await desk.add_many(6)
    total: dict[str, int] = {}
    for i in range(3):
        consumer = (stream, other)[i % 2]
        await consumer.read(2, _NOW_MS)
        growth = {"requests:": 2, f"chunks::c{i}": 10**15 + i, "variance::c": 0}
        batch = batch_of([result_of(entry_id) for entry_id in ids[2 * i : 2 * i + 2]], growth=growth)
        assert (await consumer.settle(batch)).uncounted == ""
        assert (await consumer.settle(batch)).lost  # the second time counts nothing
        total = {name: total.get(name, 0) + growth.get(name, 0) for name in total | growth}
    assert await desk.counts() == total


@pytest.mark.parametrize("spoilt", ["another type", "no number", "overflow"])
async def test_results_are_written_even_where_they_cannot_be_counted(
    desk: Desk, stream: RedisStreams, spoilt: str
) -> None:
    values = {"no number": "many", "overflow": str(2**63 - 1)}
    if spoilt in values:
        await desk.client.hset(desk.keys.stats, "requests:", values[spoilt])
    else:
        await desk.client.set(desk.keys.stats, "not a hash")
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    batch = batch_of([result_of(entry_id, "job") for entry_id in ids], growth={"requests:": 2})
    settled = await stream.settle(batch)
    assert (settled.uncounted, settled.lost) == (desk.keys.stats, ())
    assert (len(await desk.results("job")), await desk.pending()) == (2, 0)
    assert await desk.ids(desk.keys.requests) == []
    assert await desk.client.ttl(desk.keys.reply("job")) > 0


# -- dead letters ----------------------------------------------------------------------------------------------


async def test_a_dead_letter_goes_beside_the_error_result(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    letter = ("size", "1", "size", b"\xff", "error", "internal")
    results = [result_of(ids[0], "job"), result_of(ids[1], "job")]
    settled = await stream.settle(batch_of(results, dead={ids[1]: letter}))
    assert (settled.lost, settled.unwritable) == ((), ())
    assert await desk.words(desk.keys.dead) == [(b"size", b"1", b"size", b"\xff", b"error", b"internal")]
    assert [result["entry_id"] for result in await desk.results("job")] == ids
    assert await desk.pending() == 0


@pytest.mark.parametrize("spoilt", ["another type", "full"])
async def test_a_dead_letter_settles_even_where_its_result_cannot_be_written(
    desk: Desk, stream: RedisStreams, spoilt: str
) -> None:
    if spoilt == "full":
        await desk.client.xadd(desk.keys.reply("job"), {"a": "b"}, id=LARGEST_ID)
    else:
        await desk.client.set(desk.keys.reply("job"), "not a stream")
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    results = [result_of(ids[0], "job"), result_of(ids[1])]
    settled = await stream.settle(batch_of(results, dead={ids[0]: ("error", "internal")}))
    assert (settled.lost, settled.unwritable) == ((), ())
    assert await desk.dead() == [{"error": "internal"}]
    assert (len(await desk.results()), await desk.pending()) == (1, 0)


async def test_without_a_place_for_dead_letters_the_entry_stays_pending(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.set(desk.keys.dead, "not a stream")
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    results = [result_of(entry_id) for entry_id in ids]
    settled = await stream.settle(batch_of(results, dead={ids[1]: ("error", "internal")}))
    assert settled.unwritable == (ids[1],)
    assert (await desk.results(), await desk.pending()) == ([], 2)


@pytest.mark.parametrize("words", [7_900, 8_002, 20_000])
async def test_a_letter_that_no_script_can_write_is_refused_before_anything_is_written(
    desk: Desk, stream: RedisStreams, words: int
) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    results = [result_of(entry_id) for entry_id in ids]
    settled = await stream.settle(batch_of(results, dead={ids[1]: ("x",) * words}))
    if words == 7_900:
        assert settled.unwritable == ()
        assert [len(letter) for letter in await desk.words(desk.keys.dead)] == [words]
    else:
        assert settled.unwritable == (ids[1],)
        assert await desk.client.exists(desk.keys.results, desk.keys.dead) == 0


# -- take over, deliver again, look at -------------------------------------------------------------------------


async def test_only_what_was_idle_for_long_enough_is_taken_over(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    await desk.client.execute_command("XCLAIM", desk.keys.requests, GROUP, "one", 0, ids[1], "IDLE", _HOUR_MS, "JUSTID")
    assert await other.take_over(_HOUR_MS // 2) == [ids[1]]
    assert [pending.id for pending in await other.pending()] == [ids[1]]
    assert [pending.id for pending in await stream.pending()] == [ids[0], ids[2]]


async def test_thousands_are_taken_over_and_none_counts_as_delivered(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(2300)
    await stream.read(2300, _NOW_MS)
    assert await other.take_over(0) == ids
    found = await other.pending()
    assert [pending.id for pending in found] == ids
    assert {pending.deliveries for pending in found} == {1}


async def test_deleted_entries_are_not_taken_over_and_leave_the_group(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    await desk.client.xdel(desk.keys.requests, ids[1])
    assert await other.take_over(0) == [ids[0], ids[2]]
    assert await desk.pending() == 2


async def test_consumers_that_hold_nothing_ask_for_nothing_and_show_no_state_are_forgotten(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    entry_id, answered = await desk.add_many(2)
    assert [entry.id for entry in await other.read(1, _NOW_MS)] == [entry_id]
    assert [entry.id for entry in await stream.read(1, _NOW_MS)] == [answered]
    await desk.client.xack(desk.keys.requests, GROUP, answered)
    assert await stream.forget_consumers(_HOUR_MS) == 0
    await stream.show("{}", ttl_s=60)
    assert await stream.forget_consumers(0) == 0
    await stream.remove_presence()
    assert await stream.forget_consumers(0) == 1  # this one itself: its next read makes it again
    assert [about["name"] for about in await desk.client.xinfo_consumers(desk.keys.requests, GROUP)] == [b"two"]
    assert [pending.id for pending in await other.pending()] == [entry_id]
    assert await stream.read(1, _NOW_MS) == []
    assert await stream.forget_consumers(_HOUR_MS) == 0


async def test_other_workers_are_found_from_their_start_and_by_their_states(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    third = desk.consumer("three")
    for each in (other, third):
        await each.open()
    assert await stream.other_workers() == {}
    for each in (stream, other):
        await each.show('{"requests": 0}', ttl_s=60)
    await desk.client.rpush(desk.keys.worker("three"), "another type")
    assert await stream.other_workers() == {"two": b'{"requests": 0}'}
    assert set(await third.other_workers()) == {"one", "two"}
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    assert await stream.other_workers() == {}
    await desk.client.delete(*map(desk.keys.worker, ("one", "two", "three")))


async def test_to_open_delivers_nothing(desk: Desk, stream: RedisStreams) -> None:
    [entry_id] = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    await desk.add_many(1)
    await stream.open()
    assert [(one.id, one.deliveries) for one in await stream.pending()] == [(entry_id, 1)]


async def test_without_a_group_there_is_nobody_to_forget_and_a_refusal_is_one(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    assert await stream.forget_consumers(0) == 0
    await desk.client.delete(desk.keys.requests)
    assert await stream.forget_consumers(0) == 0
    await desk.client.set(desk.keys.requests, "of another type")
    with pytest.raises(RefusedError, match="WRONGTYPE"):
        await stream.forget_consumers(0)


async def test_delivering_again_counts_and_returns_the_fields(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add({"size": 1}, {"size": 2}, {"size": 3})
    await stream.read(3, _NOW_MS)
    for deliveries in (2, 3):
        entries = await stream.deliver_again((await stream.pending())[1:])
        assert entries == [Entry(ids[i], [b"size", b"%d" % (i + 1)], deliveries) for i in (1, 2)]
    assert [pending.deliveries for pending in await stream.pending()] == [1, 3, 3]


async def test_deleted_entries_are_not_delivered_again_and_leave_the_group(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(3)
    await stream.read(3, _NOW_MS)
    pending = await stream.pending()
    await desk.client.xdel(desk.keys.requests, ids[1])
    assert [entry.id for entry in await stream.deliver_again(pending)] == [ids[0], ids[2]]
    assert await desk.pending() == 2


async def test_what_another_has_taken_over_meanwhile_is_not_taken_back(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    """Slow consumers that took from each other for ever would wear out the deliveries of requests that are fine."""
    ids = await desk.add_many(4)
    await stream.read(4, _NOW_MS)
    listed = await stream.pending()
    await other.take_over(0)
    await other.settle(batch_of([result_of(ids[0])]))
    await other.deliver_again((await other.pending())[:1])
    await stream.take_over(0)
    await other.take_over(0)
    await desk.client.execute_command("XCLAIM", desk.keys.requests, GROUP, "one", 0, ids[3], "JUSTID")
    assert [(entry.id, entry.deliveries) for entry in await stream.deliver_again(listed)] == [(ids[3], 2)]
    assert [(pending.id, pending.deliveries) for pending in await other.pending()] == [(ids[1], 2), (ids[2], 1)]


async def test_what_was_settled_meanwhile_is_not_delivered_again(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    pending = await stream.pending()
    await stream.settle(batch_of([result_of(ids[1])]))
    assert [entry.id for entry in await stream.deliver_again(pending)] == [ids[0]]


async def test_a_deleted_entry_can_be_lost_by_the_settling_as_well(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    await desk.client.delete(desk.keys.requests)
    await stream.open()
    settled = await stream.settle(batch_of([result_of(entry_id) for entry_id in ids]))
    assert settled.lost == tuple(ids)


async def test_looking_at_an_entry_does_not_deliver_it(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add({"size": 7}, {"size": 8})
    await stream.read(2, _NOW_MS)
    first, second = await stream.pending()
    await desk.client.xdel(desk.keys.requests, ids[1])
    assert await stream.look_at(first) == Entry(ids[0], [b"size", b"7"], 1)
    assert await stream.look_at(second) is None
    assert [pending.deliveries for pending in await stream.pending()] == [1, 1]


# -- backlog, show, hide ---------------------------------------------------------------------------------------


async def waiting(stream: RedisStreams) -> tuple[int, int]:
    """Count what was not delivered, and what is pending."""
    found = await stream.backlog()
    assert (found.oldest_at_ms is None) == (found.pending == 0)
    return found.lag, found.pending


async def test_the_oldest_pending_entry_tells_since_when_it_waits(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(3)
    await stream.read(2, _NOW_MS)
    assert (await stream.backlog()).oldest_at_ms == int(ids[0].partition("-")[0])
    await stream.settle(batch_of([result_of(ids[0])]))
    assert (await stream.backlog()).oldest_at_ms == int(ids[1].partition("-")[0])


async def test_the_backlog_counts_what_waits(desk: Desk, stream: RedisStreams, other: RedisStreams) -> None:
    assert await waiting(stream) == (0, 0)
    await desk.add_many(5)
    assert await waiting(stream) == (5, 0)
    await stream.read(1, _NOW_MS)
    await other.read(1, _NOW_MS)
    assert await waiting(stream) == (3, 2)


async def test_the_lag_is_known_even_where_somebody_deleted_what_was_not_read(desk: Desk, stream: RedisStreams) -> None:
    ids = await desk.add_many(5)
    await stream.read(1, _NOW_MS)
    await desk.client.xdel(desk.keys.requests, ids[3])
    assert await waiting(stream) == (3, 1)


async def test_the_group_of_another_program_is_not_ours(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.xgroup_create(desk.keys.requests, "audit", "0")
    await desk.add_many(2)
    await stream.read(1, _NOW_MS)
    assert await waiting(stream) == (1, 1)


async def test_a_worker_shows_itself_for_some_seconds_and_hides_in_the_end(desk: Desk, stream: RedisStreams) -> None:
    await stream.show('{"state":"serving"}', ttl_s=10)
    assert await desk.client.get(desk.keys.worker("one")) == b'{"state":"serving"}'
    assert 0 < await desk.client.ttl(desk.keys.worker("one")) <= 10
    await stream.remove_presence()
    assert await desk.client.exists(desk.keys.worker("one")) == 0


async def test_who_shows_itself_learns_what_stood_there_and_overwrites_whatever_it_is(
    desk: Desk, stream: RedisStreams
) -> None:
    key = desk.keys.worker("one")
    found = [await stream.show(document, ttl_s=10) for document in ("first", "second")]
    assert found == [None, b"first"]
    await desk.client.delete(key)
    await desk.client.rpush(key, "of another type")
    assert await stream.show("third", ttl_s=10) is None
    assert (await desk.client.get(key), 0 < await desk.client.ttl(key) <= 10) == (b"third", True)
    await stream.remove_presence()


async def test_who_shows_itself_asks_in_the_same_packet_whether_anything_is_pending(
    desk: Desk, stream: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await stream.is_any_pending()
    monkeypatch.setattr("worker.adapters.redis.presence._JUST_S", 3600.0)
    await stream.show("{}", ttl_s=10)
    await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    assert [await stream.is_any_pending(now=now) for now in (False, True)] == [False, True]
    await stream.show("{}", ttl_s=10)
    assert await stream.is_any_pending()
    monkeypatch.setattr("worker.adapters.redis.presence._JUST_S", -1.0)
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    with pytest.raises(GroupMissingError):
        await stream.is_any_pending()
    await stream.remove_presence()


async def test_what_was_missing_when_it_was_asked_is_asked_again(
    desk: Desk, stream: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.adapters.redis.presence._JUST_S", 3600.0)
    await desk.client.xgroup_destroy(desk.keys.requests, GROUP)
    await stream.show("{}", ttl_s=10)
    with pytest.raises(GroupMissingError):
        await stream.is_any_pending()
    await stream.open()
    assert not await stream.is_any_pending()
    await stream.remove_presence()


async def test_batches_that_settle_out_of_order_leave_no_answered_request(
    desk: Desk, stream: RedisStreams, other: RedisStreams
) -> None:
    await desk.add_many(4)
    first, second = await stream.read(2, _NOW_MS), await other.read(2, _NOW_MS)
    await other.settle(batch_of([result_of(entry) for entry in second]))
    assert await desk.ids(desk.keys.requests) == [entry.id for entry in first]
    await stream.settle(batch_of([result_of(entry) for entry in first]))
    assert await desk.client.xlen(desk.keys.requests) == 0
    assert await waiting(stream) == (0, 0)


# -- counts of many categories ---------------------------------------------------------------------------------


async def test_mixtures_stand_beside_the_counts_that_name_them(desk: Desk, stream: RedisStreams) -> None:
    mixture = mixture_of({"voice": 3, "music": 1}, {"voice": 5, "music": 5})
    parts: dict[str, Any] = {"growth": {"drawn::x": 4}, "mixtures": {"mixture:x": mixture}}
    for expected in (4, 8):
        (entry_id,) = await desk.add_many(1)
        await stream.read(1, _NOW_MS)
        await stream.settle(batch_of([result_of(entry_id)], **parts))
        fields = await desk.client.hgetall(desk.keys.stats)
        assert fields == {b"drawn::x": b"%d" % expected, b"mixture:x": b'{"music":0.25,"voice":0.75}'}


async def test_a_key_that_holds_no_counts_takes_no_mixtures_either(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.set(desk.keys.stats, "somebody's")
    (entry_id,) = await desk.add_many(1)
    await stream.read(1, _NOW_MS)
    mixture = mixture_of({"voice": 1}, {"voice": 5})
    settled = await stream.settle(batch_of([result_of(entry_id)], growth={"a": 1}, mixtures={"mixture:x": mixture}))
    assert settled.uncounted == desk.keys.stats
    assert await desk.ids(desk.keys.results) != []
