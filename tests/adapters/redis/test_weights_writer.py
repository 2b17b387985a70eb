"""Changes of weights on real servers: each is atomic, and none overwrites a change unseen."""

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.support.streams import Desk, desk_at
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.weights.changes import PlannedChange, StoredWeights, WantedChange, plan_change
from worker.core.weights.history import Change
from worker.core.weights.in_force import mark_of, preset_name
from worker.core.weights.temporary import Return
from worker.core.weights.values import default_weights, parse_weights
from worker.errors import RedisError, RefusedError

VOICE, MUSIC, BOTH = '{"voice": 1}', '{"music": 1}', '{"voice": 1, "music": 1}'
LONG_MS = 3_600_000


def _version(text: str) -> str:
    weights = parse_weights(text.encode(), "redis")
    assert weights is not None
    return weights.version


def _to(value: str | None, lasts_ms: int | None = None, who: str = "ann") -> Callable[[StoredWeights], PlannedChange]:
    wanted = WantedChange(value, who, "a test", lasts_ms, "" if lasts_ms is None else "1h")
    return lambda found: plan_change(found, wanted)


async def _all(writer: RedisWeightsWriter) -> list[Change]:
    return [change async for change in writer.history()]


@pytest.fixture
async def writer(desk: Desk) -> RedisWeightsWriter:
    return desk.writer()


@pytest.mark.parametrize("name", [None, "speech-2.v1", "preset:night"])
async def test_a_change_is_stored_noted_and_rung_for(desk: Desk, writer: RedisWeightsWriter, name: str | None) -> None:
    key = desk.keys.weights(name)
    async with desk.client.pubsub() as listener:
        await listener.subscribe(key)
        made = [await writer.change(name, _to(value)) for value in (VOICE, MUSIC, None)]
        notifications = [await listener.get_message(timeout=5) for _ in range(4)]
    assert [notification["type"] for notification in notifications] == ["subscribe", "message", "message", "message"]
    assert await desk.client.exists(key) == 0
    none = default_weights().version if name is None else ""
    assert await desk.records(desk.keys.history) == [
        {
            "before": before,
            "after": after,
            "dataset": name or "",
            "who": "ann",
            "reason": "a test",
            "version_before": version_before,
            "version_after": version_after,
        }
        for before, after, version_before, version_after in [
            ("", VOICE, none, _version(VOICE)),
            (VOICE, MUSIC, _version(VOICE), _version(MUSIC)),
            (MUSIC, "", _version(MUSIC), none),
        ]
    ]
    assert [change.id for change in made if change] == await desk.ids(desk.keys.history)
    assert await _all(writer) == made[::-1]


async def test_what_is_decided_upon_is_what_stands_there(desk: Desk, writer: RedisWeightsWriter) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    await desk.client.rpush(desk.keys.weights("list"), "x")
    await desk.client.set(desk.keys.weights("d"), b"\xff")
    now_ms = int((await desk.client.time())[0]) * 1000
    found = {name: await writer.look(name) for name in (None, "absent", "list", "d")}
    assert found[None].value == found["d"].shared_value == VOICE.encode()
    assert found[None].mark == found["d"].shared_mark == mark_of(VOICE.encode())
    assert (found["absent"].mark, found["absent"].value) == (b"absent", None)
    assert (found["list"].mark, found["list"].value) == (b"wrong type", None)
    assert (found["d"].value, found["d"].return_text) == (b"\xff", b"")
    assert all(abs(one.now_ms - now_ms) < 60_000 for one in found.values())


async def test_nothing_is_done_where_that_is_the_decision(desk: Desk, writer: RedisWeightsWriter) -> None:
    assert await writer.change(None, lambda _: None) is None
    assert await desk.client.keys(f"{desk.keys.prefix}*") == []


async def test_a_change_meanwhile_is_decided_upon_anew(desk: Desk, writer: RedisWeightsWriter) -> None:
    seen: list[bytes | None] = []
    meddled = asyncio.Event()

    def decide(found: StoredWeights) -> PlannedChange:
        seen.append(found.value)
        if not meddled.is_set():
            meddled.set()
            changed = StoredWeights(None, 0, b"0" * 40, b"what never stood there", b"", None)
            return plan_change(changed, WantedChange(BOTH, "ann", ""))
        return plan_change(found, WantedChange(MUSIC, "ann", ""))

    await desk.client.set(desk.keys.weights(), VOICE)
    change = await writer.change(None, decide)
    assert change is not None
    assert (seen, change.before) == ([VOICE.encode(), VOICE.encode()], VOICE)
    assert len(await _all(writer)) == 1


async def test_of_many_writers_at_once_each_has_seen_what_it_replaces(desk: Desk) -> None:
    async def write(number: int) -> None:
        writer = desk.writer()
        for i in range(10):
            assert await writer.change(None, _to(f'{{"voice": {number + 1}, "music": {i + 1}}}', who=str(number)))

    await asyncio.gather(*(write(number) for number in range(8)))
    changes = await _all(desk.writer())
    assert len(changes) == 80
    assert all(later.before == earlier.after for later, earlier in pairwise(changes))
    assert (await desk.client.get(desk.keys.weights())).decode() == changes[0].after


