"""Sessions on real servers: pinned weights and passes, shared by workers that change places."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tests.support.streams import Desk
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, serving, settled, small_catalog
from worker.adapters.redis.sessions import RedisSessions
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw.session_schedules import read_schedule
from worker.core.keys import PINNED, POSITION, SCHEDULE
from worker.core.stats import read_counts

VOICE, MUSIC = (json.dumps({name: 1}) for name in ("voice", "music"))
CHUNKS = 30
WORKERS = 4


async def _set(desk: Desk, value: str) -> None:
    await desk.client.set(desk.keys.weights(), value)
    await desk.client.publish(desk.keys.weights(), "")


async def _ask(desk: Desk, *requests: Mapping[str, object]) -> list[dict[str, str]]:
    """Add requests and wait for their results, in order."""
    ids = await desk.add(*requests)
    found = await answers(desk, ids)
    return [found[entry_id] for entry_id in ids]


# -- pin -------------------------------------------------------------------------------------------------------


async def test_a_pinned_session_holds_its_weights_on_every_worker_and_across_restarts(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    pinned = {"size": 5, "session": "run 7: é", "pin": 1}
    await _set(desk, VOICE)
    async with serving(redis_url, prefix, Wiring("one", batch=1)), serving(redis_url, prefix, Wiring("two", batch=1)):
        [first] = await _ask(desk, pinned)
        await _set(desk, MUSIC)
        results = await _ask(desk, *[pinned, {"size": 5, "session": "run 7: é"}] * 20)
    async with serving(redis_url, prefix, Wiring("three")):
        results += await _ask(desk, pinned, {**pinned, "dataset": "d"}, {**pinned, "session": "another"})
    another = results.pop()
    live = [result for result in results if result["weights_source"] == "redis"]
    held = [first, *(result for result in results if result["weights_source"] == "session")]
    assert (len(live), len(held)) == (20, 23)
    assert {result["counts"] for result in live} == {'{"music":5}'}
    assert {(result["counts"], result["weights_version"]) for result in held} == {
        ('{"voice":5}', first["weights_version"])
    }
    assert another["counts"] == '{"music":5}'


async def test_a_released_session_is_pinned_anew_by_its_next_request(desk: Desk, redis_url: str, prefix: str) -> None:
    pinned = {"size": 3, "session": "s", "pin": 1}
    await _set(desk, VOICE)
    async with serving(redis_url, prefix):
        results = await _ask(desk, pinned)
        await _set(desk, MUSIC)
        results += await _ask(desk, pinned)
        await desk.client.hdel(desk.keys.session("s"), PINNED)
        results += await _ask(desk, pinned)
        await _set(desk, VOICE)
        results += await _ask(desk, pinned)
        await desk.client.delete(desk.keys.session("s"))
        results += await _ask(desk, pinned)
    assert [json.loads(result["counts"]).popitem()[0] for result in results] == [
        "voice",
        "voice",
        "music",
        "music",
        "voice",
    ]


async def test_workers_that_pin_a_session_at_once_agree(desk: Desk, redis_url: str, prefix: str) -> None:
    """Weights change all the time: one version is pinned, and none of the session is drawn under another."""
    async with (
        serving(redis_url, prefix, Wiring("one", batch=2)),
        serving(redis_url, prefix, Wiring("two", batch=2)),
        serving(redis_url, prefix, Wiring("three", batch=2)),
    ):
        ids = []
        for change in range(40):
            await desk.client.set(desk.keys.weights(), json.dumps({"voice": change + 1, "music": 1}))
            ids += await desk.add(*({"session": f"s{change // 4}", "pin": 1} for _ in range(12)))
            if change % 4 == 3:
                await answers(desk, ids)  # so that no two sessions are pinned under the same weights
        found = await answers(desk, ids)
    versions = [{found[entry_id]["weights_version"] for entry_id in ids[i : i + 48]} for i in range(0, len(ids), 48)]
    assert [len(one) for one in versions] == [1] * 10
    assert len(set.union(*versions)) == 10


async def test_an_idle_session_ends_and_a_busy_one_goes_on(desk: Desk, redis_url: str, prefix: str) -> None:
    async with serving(redis_url, prefix):
        await _ask(desk, {"session": "s", "pin": 1})
        await desk.client.expire(desk.keys.session("s"), 5)
        await _ask(desk, {"session": "s"})
        assert 890 <= await desk.client.ttl(desk.keys.session("s")) <= 900


async def test_a_session_whose_key_is_of_another_type_is_told_of_and_comes_back(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    requests: list[dict[str, object]] = [
        {"session": "s"},
        {"session": "s", "pin": 1},
        {"session": "s", "method": "epoch"},
        {"size": 2},
    ]
    async with serving(redis_url, prefix):
        await desk.client.set(desk.keys.session("s"), "text")
        results = await _ask(desk, *requests)
        await desk.client.delete(desk.keys.session("s"))
        restored = await _ask(desk, *requests)
        await settled(desk)
    assert [result.get("error") for result in results] == ["invalid_request"] * 3 + [None]
    assert "session 's' cannot be used, its key holds no hash; accepted: " in results[0]["message"]
    assert {result["status"] for result in restored} == {"ok"}


async def test_a_session_costs_a_few_hundred_bytes_and_counts_what_it_heard(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    requests = [{"session": "s", "pin": 1, "size": 8}, {"session": "s", "method": "epoch", "size": 8}] * 50
    async with serving(redis_url, prefix):
        results = await _ask(desk, *requests)
        await settled(desk)
    fields = {
        name.decode(): text.decode() for name, text in (await desk.client.hgetall(desk.keys.session("s"))).items()
    }
    counts = read_counts({name: int(text) for name, text in fields.items() if text.isdecimal()})
    heard: Counter[str] = Counter()
    for result in results:
        heard.update(json.loads(result["counts"]))
    assert counts.requests == {"": 100}
    assert {row.category: row.count for row in counts.categories} == heard
    assert await desk.client.memory_usage(desk.keys.session("s")) < 1000


# -- schedule --------------------------------------------------------------------------------------------------


@pytest.mark.any_redis
async def test_each_request_of_a_session_is_drawn_at_its_position_by_any_number_of_workers(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    """Results come in the order of their settling, which is that of the positions."""
    schedule = read_schedule(json.dumps({"points": "0 voice=1; 900 music=1", "between": "linear"}).encode())
    await desk.client.hset(desk.keys.session("s"), SCHEDULE, schedule.text)
    catalog, requests = small_catalog(CHUNKS), [{"session": "s", "pin": 1, "size": 1 + i % 7} for i in range(300)]
    async with (
        serving(redis_url, prefix, Wiring("one", batch=3, catalog=catalog)),
        serving(redis_url, prefix, Wiring("two", batch=3, catalog=catalog)),
        serving(redis_url, prefix, Wiring("three", batch=3, catalog=catalog)),
    ):
        await _ask(desk, *requests)
    position, versions = 0, []
    for _, words in await desk.client.xrange(desk.keys.results):
        result = dict(zip(words[::2], words[1::2], strict=True))
        weights = schedule.weights_at(position, {})
        assert weights is not None
        assert result[b"weights_version"].decode() == weights.version
        versions.append(weights.version)
        position += len(json.loads(result[b"chunk_ids"]))
    assert position == sum(1 + i % 7 for i in range(300))
    assert await desk.client.hget(desk.keys.session("s"), POSITION) == b"%d" % position
    assert len(set(versions)) > 50


@pytest.mark.any_redis
async def test_a_schedule_holds_for_the_next_request_on_every_worker(desk: Desk, redis_url: str, prefix: str) -> None:
    pinned, key = {"session": "s", "pin": 1, "size": 3}, desk.keys.session("s")
    sessions = RedisSessions(desk.client, desk.keys)
    async with (
        serving(redis_url, prefix, Wiring("one", batch=1)),
        serving(redis_url, prefix, Wiring("two", batch=1)),
    ):
        await _set(desk, VOICE)
        await _ask(desk, *[pinned] * 10)
        await sessions.set_schedule("s", b'{"points": "0 music=1"}', 60)
        scheduled = await _ask(desk, *[pinned] * 10)
        await sessions.set_schedule("s", b'{"points": "1000 music=1"}', 60)
        again = await _ask(desk, *[pinned] * 10)
        assert await desk.client.hget(key, POSITION) == b"30"
        assert await sessions.release("s")
        await _set(desk, MUSIC)
        released = await _ask(desk, *[pinned] * 10)
    assert await desk.client.hget(key, POSITION) is None
    heard = [{result["counts"] for result in results} for results in (scheduled, again, released)]
    assert heard == [{'{"music":3}'}, {'{"voice":3}'}, {'{"music":3}'}]


# -- epoch -----------------------------------------------------------------------------------------------------


async def _heard(
    desk: Desk, redis_url: str, prefix: str, catalog: Catalog, requests: Sequence[Mapping[str, object]]
) -> Counter[int]:
    """Ask workers that come and go three times; count how often each chunk came."""
    asked: list[str] = []
    async with serving(redis_url, prefix, Wiring("always", batch=3, catalog=catalog)):
        for round_ in range(3):
            wirings = [Wiring(f"w-{round_}-{i}", batch=3, catalog=catalog) for i in range(WORKERS - 1)]
            async with serving(redis_url, prefix, wirings[0]), serving(redis_url, prefix, wirings[1]):
                asked += await desk.add(*requests)
                await answers(desk, asked)
        found = await answers(desk, asked)
    drawn: Counter[int] = Counter()
    for result in found.values():
        assert {name: sum(spans.values()) for name, spans in json.loads(result["passes"]).items()} == json.loads(
            result["counts"]
        )
        drawn.update(json.loads(result["chunk_ids"]))
    return drawn


@pytest.mark.any_redis
async def test_every_chunk_comes_once_a_pass_over_workers_that_come_and_go(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    sizes, catalog = (1, 4, 7, 16), small_catalog(CHUNKS)
    requests = [{"session": "s", "method": "epoch", "size": sizes[i % 4]} for i in range(120)]
    drawn = await _heard(desk, redis_url, prefix, catalog, requests)
    for first in (1_000, 2_000, 3_000):
        heard = [drawn[first + i] for i in range(CHUNKS)]
        assert max(heard) - min(heard) <= 1
    assert sum(drawn.values()) == sum(sizes) * 90


@pytest.mark.any_redis
async def test_every_chunk_comes_once_a_pass_of_its_length_over_workers_that_come_and_go(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    plain = small_catalog(CHUNKS)
    ms = np.tile([1000, 2000, 4000], CHUNKS).astype(np.uint32)
    codes = np.repeat(np.arange(3), CHUNKS)
    catalog = build_catalog(plain.ids.astype(np.int64), codes, list(plain.categories), ms)
    requests = [{"session": "s", "method": "epoch", "budget_s": 12, "buckets": 3} for _ in range(120)]
    drawn = await _heard(desk, redis_url, prefix, catalog, requests)
    for first in range(9):
        heard = [drawn[chunk] for chunk in plain.ids[first % 3 + first // 3 * CHUNKS :][: CHUNKS - 2 : 3].tolist()]
        assert len(heard) == CHUNKS // 3
        assert max(heard) - min(heard) <= 1
        assert min(heard) > 0


@pytest.mark.any_redis
async def test_two_sessions_do_not_share_passes_and_others_are_not_held_up(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    requests = [{"session": name, "method": "epoch", "category": "voice", "size": CHUNKS} for name in ("a", "b")]
    async with serving(redis_url, prefix, Wiring(catalog=small_catalog(CHUNKS))):
        results = await _ask(desk, *requests, {"size": 4})
    chunks = [json.loads(result["chunk_ids"]) for result in results]
    assert sorted(chunks[0]) == sorted(chunks[1]) == list(range(1_000, 1_000 + CHUNKS))
    assert chunks[0] != chunks[1]
    assert "passes" not in results[2]


@pytest.mark.any_redis
async def test_a_catalog_that_changes_meanwhile_is_gone_through_once(desk: Desk, redis_url: str, prefix: str) -> None:
    request = {"session": "s", "method": "epoch", "category": "voice", "size": 10}
    async with serving(redis_url, prefix, Wiring(catalog=small_catalog(20))) as parts:
        [first] = await _ask(desk, request)
        parts.current.catalog = small_catalog(40)
        rest = await _ask(desk, request, request)
    drawn = [chunk for result in (first, *rest) for chunk in json.loads(result["chunk_ids"])]
    old = [chunk for chunk in drawn if chunk < 1_020]
    assert len(set(old)) == len(old)
    assert max(drawn) >= 1_020
    passes = [json.loads(result["passes"])["voice"].keys() for result in (first, *rest)]
    assert passes[0] == {"1"}


@pytest.mark.any_redis
async def test_many_jobs_of_one_session_beside_plain_ones_are_all_served(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    async with (
        serving(redis_url, prefix, Wiring("one")),
        serving(redis_url, prefix, Wiring("two")),
        serving(redis_url, prefix, Wiring("three")),
    ):
        requests: list[dict[str, object]] = [{"session": "s", "method": "epoch", "size": 5}, {"size": 5}] * 100
        jobs = [desk.add(*requests) for _ in range(10)]
        ids = [entry_id for job in await asyncio.gather(*jobs) for entry_id in job]
        found = await answers(desk, ids)
        await settled(desk)
    drawn: Counter[int] = Counter()
    for result in found.values():
        if "passes" in result:
            drawn.update(json.loads(result["chunk_ids"]))
    assert sum(drawn.values()) == 5_000
    for first in (1_000, 2_000, 3_000):
        heard = [drawn[first + i] for i in range(50)]
        assert max(heard) - min(heard) <= 1


async def test_a_session_that_vanishes_begins_anew(desk: Desk, redis_url: str, prefix: str) -> None:
    request = {"session": "s", "method": "epoch", "category": "voice", "size": 10}
    async with serving(redis_url, prefix, Wiring(catalog=small_catalog(20))):
        [first] = await _ask(desk, request)
        await _ask(desk, request)
        await desk.client.delete(desk.keys.session("s"))
        await wait_until(lambda: _is_gone(desk), timeout_s=DONE_S, what="the session is gone")
        [again] = await _ask(desk, request)
    assert sorted(json.loads(again["chunk_ids"])) == sorted(json.loads(first["chunk_ids"]))


async def _is_gone(desk: Desk) -> bool:
    return not await desk.client.exists(desk.keys.session("s"))


# -- several sessions in one batch -----------------------------------------------------------------------------


async def test_a_batch_of_sessions_that_others_moved_is_settled_at_the_next_attempt(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    """What the batch would have done to the others is not taken for done: they would never all be right at once."""
    names = ["a", "b", "c", "d"]
    requests = [{"session": name, "method": "epoch", "size": 3, "category": "voice"} for name in names]
    async with serving(redis_url, prefix) as parts:
        await _ask(desk, *requests)
        for moved in (["a"], ["d"], ["a", "c"], names):
            for name in moved:
                await desk.client.hset(desk.keys.session(name), "epoch:voice", f"{len(moved) + 7}:0000000000000000:")
            before = parts.meter.interval.redrawn
            found = await _ask(desk, *requests)
            assert [result["status"] for result in found] == ["ok"] * 4
            assert parts.meter.interval.redrawn - before <= len(names), (
                "each batch is drawn again once, however many there are"
            )
