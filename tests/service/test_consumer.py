"""Read, answer, settle on real servers: exactly one result for each request, whatever happens in between."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.support.log_lines import captured_log
from tests.support.proxy import Proxy, losing_replies
from tests.support.servers import connect
from tests.support.streams import LARGEST_ID, Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, categories_of, running, serving, settled, wired
from worker.core.draw.answer import answer
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.keys import GROUP
from worker.core.weights.values import parse_weights
from worker.core.wire import Request, Result
from worker.ports import Backlog
from worker.service.consumer import LANES
from worker.service.linger import Linger

_SOON_MS = 50
_NOW_MS = 10


async def _leave_pending(desk: Desk, consumer: str, deliveries: int = 1) -> None:
    """Read everything so many times, as workers do that then die."""
    stream = desk.consumer(consumer)
    await stream.open()
    await stream.read(1000, _NOW_MS)
    for _ in range(deliveries - 1):
        await stream.deliver_again(await stream.pending())


async def _results_match_stats(desk: Desk, *reply_to: str) -> None:
    results = await desk.results()
    for name in reply_to:
        results += await desk.results(name)
    counts = await desk.counts()
    assert sum(count for name, count in counts.items() if name.startswith("requests:")) == len(results)
    drawn = Counter[str]()
    for result in results:
        if result["status"] == "ok":
            drawn["ok"] += len(result["chunk_ids"].split(","))
    assert sum(count for name, count in counts.items() if name.startswith("chunks:")) == drawn["ok"]


async def _run_one_that_ends(url: str, prefix: str, part: str) -> None:
    async def end_at_once() -> None:
        pass

    async with wired(url, prefix) as parts:
        setattr(getattr(parts, part), "run", end_at_once)  # noqa: B010 - a part that is wrong
        async with running(parts):
            await asyncio.sleep(0)


@pytest.mark.parametrize(("part", "who"), [("consumer", "the consumer"), ("weights", "the feed")])
async def test_a_worker_that_ends_by_itself_fails_the_test_that_runs_it(
    redis_url: str, prefix: str, part: str, who: str
) -> None:
    with pytest.raises(AssertionError, match=f"{who} had ended by itself"):
        await _run_one_that_ends(redis_url, prefix, part)


# -- serving ---------------------------------------------------------------------------------------------------


async def test_every_request_gets_one_result_of_its_kind(desk: Desk, redis_url: str, prefix: str) -> None:
    kinds: list[tuple[dict[str, object], str]] = [
        ({"size": 8}, "ok"),
        ({"size": 5, "category": "music"}, "ok"),
        ({"size": 3, "reply_to": "job"}, "ok"),
        ({"size": 4, "dataset": "of-its-own"}, "ok"),
        ({"size": 7, "method": "stratified", "probabilities": 1}, "ok"),
        ({"unknown": "field"}, "ok"),
        ({"size": 0}, "invalid_request"),
        ({"size": 999, "reply_to": "job"}, "invalid_request"),
        ({"category": "unheard-of"}, "unknown_category"),
        ({"category": "conference"}, "no_ready_chunks"),
        ({"size": 200, "replace": 0}, "too_few_chunks"),
        ({"expires_at": 1}, "expired"),
    ]
    ids = await desk.add(*(fields for fields, _ in kinds * 20))
    by_entry = dict(zip(ids, kinds * 20, strict=True))
    async with serving(redis_url, prefix, Wiring(batch=50, max_size=500)):
        job = [entry_id for entry_id, (fields, _) in by_entry.items() if "reply_to" in fields]
        found = await answers(desk, set(ids) - set(job)) | await answers(desk, job, "job")
        await settled(desk)
    for entry_id, (fields, outcome) in by_entry.items():
        result = found[entry_id]
        assert result.get("error", result["status"]) == outcome
        if outcome == "ok":
            assert len(result["chunk_ids"].split(",")) == fields.get("size", 1)
        if fields.get("category") == "music":
            assert categories_of(result) == {"music"}
    await _results_match_stats(desk, "job")
    assert await desk.ids(desk.keys.requests) == []


@pytest.mark.fault("giants and tiny requests in one batch", "H04")
async def test_giants_and_dwarfs_are_served_together(desk: Desk, redis_url: str, prefix: str) -> None:
    sizes = [65_536, 1, 1, 65_536, 65_536, 2, 40_000, 65_536, 1] * 3
    ids = await desk.add(*({"size": size} for size in sizes))
    async with serving(redis_url, prefix) as parts:
        found = await answers(desk, ids)
    assert [len(found[entry_id]["chunk_ids"].split(",")) for entry_id in ids] == sizes
    assert (parts.meter.requests, parts.meter.chunks) == (len(sizes), sum(sizes))
    await _results_match_stats(desk)


async def test_without_a_catalog_requests_get_an_error_until_there_is_one(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    async with serving(redis_url, prefix, Wiring(catalog=None)) as parts:
        early = await answers(desk, await desk.add_many(3))
        parts.current.catalog = Wiring().catalog
        late = await answers(desk, await desk.add_many(3))
    assert {result["error"] for result in early.values()} == {"catalog_unavailable"}
    assert {result["status"] for result in late.values()} == {"ok"}


async def test_the_group_is_made_before_the_first_turn_where_redis_answers(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    await desk.client.set(desk.keys.requests, "not a stream")
    async with wired(redis_url, prefix) as parts:
        await parts.consumer.open()
        assert not parts.availability.is_up
        await desk.client.delete(desk.keys.requests)
        for _ in range(2):
            await parts.consumer.open()
        assert await parts.stream.backlog() == Backlog(lag=0, pending=0)
        async with running(parts):
            await answers(desk, await desk.add_many(1))
        assert parts.availability.is_up


async def test_stopping_finishes_what_is_in_hand_and_reads_no_more(desk: Desk, redis_url: str, prefix: str) -> None:
    ids = await desk.add_many(3000)
    async with serving(redis_url, prefix, Wiring(batch=20)) as parts:
        await wait_until(desk.results, timeout_s=DONE_S, what="the first results are there")
        parts.consumer.stop()
    assert parts.consumer.is_stopping
    assert (parts.consumer.held, await desk.pending()) == (0, 0)
    answered = {result["entry_id"] for result in await desk.results()}
    assert 0 < len(answered) < len(ids)
    assert await desk.ids(desk.keys.requests) == [entry_id for entry_id in ids if entry_id not in answered]
    async with serving(redis_url, prefix):
        assert len(await answers(desk, ids)) == len(ids)


async def test_stopping_within_a_recovery_leaves_the_rest_to_the_next_worker(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add_many(600)
    await _leave_pending(desk, "one")
    stop: list[Callable[[], None]] = []

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        stop[0]()
        return answer(requests, snapshots, rng)

    async with wired(redis_url, prefix, Wiring(draw=draw)) as parts:
        stop.append(parts.consumer.stop)
        await parts.consumer.run()
    assert (len(await desk.results()), await desk.pending()) == (256, 600 - 256)
    async with serving(redis_url, prefix):
        await answers(desk, ids)


async def test_whoever_is_told_to_stop_while_it_waits_for_company_reads_no_more(
    desk: Desk, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.add_many(3)
    async with wired(redis_url, prefix) as parts:

        def wait(_linger: Linger, _now: float) -> float:
            parts.consumer.stop()
            return 0.001

        monkeypatch.setattr(Linger, "wait_s", wait)
        await parts.consumer.run()
    assert (await desk.pending(), await desk.results()) == (0, [])


async def test_stopping_waits_until_what_is_in_hand_can_be_settled(desk: Desk, redis_url: str, prefix: str) -> None:
    drawn: list[int] = []

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        if not drawn:
            with connect(redis_url) as client:
                client.config_set("maxmemory", "1")
        drawn.append(len(requests))
        return answer(requests, snapshots, rng)

    ids = await desk.add_many(5)
    try:
        async with serving(redis_url, prefix, Wiring(draw=draw)) as parts:
            await wait_until(lambda: not parts.availability.is_up, timeout_s=DONE_S, what="the server refuses")
            assert (parts.consumer.held, await desk.results()) == (5, [])
            parts.consumer.stop()
            await desk.client.config_set("maxmemory", "0")
    finally:
        await desk.client.config_set("maxmemory", "0")
    assert (parts.consumer.held, await desk.pending()) == (0, 0)
    await answers(desk, ids)


async def test_two_workers_share_the_requests(desk: Desk, redis_url: str, prefix: str) -> None:
    async with (
        serving(redis_url, prefix, Wiring(batch=5)) as one,
        serving(redis_url, prefix, Wiring(consumer="two", batch=5)) as two,
    ):
        await answers(desk, await desk.add_many(500))
    assert (one.meter.requests + two.meter.requests, min(one.meter.requests, two.meter.requests) > 0) == (500, True)
    await _results_match_stats(desk)


@pytest.mark.any_redis
async def test_datasets_made_up_by_strangers_do_not_fill_the_memory(desk: Desk, redis_url: str, prefix: str) -> None:
    async with serving(redis_url, prefix, Wiring(batch=1000)) as parts:
        ids = await desk.add(*({"dataset": f"made-up-{i}"} for i in range(4000)))
        found = await answers(desk, ids)
    assert {result["weights_source"] for result in found.values()} == {"default"}
    assert len(parts.current.weights.known()) <= 2049


# -- reclaim ---------------------------------------------------------------------------------------------------


async def test_what_a_crashed_worker_held_comes_first_when_it_starts_again(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add_many(300)
    await _leave_pending(desk, "one")
    later = await desk.add_many(5)
    async with serving(redis_url, prefix):
        await answers(desk, [*ids, *later])
        await settled(desk)
    order = [result["entry_id"] for result in await desk.results()]
    assert (set(order[:300]), set(order[300:])) == (set(ids), set(later))


async def test_what_another_worker_left_for_too_long_is_taken_over(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    ids = await desk.add_many(20)
    await _leave_pending(desk, "dead")
    with captured_log(tmp_path) as log:
        async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)):
            await answers(desk, ids)
            await settled(desk)
    assert [(line["count"], line["deliveries_max"]) for line in log.of("request.claimed")] == [(20, 1)]


async def test_what_another_worker_has_just_read_is_left_to_it(desk: Desk, redis_url: str, prefix: str) -> None:
    [held] = await desk.add_many(1)
    await _leave_pending(desk, "busy")
    async with serving(redis_url, prefix) as parts:
        parts.reclaim.demand()
        await answers(desk, await desk.add_many(5))
    assert [pending.id for pending in await desk.consumer("busy").pending()] == [held]
    assert held not in {result["entry_id"] for result in await desk.results()}


async def test_what_was_deleted_while_pending_is_forgotten(desk: Desk, redis_url: str, prefix: str) -> None:
    gone = await desk.add_many(2)
    await _leave_pending(desk, "one", deliveries=1)
    given_up = await desk.add_many(2)
    await _leave_pending(desk, "one", deliveries=5)
    await desk.client.xdel(desk.keys.requests, *gone, *given_up)
    async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)):
        await answers(desk, await desk.add_many(1))
        await settled(desk)
    assert (len(await desk.results()), await desk.dead()) == (1, [])


async def test_a_request_delivered_too_often_goes_to_the_dead_letters(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    words = ("size", "3", "reply_to", "job", "note", "first", "note", "second", "request_id", "mine")
    dead = (await desk.client.execute_command("XADD", desk.keys.requests, "*", *words)).decode()
    await _leave_pending(desk, "dead", deliveries=3)
    [alive] = await desk.add_many(1)
    with captured_log(tmp_path) as log:
        async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS, max_deliveries=3)):
            result = (await answers(desk, [dead], "job"))[dead]
            await answers(desk, [alive])
            await settled(desk)
    assert (result["request_id"], result["status"], result["error"]) == ("mine", "error", "too_many_deliveries")
    assert "3 times" in result["message"]
    [letter] = await desk.words(desk.keys.dead)
    why = ("entry_id", dead, "error", "too_many_deliveries", "message", result["message"], "deliveries", "3")
    assert letter == tuple(word.encode() for word in words + why)
    [line] = log.of("request.dead_lettered")
    assert (line["entry_id"], line["request_id"], line["deliveries"]) == (dead, "mine", 3)
    assert await desk.counts() == {**await desk.counts(), "requests:": 2, "errors::too_many_deliveries": 1}


@pytest.mark.fault("an entry of more fields than a dead letter can hold dies", "G03")
async def test_a_freak_of_a_request_ends_as_a_shortened_dead_letter(desk: Desk, redis_url: str, prefix: str) -> None:
    """A script can pass at most about 8,000 arguments to one command."""
    words = [word for i in range(9000) for word in (f"field-{i}", "x")]
    entry_id = (await desk.client.execute_command("XADD", desk.keys.requests, "*", *words)).decode()
    await _leave_pending(desk, "dead", deliveries=5)
    async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)):
        assert (await answers(desk, [entry_id]))[entry_id]["error"] == "too_many_deliveries"
        await settled(desk)
    [letter] = await desk.dead()
    assert {name: letter[name] for name in ("field-0", "field-3499", "entry_id", "fields_left_out")} == {
        "field-0": "x",
        "field-3499": "x",
        "entry_id": entry_id,
        "fields_left_out": "5500",
    }


async def test_an_unreadable_request_can_die_as_well(desk: Desk, redis_url: str, prefix: str) -> None:
    [entry_id] = await desk.add({"size": "huge", "reply_to": "not a name"})
    await _leave_pending(desk, "dead", deliveries=5)
    async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)):
        assert (await answers(desk, [entry_id]))[entry_id]["error"] == "too_many_deliveries"
    assert [letter["size"] for letter in await desk.dead()] == ["huge"]


# -- failures --------------------------------------------------------------------------------------------------


def _failing_for(request_id: str) -> Callable[[Sequence[Request | Result], Snapshots, np.random.Generator], Answers]:
    """Draw as ever, but fail where a certain request is among those drawn together."""

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        if any(isinstance(request, Request) and request.request_id == request_id for request in requests):
            raise ZeroDivisionError("a bug")
        return answer(requests, snapshots, rng)

    return draw


async def test_a_request_that_trips_a_bug_is_isolated_and_dies_alone(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    ids = await desk.add(*({"request_id": f"r{i}"} for i in range(30)))
    wiring = Wiring(idle_ms=_SOON_MS, draw=_failing_for("r7"))
    with captured_log(tmp_path) as log:
        async with serving(redis_url, prefix, wiring) as parts:
            found = await answers(desk, ids)
            await settled(desk)
        assert not parts.reclaim.resting
    assert found[ids[7]]["error"] == "internal"
    assert "ZeroDivisionError" in found[ids[7]]["message"]
    assert {result["status"] for entry_id, result in found.items() if entry_id != ids[7]} == {"ok"}
    assert [(letter["request_id"], letter["deliveries"]) for letter in await desk.dead()] == [("r7", "5")]
    failed = log.of("request.failed")
    assert [line["requests"] for line in failed] == [30, 30, 1, 1, 1]
    assert {(line["error"], line["message"]) for line in failed} == {("ZeroDivisionError", "a bug")}
    assert log.of("request.claimed") == []  # its own entries are nobody's who fell silent
    await _results_match_stats(desk)


async def test_an_entry_that_brings_workers_down_takes_no_others_with_it(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    """A worker that dies over it leaves everything pending; the next one tries suspects alone."""
    ids = await desk.add(*({"request_id": f"r{i}"} for i in range(10)))

    class Death(BaseException):
        """What nothing catches, as a segmentation fault."""

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        if any(isinstance(request, Request) and request.request_id == "r3" for request in requests):
            raise Death
        return answer(requests, snapshots, rng)

    deaths = 0
    while deaths < 20:
        async with wired(redis_url, prefix, Wiring(draw=draw)) as parts:
            task = asyncio.create_task(parts.consumer.run())
            if await _survives(task, desk):
                break
            deaths += 1
    found = await answers(desk, ids)
    assert deaths == 5
    assert [entry_id for entry_id in ids if found[entry_id]["status"] == "error"] == [ids[3]]
    assert [letter["error"] for letter in await desk.dead()] == ["too_many_deliveries"]


async def _survives(task: asyncio.Task[None], desk: Desk) -> bool:
    """Check whether a consumer settles everything, or dies over it."""
    waiting = asyncio.create_task(settled(desk))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    survives = not task.done()
    await end(task, waiting)
    return survives


@pytest.mark.parametrize("spoilt", ["another type", "full"])
async def test_an_unwritable_reply_stream_holds_up_nobody_and_ends_in_the_dead_letters(
    desk: Desk, redis_url: str, prefix: str, spoilt: str
) -> None:
    if spoilt == "full":
        await desk.client.xadd(desk.keys.reply("spoilt"), {"a": "b"}, id=LARGEST_ID)
    else:
        await desk.client.set(desk.keys.reply("spoilt"), "not a stream")
    requests = [{"reply_to": "spoilt"} if i % 5 == 0 else {"reply_to": f"job{i % 2}"} for i in range(50)]
    ids = await desk.add(*requests)
    bad = ids[::5]
    async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)) as parts:
        for job in (0, 1):
            mine = [ids[i] for i, request in enumerate(requests) if request["reply_to"] == f"job{job}"]
            assert {result["status"] for result in (await answers(desk, mine, f"job{job}")).values()} == {"ok"}
        await settled(desk)
    assert not parts.reclaim.resting
    letters = await desk.dead()
    assert sorted(letter["entry_id"] for letter in letters) == sorted(bad)
    assert {letter["error"] for letter in letters} == {"too_many_deliveries"}
    assert all("could not be written" in letter["message"] for letter in letters)


async def test_what_a_thread_derives_is_remembered_apart_from_what_the_loop_derives(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    """Two lanes derive at once; a memory that both write to would lose count of its bounds."""
    loop_thread = threading.get_ident()
    used: dict[object, set[bool]] = {}
    catalogs = set()

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        catalogs.add(id(snapshots.catalog))
        used.setdefault(snapshots.derived, set()).add(threading.get_ident() == loop_thread)
        return answer(requests, snapshots, rng)

    async with serving(redis_url, prefix, Wiring(draw=draw, batch=1)):
        await answers(desk, await desk.add(*({"size": 65_536, "seed": i} if i % 2 else {"size": 1} for i in range(40))))
    assert {frozenset(threads) for threads in used.values()} == {frozenset({True}), frozenset({False})}
    assert len(used) <= 1 + LANES
    assert len(catalogs) == 1


async def test_of_several_workers_each_dead_letter_tells_its_true_last_error(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """Workers take entries over from each other, so that one gives up on what another saw fail."""
    await desk.client.set(desk.keys.reply("spoilt"), "not a stream")
    wirings = [Wiring(consumer=name, idle_ms=5) for name in ("one", "two", "three")]
    with captured_log(tmp_path) as log:
        async with AsyncExitStack() as workers:
            for wiring in wirings:
                await workers.enter_async_context(serving(redis_url, prefix, wiring))
            ids = await desk.add(*[{"reply_to": "spoilt"}] * 20)
            await settled(desk)
        letters = await desk.dead()
        assert sorted(letter["entry_id"] for letter in letters) == sorted(ids)
        assert all("its result could not be written" in letter["message"] for letter in letters)
        assert {line["level"] for line in log.of("result.write_failed")} == {"error"}
        assert all("its result could not" in line["message"] for line in log.of("result.write_failed"))
        assert {line["message"] for line in log.of("request.dead_lettered")} <= {one["message"] for one in letters}


async def test_without_a_place_for_dead_letters_the_worker_serves_on_and_gives_up_later(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    await desk.client.set(desk.keys.dead, "not a stream")
    [entry_id] = await desk.add_many(1)
    await _leave_pending(desk, "dead", deliveries=5)
    with captured_log(tmp_path) as log:
        async with serving(redis_url, prefix, Wiring(idle_ms=_SOON_MS)) as parts:
            await wait_until(lambda: parts.reclaim.resting, timeout_s=DONE_S, what="the dead letter was refused")
            await answers(desk, await desk.add_many(10))
            assert log.of("request.dead_lettered") == []
            assert log.of("result.write_failed")[0]["message"].startswith("its dead letter could not be written")
            await desk.client.delete(desk.keys.dead)
            await answers(desk, [entry_id])
            await settled(desk)
        assert [line["entry_id"] for line in log.of("request.dead_lettered")] == [entry_id]
    assert [letter["entry_id"] for letter in await desk.dead()] == [entry_id]


async def test_failures_of_entries_that_others_settled_are_forgotten(desk: Desk, redis_url: str, prefix: str) -> None:
    await desk.client.set(desk.keys.reply("spoilt"), "not a stream")
    await desk.add(*({"reply_to": "spoilt"} for _ in range(20)))
    async with serving(redis_url, prefix) as parts:
        await wait_until(lambda: len(parts.reclaim.resting) == 20, timeout_s=DONE_S, what="the failures are noted")
        assert len(await desk.consumer("two").take_over(0)) == 20
        parts.reclaim.demand()
        await wait_until(lambda: not parts.reclaim.resting, timeout_s=DONE_S, what="the failures are forgotten")


# -- weights ---------------------------------------------------------------------------------------------------


@pytest.mark.any_redis
async def test_no_request_is_answered_under_weights_older_than_itself(desk: Desk, redis_url: str, prefix: str) -> None:
    """A thousand changes at random, by three kinds of writers, while two workers serve."""
    chance = random.Random(1)
    store = desk.weights()
    values = [f'{{"voice": {i + 1}, "music": {2 * i + 1}, "documentary": 1}}' for i in range(1000)]
    number = {_version(value): i for i, value in enumerate(values)}
    assert len(number) == 1000
    since: dict[str, int] = {}
    async with (
        serving(redis_url, prefix, Wiring(batch=7)) as one,
        serving(redis_url, prefix, Wiring(consumer="two", batch=7)) as two,
    ):
        for i, value in enumerate(values):
            writer = chance.randrange(3)
            if writer == 0:
                await desk.client.set(desk.keys.weights(), value)  # and no notification
            elif writer == 1:
                await store.store_quietly(None, value)
            else:
                await desk.client.set(desk.keys.weights(), value)
                await desk.client.publish(desk.keys.weights(), "")
            since |= dict.fromkeys(await desk.add_many(chance.randrange(4)), i)
        found = await answers(desk, since)
        await settled(desk)
    assert {result["weights_source"] for result in found.values()} == {"redis"}
    late = [entry_id for entry_id, i in since.items() if number[found[entry_id]["weights_version"]] < i]
    assert late == []
    assert one.meter.requests + two.meter.requests == len(since)
    await _results_match_stats(desk)


def _version(value: str) -> str:
    weights = parse_weights(value.encode(), "redis")
    assert weights is not None
    return weights.version


# -- groups and replies that are lost: tests/faults has more ----------------------------------------------------


async def test_requests_in_hand_are_let_go_when_their_group_is_gone(desk: Desk, redis_url: str, prefix: str) -> None:
    """If they stayed in hand, they would be tried for ever, or be lost to the group's second delivery."""
    drawn: list[int] = []

    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        if not drawn:
            with connect(redis_url) as client:
                client.xgroup_destroy(desk.keys.requests, GROUP)
        drawn.append(len(requests))
        return answer(requests, snapshots, rng)

    ids = await desk.add_many(3)
    async with serving(redis_url, prefix, Wiring(draw=draw)):
        await answers(desk, ids)
        await settled(desk)
    assert drawn == [3, 3]


