"""A session's hash in the settling step, on real servers: it is fenced, and changes as a whole or not at all."""

from typing import Any

from tests.support.streams import Desk, batch_of, result_of
from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.streams import RedisStreams
from worker.core.draw.sessions import SessionChange
from worker.core.weights.in_force import ABSENT
from worker.ports import Settled

_NOW_MS = 10


async def _settle(desk: Desk, stream: RedisStreams, sessions: dict[str, SessionChange], **parts: Any) -> Settled:
    """Settle a request of its own with what becomes of some sessions."""
    [entry_id] = await desk.add({"size": 1})
    await stream.read(1, _NOW_MS)
    return await stream.settle(batch_of([result_of(entry_id)], sessions=sessions, **parts))


async def _hash(desk: Desk, name: str) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = await desk.client.hgetall(desk.keys.session(name))
    return fields


async def test_a_session_changes_with_the_results(desk: Desk, stream: RedisStreams) -> None:
    changes = {
        "a": SessionChange({"x": b"", "y": b""}, {"x": b"1", "y": b"\xff 2"}, {"requests:": 3}),
        "name: with é and blanks": SessionChange({}, {}, {"requests:": 1, "chunks::voice": 7}),
    }
    settled = await _settle(desk, stream, changes)
    assert settled == Settled(settled.at_ms)
    assert await _hash(desk, "a") == {b"x": b"1", b"y": b"\xff 2", b"requests:": b"3"}
    assert await _hash(desk, "name: with é and blanks") == {b"requests:": b"1", b"chunks::voice": b"7"}
    for name in changes:
        assert 890 <= await desk.client.ttl(desk.keys.session(name)) <= 900
    again = {"a": SessionChange({"x": b"1"}, {"x": b"3"}, {"requests:": 2})}
    assert not (await _settle(desk, stream, again)).moved
    assert (await _hash(desk, "a"))[b"x"] == b"3"
    assert len(await desk.results()) == 2


async def test_nothing_is_written_where_a_session_holds_something_else(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.hset(desk.keys.session("a"), mapping={"x": "1", "other": "2"})
    changes = {
        "fine": SessionChange({"x": b""}, {"x": b"1"}, {}),
        "a": SessionChange({"x": b"0"}, {"x": b"9"}, {"requests:": 1}),
        "gone": SessionChange({"x": b"5"}, {}, {"requests:": 1}),
    }
    settled = await _settle(desk, stream, changes, growth={"requests:": 1})
    assert settled.moved == {"a": {"x": b"1", "other": b"2"}, "gone": {}}
    assert settled.stale == {}
    assert await _hash(desk, "a") == {b"x": b"1", b"other": b"2"}
    assert await desk.results() == []
    assert await desk.counts() == {}
    assert await desk.client.exists(*(desk.keys.session(name) for name in ("fine", "gone"))) == 0
    assert await desk.pending() == 1


async def test_weights_and_sessions_that_changed_are_told_together(desk: Desk, stream: RedisStreams) -> None:
    changes = {"a": SessionChange({"x": b"1"}, {}, {})}
    settled = await _settle(desk, stream, changes, marks=((None, b"other"),))
    assert settled.stale == {None: ABSENT}
    assert settled.moved == {"a": {}}


async def test_a_key_of_another_type_is_told_of_whatever_was_expected(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.set(desk.keys.session("a"), "text")
    for change in (SessionChange({}, {}, {"requests:": 1}), SessionChange({"x": b""}, {"x": b"1"}, {})):
        assert (await _settle(desk, stream, {"a": change})).moved == {"a": None}
    assert await desk.client.get(desk.keys.session("a")) == b"text"


async def test_a_count_that_cannot_grow_does_not_undo_the_rest(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.hset(desk.keys.session("a"), mapping={"requests:": "many", "chunks::voice": str(2**63 - 1)})
    change = SessionChange({}, {"x": b"1"}, {"requests:": 1, "chunks::voice": 1, "chunks::music": 1})
    settled = await _settle(desk, stream, {"a": change})
    assert settled.uncounted == desk.keys.session("a")
    assert (await _hash(desk, "a"))[b"x"] == b"1"
    assert len(await desk.results()) == 1


async def test_sessions_are_read_together(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.hset(desk.keys.session("a"), mapping={"x": "1"})
    await desk.client.set(desk.keys.session("b"), "text")
    assert await stream.read_sessions(["a", "b", "c"]) == [{"x": b"1"}, None, {}]
    assert await stream.read_sessions([]) == []


async def test_the_sessions_that_have_a_limit_are_read_and_what_was_told_is_noted_once(desk: Desk) -> None:
    sessions = RedisSessions(desk.client, desk.keys, ttl_s=900)
    await sessions.set_limit("a", 2.5, 50)
    await desk.client.hset(desk.keys.session("b"), mapping={"x": "1"})
    await desk.client.set(desk.keys.session("c"), "text")
    assert await sessions.read_limited(["a", "b", "c", "d"]) == {"a": {"repeats_limit": b"2.5"}}
    assert await sessions.read_limited([]) == {}
    assert [await sessions.note_told("a", "told:2.5:near:x") for _ in range(2)] == [True, False]
    assert await desk.client.ttl(desk.keys.session("a")) <= 50
    assert await sessions.note_told("gone", "told:2.5:near:x")
    assert 890 <= await desk.client.ttl(desk.keys.session("gone")) <= 900
    await sessions.set_limit("a", 0, 50)
    assert await sessions.read_limited(["a"]) == {}
