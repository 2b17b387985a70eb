"""Rules on real servers: all of a step or nothing of it, each once, and none over what a person wrote."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.adjust import RedisAdjust
from worker.core.adjust.driver import plan_begin, plan_pause
from worker.core.adjust.orders import plan_off, plan_set, settings_of
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import Found, PlannedStep, plan_weights
from worker.core.weights.changes import WantedChange, plan_change
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.errors import AdjustError, RefusedError

VOICE, MUSIC = '{"voice": 1}', '{"music": 1}'
RULE = {"rule": "cooldown", "parameters": {"over": 1000}, "mode": "on"}
NAMES = [None, "speech-2.v1"]


@pytest.fixture
def rules(desk: Desk) -> Iterator[RedisAdjust]:
    found = RedisAdjust(desk.client, desk.keys)
    yield found
    found.close()


def a_step(found: Found, state: str = '{"rule_mark": "x"}', **parts: Any) -> PlannedStep:
    return PlannedStep(found, state=state, **parts)


async def hash_of(desk: Desk, key: str) -> Mapping[str, str]:
    return {name.decode(): text.decode() for name, text in (await desk.client.hgetall(key)).items()}


async def test_nothing_is_found_where_nothing_is(rules: RedisAdjust) -> None:
    found = await rules.look("d")
    assert (found.settings, found.state, found.heard, found.bounds) == (b"", b"", {}, {})
    assert (found.weights.mark, found.weights.value) == (ABSENT, None)
    assert await rules.names() == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_step_stores_all_its_parts_and_notifies(desk: Desk, rules: RedisAdjust, name: str | None) -> None:
    field, key = name or "", desk.keys.weights(name)
    await desk.client.set(key, VOICE)
    await rules.change(name, lambda found: plan_set(found, RULE, "ann"))
    async with desk.client.pubsub() as listener:
        await listener.subscribe(key)
        found = await rules.look(name)
        change = plan_weights(found, MUSIC, "rule cooldown", "because", positioned=True)
        bounds = {"chunks": 100.5, "requests": 7.0, "chunks:voice": 9.0}
        assert await rules.make(a_step(found, change=change, bounds=bounds))
        messages = [await listener.get_message(timeout=5) for _ in range(2)]
    assert messages[1]["data"] == f" {MUSIC}".encode()
    assert await desk.client.get(key) == f" {MUSIC}".encode()
    assert await hash_of(desk, desk.keys.adjust_state) == {field: '{"rule_mark": "x"}'}
    stored = {f"chunks:{field}": "100.5", f"requests:{field}": "7", f"chunks:{field}:voice": "9"}
    assert await hash_of(desk, desk.keys.bounds) == stored
    [entry] = await desk.records(desk.keys.history)
    assert (entry["who"], entry["reason"], entry["dataset"]) == ("rule cooldown", "because", field)
    peeked = await rules.peek(name, ["voice"])
    found = await rules.look(name)
    assert replace(peeked, weights=found.weights) == found
    assert replace(peeked.weights, now_ms=found.now_ms) == found.weights
    assert found.bounds == bounds
    assert found.is_positioned
    assert found.value == MUSIC


@pytest.mark.parametrize("what", ["settings", "state", "weights", "removed weights"])
async def test_a_step_is_not_made_once_something_has_changed(desk: Desk, rules: RedisAdjust, what: str) -> None:
    await desk.client.set(desk.keys.weights("d"), VOICE)
    await rules.change("d", lambda found: plan_set(found, RULE, "ann"))
    found = await rules.look("d")
    if what == "settings":
        await desk.client.hset(desk.keys.adjust, "d", "other")
    elif what == "state":
        await desk.client.hset(desk.keys.adjust_state, "d", "other")
    elif what == "weights":
        await desk.client.set(desk.keys.weights("d"), MUSIC)
    else:
        await desk.client.delete(desk.keys.weights("d"))
    before = [await desk.client.dump(key) for key in sorted(await desk.client.keys(f"{desk.keys.prefix}:*"))]
    change = plan_weights(found, '{"voice": 1, "music": 1}', "rule cooldown", "because", positioned=True)
    assert not await rules.make(a_step(found, change=change, bounds={"chunks": 3.0}, restarts=True))
    after = [await desk.client.dump(key) for key in sorted(await desk.client.keys(f"{desk.keys.prefix}:*"))]
    assert before == after


async def test_a_step_touches_the_fields_of_its_own_dataset_alone(desk: Desk, rules: RedisAdjust) -> None:
    fields = ["chunks:", "chunks:d", "chunks::voice", "chunks:d:voice", "requests:dd", "ms:d"]
    for key in (desk.keys.heard, desk.keys.bounds):
        await desk.client.hset(key, mapping=dict.fromkeys(fields, 5))
    found = await rules.look("d", ["voice", "music"])
    assert found.heard == {"chunks": 5.0, "ms": 5.0, "chunks:voice": 5.0}
    assert found.bounds == {"chunks": 5.0, "ms": 5.0, "chunks:voice": 5.0}
    assert await rules.make(a_step(found, bounds={"ms": 6.0}, restarts=True))
    assert set(await hash_of(desk, desk.keys.heard)) == {"chunks:", "chunks::voice", "requests:dd"}
    assert await hash_of(desk, desk.keys.bounds) == {
        "chunks:": "5", "chunks::voice": "5", "requests:dd": "5", "ms:d": "6"
    }  # fmt: skip
    assert sorted(await rules.names(), key=str) == [None, "d", "dd"]


async def test_a_step_stores_the_counts_that_a_rule_goes_on_from(desk: Desk, rules: RedisAdjust) -> None:
    await desk.client.hset(desk.keys.heard, mapping={"chunks:d": 5, "ms:d": 6, "chunks:d:old": 7, "chunks:": 8})
    heard = {"chunks": 360, "chunks:voice": 310}
    assert await rules.make(a_step(await rules.look("d"), bounds={"chunks": 400.0}, restarts=True, heard=heard))
    assert await hash_of(desk, desk.keys.heard) == {"chunks:d": "360", "chunks:d:voice": "310", "chunks:": "8"}
    found = await rules.look("d", ["voice"])
    assert (found.heard, found.bounds) == (heard, {"chunks": 400.0})


async def test_counts_of_strangers_are_numbers_or_nothing(desk: Desk, rules: RedisAdjust) -> None:
    await desk.client.hset(desk.keys.heard, mapping={"chunks:d": "many", "ms:d": "-3", "requests:d": "1e999"})
    assert (await rules.look("d")).heard == {"chunks": 0.0, "ms": 0.0, "requests": 1e18}


async def test_a_step_ends_the_return_of_temporary_weights(desk: Desk, rules: RedisAdjust) -> None:
    wanted = WantedChange(VOICE, "ann", "", 3_600_000, "1h")
    await desk.writer().change("d", lambda found: plan_change(found, wanted))
    found = await rules.look("d")
    assert found.weights.pending is not None
    change = plan_weights(found, MUSIC, "rule cooldown", "because", positioned=False)
    assert await rules.make(a_step(found, change=change))
    assert await desk.client.exists(desk.keys.returns) == 0
    assert "lapsed" in (await desk.records(desk.keys.history))[-1]


async def test_a_weights_key_of_another_type_is_no_start(desk: Desk, rules: RedisAdjust) -> None:
    await desk.client.rpush(desk.keys.weights("d"), "x")
    found = await rules.look("d")
    assert found.weights.mark == WRONG_TYPE
    with pytest.raises(AdjustError, match="does not hold a string"):
        plan_set(found, RULE, "ann")


@pytest.mark.parametrize("key", ["adjust", "adjust_state", "heard", "bounds", "returns", "history"])
async def test_a_key_of_another_type_is_refused_and_nothing_is_stored(desk: Desk, rules: RedisAdjust, key: str) -> None:
    await desk.client.set(desk.keys.weights("d"), VOICE)
    found = await rules.look("d")
    await desk.client.set(getattr(desk.keys, key), "x")
    change = plan_weights(found, MUSIC, "rule cooldown", "because", positioned=True)
    with pytest.raises(RefusedError) as refusal:
        await rules.make(a_step(found, settings="{}", change=change, bounds={"chunks": 3.0}, restarts=True))
    assert f": {getattr(desk.keys, key)} is of another type (WRONGTYPE)" in str(refusal.value)
    assert await desk.client.get(desk.keys.weights("d")) == VOICE.encode()
    assert await desk.client.exists(desk.keys.weights("d"), desk.keys.history, desk.keys.adjust_state) <= 2


READS: Mapping[str, tuple[str, ...]] = {
    "names": ("adjust", "adjust_state", "bounds"),
    "peek": ("adjust", "adjust_state", "heard", "bounds", "returns"),
    "served": ("stats",),
}


@pytest.mark.parametrize(("read", "key"), [(read, key) for read, keys in READS.items() for key in keys])
async def test_who_reads_a_key_of_another_type_is_refused_and_told_which(
    desk: Desk, rules: RedisAdjust, read: str, key: str
) -> None:
    await desk.client.set(getattr(desk.keys, key), "x")
    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "names": rules.names,
        "peek": lambda: rules.peek("d"),
        "served": lambda: rules.served("d"),
    }
    with pytest.raises(RefusedError, match=f"refused reading {getattr(desk.keys, key)}: a key is of another type"):
        await calls[read]()


async def test_of_many_who_make_the_same_step_one_does(rules: RedisAdjust) -> None:
    found = await rules.look("d")
    made = await asyncio.gather(*(rules.make(a_step(found, f'{{"n": {n}}}')) for n in range(50)))
    assert sum(made) == 1


async def test_who_tells_a_rule_something_sees_what_is_stored_then(desk: Desk, rules: RedisAdjust) -> None:
    seen: list[bytes] = []

    def decide(found: Found) -> PlannedStep:
        seen.append(found.settings)
        return PlannedStep(found, settings=json.dumps([len(seen), found.settings.decode()]))

    others = [RedisAdjust(desk.client, desk.keys) for _ in range(5)]
    await asyncio.gather(*(one.change("d", decide) for one in others))
    text = (await rules.look("d")).settings.decode()
    depth = 0
    while text:
        _, text = json.loads(text)
        depth += 1
    assert depth == 5


async def test_what_was_served_ever_is_read_from_the_counts(desk: Desk, rules: RedisAdjust) -> None:
    counts = {
        "requests:d": 10, "errors:d:unknown_category": 2, "chunks:d:voice": 30, "chunks:d:music": 5, "ms:d:voice": 700,
        "chunks:dd:voice": 99, "requests:": 7, "chunks::voice": 3, "mixture:x": "text", "chunks:d:bad": "x",
    }  # fmt: skip
    await desk.client.hset(desk.keys.stats, mapping=counts)
    assert await rules.served("d") == {
        "requests": 8, "chunks": 35, "ms": 700, "chunks:voice": 30, "chunks:music": 5
    }  # fmt: skip
    assert await rules.served(None) == {"requests": 7, "chunks": 3, "chunks:voice": 3}


async def test_the_author_of_weights_is_found_in_the_history(desk: Desk, rules: RedisAdjust) -> None:
    await desk.writer().change("d", lambda found: plan_change(found, WantedChange(VOICE, "who of d", "")))
    await desk.writer().change("e", lambda found: plan_change(found, WantedChange(MUSIC, "who of e", "")))
    found = await rules.look("d")
    who, at_ms = await rules.author(found)
    assert (who, 0 <= found.now_ms - at_ms < 60_000) == ("who of d", True)
    await desk.writer().change("d", lambda found: plan_change(found, WantedChange(VOICE, "nobody", "as before")))
    assert (await rules.author(found))[0] == "who of d"
    await desk.client.set(desk.keys.weights("d"), MUSIC)
    found = await rules.look("d")
    assert await rules.author(found) == ("", found.now_ms)
    assert (await rules.author(await rules.look("f")))[0] == ""


async def test_a_rule_is_set_begun_paused_and_removed(desk: Desk, rules: RedisAdjust) -> None:
    await desk.client.set(desk.keys.weights("d"), VOICE)
    await rules.change("d", lambda found: plan_set(found, RULE, "ann"))
    found = await rules.look("d")
    settings = settings_of(found)
    assert (settings.who, settings.prior, settings.found) == ("ann", {"voice": 1.0}, mark_of(VOICE.encode()).decode())
    assert await rules.make(plan_begin(settings, found, {}))
    found = await rules.look("d")
    state = read_state(found.state)
    assert state == State(settings.rule_mark, stored=found.weights.mark.decode(), before=VOICE, began_ms=state.began_ms)
    assert await rules.make(plan_pause(state, found, "ann changed the weights"))
    await rules.change("d", lambda found: plan_off(found, "ann"))
    assert await desk.client.exists(desk.keys.adjust, desk.keys.adjust_state, desk.keys.heard, desk.keys.bounds) == 0
    assert await desk.client.get(desk.keys.weights("d")) == VOICE.encode()