async def test_a_key_of_another_type_is_replaced(desk: Desk, writer: RedisWeightsWriter) -> None:
    await desk.client.rpush(desk.keys.weights(), "x")
    change = await writer.change(None, _to(VOICE))
    assert change is not None
    assert (change.before, await desk.client.get(desk.keys.weights())) == ("", VOICE.encode())


@pytest.mark.parametrize("key", ["history", "presets", "returns"])
async def test_nothing_is_stored_where_a_part_of_it_cannot_be(desk: Desk, writer: RedisWeightsWriter, key: str) -> None:
    name = preset_name("night")
    await desk.client.set(getattr(desk.keys, key), "of another type")
    await desk.client.set(desk.keys.weights(name), VOICE)
    with pytest.raises(RedisError) as refusal:
        await writer.change(name, _to(MUSIC, LONG_MS))
    assert f": {getattr(desk.keys, key)} is of another type (WRONGTYPE)" in str(refusal.value)
    assert await desk.client.get(desk.keys.weights(name)) == VOICE.encode()
    assert sorted(await desk.client.keys(f"{desk.keys.prefix}*")) == sorted(
        one.encode() for one in (getattr(desk.keys, key), desk.keys.weights(name))
    )


async def test_a_strangers_key_of_returns_keeps_no_change_from_being_made(
    desk: Desk, writer: RedisWeightsWriter
) -> None:
    await desk.client.set(desk.keys.returns, "of another type")
    assert await writer.change(None, _to(VOICE)) is not None
    assert f"{desk.keys.returns} holds no hash" in await writer.expire_temporary()
    assert await desk.client.get(desk.keys.returns) == b"of another type"


async def test_a_long_history_is_read_to_its_end_and_the_newest_comes_first(
    desk: Desk, writer: RedisWeightsWriter
) -> None:
    pipeline = desk.client.pipeline(transaction=False)
    for i in range(250):
        pipeline.xadd(desk.keys.history, {"who": str(i), "after": b"\xff"})
    await pipeline.execute()
    assert [change.who for change in await _all(writer)] == [str(i) for i in reversed(range(250))]


async def test_presets_are_listed_while_they_are_stored(writer: RedisWeightsWriter) -> None:
    assert await writer.presets() == []
    for preset in ("night", "day"):
        await writer.change(preset_name(preset), _to(VOICE))
    await writer.change("dataset", _to(VOICE))
    assert await writer.presets() == ["day", "night"]
    await writer.change(preset_name("night"), _to(None))
    assert await writer.presets() == ["day"]


# -- returns ---------------------------------------------------------------------------------------------------


async def _due(desk: Desk, name: str | None = None) -> None:
    """Make temporary weights due now."""
    due = await desk.writer().pending(name)
    assert due is not None
    over = Return(1, due.mark, due.back, due.who, due.lasts)
    await desk.client.hset(desk.keys.returns, name or "", over.text)


@pytest.mark.parametrize("before", [VOICE, None])
@pytest.mark.parametrize("name", [None, "d"])
async def test_temporary_weights_give_way_when_they_are_due(
    desk: Desk, writer: RedisWeightsWriter, name: str | None, before: str | None
) -> None:
    if before is not None:
        await desk.client.set(desk.keys.weights(name), before)
    change = await writer.change(name, _to(MUSIC, LONG_MS))
    pending = await writer.pending(name)
    assert change is not None
    assert pending is not None
    assert (pending.due_ms, pending.back, pending.who) == (change.until_ms, before, "ann")
    await writer.expire_temporary()
    assert await desk.client.get(desk.keys.weights(name)) == MUSIC.encode()
    await _due(desk, name)
    await asyncio.gather(*(desk.writer().expire_temporary() for _ in range(8)))
    assert await desk.client.get(desk.keys.weights(name)) == (before and before.encode())
    newest, *older = await _all(writer)
    assert len(older) == 1
    assert (newest.who, newest.reason, newest.returned_ms) == ("ann", "return after 1h", 1)
    assert (newest.version_before, newest.version_after) == (change.version_after, change.version_before)
    assert await writer.pending(name) is None
    assert await desk.client.exists(desk.keys.returns) == 0


async def test_a_notification_comes_with_a_return(desk: Desk, writer: RedisWeightsWriter) -> None:
    await writer.change(None, _to(MUSIC, LONG_MS))
    await _due(desk)
    async with desk.client.pubsub() as listener:
        await listener.subscribe(desk.keys.weights())
        await listener.get_message(timeout=5)
        await writer.expire_temporary()
        assert (await listener.get_message(timeout=5))["type"] == "message"