async def test_what_a_lost_reply_delivered_comes_before_what_was_added_later(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    async def are_delivered() -> bool:
        groups = await desk.client.xinfo_groups(desk.keys.requests)
        return bool(groups) and groups[0]["entries-read"] == 10

    async with losing_replies(redis_url, "XREADGROUP") as url:
        first = await desk.add_many(10)
        async with serving(url, prefix):
            await wait_until(are_delivered, timeout_s=DONE_S, what="the reply is lost")
            later = await desk.add_many(10)
            await answers(desk, first + later)
    assert [result["entry_id"] for result in await desk.results()] == first + later


async def test_after_an_outage_it_is_enough_that_one_lane_reads(redis_url: str, prefix: str) -> None:
    """The other lane waits for its turn: for ever, if requests come one by one and nothing else is due."""
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        async with wired(proxy.url, prefix) as parts:
            parts.reclaim.pause_s = 3600.0
            async with running(parts):
                availability = parts.availability
                await wait_until(lambda: proxy.cut("XREADGROUP") > 0, timeout_s=DONE_S, what="it reads")
                proxy.is_refusing = True
                proxy.cut()
                failed = availability._failures
                await wait_until(
                    lambda: failed.get("reading", 0) > LANES, timeout_s=DONE_S, what="each lane has failed"
                )
                proxy.is_refusing = False
                await wait_until(lambda: availability.is_up, timeout_s=DONE_S, what="Redis is found again")
