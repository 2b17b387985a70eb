"""A part waits for the step of a rule that is due; if nobody makes it, not for ever."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import captured_log
from tests.support.streams import Desk
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, serving, settled
from worker.core.weights.values import parse_weights
from worker.service import due_steps

VOICE, MUSIC = ' {"voice": 1}', ' {"music": 1}'


def _version(text: str) -> str:
    weights = parse_weights(text.encode(), "redis")
    assert weights is not None
    return weights.version


async def _ask(desk: Desk, count: int) -> Sequence[dict[str, str]]:
    ids = await desk.add(*({"size": 2} for _ in range(count)))
    found = await answers(desk, ids)
    return [found[entry_id] for entry_id in ids]


async def test_requests_are_counted_under_positioned_weights_alone(desk: Desk, redis_url: str) -> None:
    async with serving(redis_url, desk.keys.prefix):
        for text in ('{"voice": 1}', '\n{"voice": 1}'):
            await desk.client.set(desk.keys.weights(), text)
            await _ask(desk, 2)
        await settled(desk)
        assert await desk.client.exists(desk.keys.heard) == 0
        await desk.client.set(desk.keys.weights(), VOICE)
        await desk.client.set(desk.keys.weights("preset:p"), VOICE)
        await desk.add({"size": 5, "preset": "p"}, {"size": 5, "preset": "balanced"}, {"size": 0})
        await _ask(desk, 3)
        await settled(desk)
    heard = await desk.client.hgetall(desk.keys.heard)
    assert heard == {b"chunks:": b"6", b"chunks::voice": b"6", b"requests:": b"3"}


async def test_what_meets_a_bound_waits_for_the_step(desk: Desk, redis_url: str) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    await desk.client.hset(desk.keys.bounds, "requests:", 2)
    async with serving(redis_url, desk.keys.prefix, Wiring(batch=1)) as parts:
        before = await _ask(desk, 2)
        ids = await desk.add({"size": 2})
        assert await desk.client.hget(desk.keys.heard, "requests:") == b"2"
        pipeline = desk.client.pipeline()
        pipeline.set(desk.keys.weights(), MUSIC)
        pipeline.hset(desk.keys.bounds, "requests:", 3)
        await pipeline.execute()  # and no word of it on the channel
        after = (await answers(desk, ids))[ids[0]]
        await settled(desk)
        assert not parts.settlers[0].in_hand
    assert [result["weights_version"] for result in before] == [_version(VOICE)] * 2
    assert after["weights_version"] == _version(MUSIC)


async def _is_pending(desk: Desk) -> bool:
    groups = await desk.client.exists(desk.keys.requests) and await desk.client.xinfo_groups(desk.keys.requests)
    return bool(groups) and groups[0]["pending"] == 1


async def test_who_needs_no_step_does_not_wait_for_it(desk: Desk, redis_url: str) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    await desk.client.hset(desk.keys.bounds, "requests:", 0)
    async with serving(redis_url, desk.keys.prefix):
        [waiting] = await desk.add({"size": 2})
        await wait_until(partial(_is_pending, desk), timeout_s=DONE_S, what="it is in hand, alone")
        for _ in range(3):
            await answers(desk, await desk.add({"size": 2, "preset": "balanced"}))
        assert waiting not in {result["entry_id"] for result in await desk.results()}
        await desk.client.hset(desk.keys.bounds, "requests:", 1)
        await answers(desk, [waiting])


async def test_of_many_categories_one_that_has_met_its_bound_is_drawn_no_more(desk: Desk, redis_url: str) -> None:
    """A batch names only the categories that it drew of, and is refused if the one is among them."""
    catalog = catalog_of({f"c{number}": 1 for number in range(65)})
    await desk.client.set(desk.keys.weights(), " " + json.dumps({f"c{number}": 1 for number in range(65)}))
    await desk.client.hset(desk.keys.bounds, "chunks::c7", 0)
    async with serving(redis_url, desk.keys.prefix, Wiring(batch=1, catalog=catalog)):
        counts = [json.loads(result["counts"]) for result in await _ask(desk, 200)]
        await settled(desk)
    assert sum(sum(one.values()) for one in counts) > 0
    assert not [one for one in counts if one.get("c7")]
    assert b"chunks::c7" not in await desk.client.hgetall(desk.keys.heard)


async def test_what_pinned_sessions_draw_and_requests_that_name_a_category_is_counted_too(
    desk: Desk, redis_url: str
) -> None:
    await desk.client.set(desk.keys.weights(), MUSIC)
    async with serving(redis_url, desk.keys.prefix, Wiring(batch=1)):
        await answers(desk, await desk.add({"size": 1, "session": "s", "pin": 1}))
        await desk.client.set(desk.keys.weights(), VOICE)
        pinned = {"size": 2, "session": "s", "pin": 1}
        await answers(desk, await desk.add(pinned, {"size": 4, "category": "music"}, {"size": 8}))
        await settled(desk)
    heard = await desk.client.hgetall(desk.keys.heard)
    assert (heard[b"chunks:"], heard[b"chunks::music"], heard[b"chunks::voice"]) == (b"15", b"7", b"8")


async def test_a_step_that_nobody_makes_is_told_once_and_not_waited_for_any_more(
    desk: Desk, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_steps, "_MOST_REFUSALS", 3)
    await desk.client.set(desk.keys.weights(), VOICE)
    await desk.client.hset(desk.keys.bounds, mapping={"chunks:": 2, "requests:": 1000})
    with captured_log(tmp_path) as log:
        async with serving(redis_url, desk.keys.prefix, Wiring(batch=1)):
            await _ask(desk, 40)
            told = log.of("adjust.overdue")
            assert {(line["dataset"], line["unit"]) for line in told} == {(None, "chunks")}
            assert len(told) == 1
            await desk.client.hset(desk.keys.bounds, "chunks:", 1000)
            await _ask(desk, 20)
            await desk.client.hset(desk.keys.bounds, "chunks:", 100)
            await _ask(desk, 20)
            assert len(log.of("adjust.overdue")) == 2
            await settled(desk)
    assert await desk.client.hget(desk.keys.heard, "requests:") == b"80"