async def test_what_somebody_else_has_set_stays(desk: Desk, writer: RedisWeightsWriter) -> None:
    await writer.change(None, _to(MUSIC, LONG_MS))
    await desk.client.set(desk.keys.weights(), BOTH)
    await _due(desk)
    await asyncio.gather(*(desk.writer().expire_temporary() for _ in range(8)))
    assert await desk.client.get(desk.keys.weights()) == BOTH.encode()
    newest, *older = await _all(writer)
    assert (len(older), newest.before, newest.after) == (1, BOTH, BOTH)
    assert "no return after 1h" in newest.reason
    assert await desk.client.exists(desk.keys.returns) == 0


async def test_the_same_weights_for_good_stay(desk: Desk, writer: RedisWeightsWriter) -> None:
    temporary = await writer.change(None, _to(MUSIC, LONG_MS))
    kept = await writer.change(None, _to(MUSIC))
    assert temporary is not None
    assert kept is not None
    assert kept.lapsed_ms == temporary.until_ms
    assert await desk.client.exists(desk.keys.returns) == 0


async def test_temporary_weights_upon_temporary_ones_return_to_what_stood_before_the_first(
    desk: Desk, writer: RedisWeightsWriter
) -> None:
    await writer.change(None, _to(VOICE))
    for value in (MUSIC, BOTH, BOTH):
        await writer.change(None, _to(value, LONG_MS))
    await _due(desk)
    await writer.expire_temporary()
    assert await desk.client.get(desk.keys.weights()) == VOICE.encode()
    assert len(await _all(writer)) == 5


async def test_a_return_that_was_put_off_does_not_come_at_its_old_time(desk: Desk, writer: RedisWeightsWriter) -> None:
    """The return is found due, and postponed before it is made."""
    await writer.change(None, _to(MUSIC, LONG_MS))
    found = await writer.look(None)
    await writer.change(None, _to(MUSIC, 2 * LONG_MS))
    assert found.return_text != (await writer.look(None)).return_text
    attempts: list[StoredWeights] = []

    def decide(now: StoredWeights) -> PlannedChange | None:
        attempts.append(now)
        return plan_change(found, WantedChange(VOICE, "late", "")) if len(attempts) == 1 else None

    assert await writer.change(None, decide) is None
    assert await desk.client.get(desk.keys.weights()) == MUSIC.encode()


async def test_strangers_among_the_returns_are_told_of_and_keep_no_other_waiting(
    desk: Desk, writer: RedisWeightsWriter
) -> None:
    await desk.client.hset(desk.keys.returns, mapping={"d": "no return", "e": b"\xff", b"\xff": "{}", "../x": "{}"})
    await writer.change(None, _to(MUSIC, LONG_MS))
    await _due(desk)
    problem = await writer.expire_temporary()
    assert re.search(rf"field .* and 1 more of {desk.keys.returns} holds no return .*; accepted: .*HDEL", problem)
    assert await writer.pending("d") is None
    assert [change.name for change in await _all(writer)] == [None, None]
    assert await desk.client.hlen(desk.keys.returns) == 4


async def test_one_return_that_is_refused_keeps_no_other_waiting(desk: Desk, writer: RedisWeightsWriter) -> None:
    await writer.change(preset_name("night"), _to(VOICE))
    for name in (preset_name("night"), "d"):
        await writer.change(name, _to(MUSIC, LONG_MS))
        await _due(desk, name)
    await desk.client.delete(desk.keys.presets)
    await desk.client.set(desk.keys.presets, "of another type")
    with pytest.raises(RefusedError, match="WRONGTYPE"):
        await writer.expire_temporary()
    assert await desk.client.exists(desk.keys.weights("d")) == 0


async def test_a_return_that_cannot_be_noted_is_not_made(desk: Desk, writer: RedisWeightsWriter) -> None:
    await writer.change(None, _to(MUSIC, LONG_MS))
    await _due(desk)
    await desk.client.set(desk.keys.history, "of another type")
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await writer.expire_temporary()
    assert await desk.client.get(desk.keys.weights()) == MUSIC.encode()
    await desk.client.delete(desk.keys.history)
    await writer.expire_temporary()
    assert await desk.client.exists(desk.keys.weights()) == 0


async def test_a_reader_without_the_right_to_write_can_read_the_history_and_what_is_to_come(
    desk: Desk, writer: RedisWeightsWriter, redis_url: str
) -> None:
    await writer.change(preset_name("night"), _to(MUSIC, LONG_MS))
    user = desk.keys.prefix
    rights = ("on", "nopass", f"%R~{user}:*", "+@read", "+@connection")
    await desk.client.execute_command("ACL", "SETUSER", user, *rights)
    try:
        async with desk_at(redis_url.replace("//", f"//{user}:x@"), user) as reading:
            reader = reading.writer()
            assert await _all(reader) == await _all(writer)
            assert await reader.pending(preset_name("night")) == await writer.pending(preset_name("night"))
            assert await reader.presets() == ["night"]
    finally:
        await desk.client.execute_command("ACL", "DELUSER", user)
