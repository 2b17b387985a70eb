"""A client's two connections on real servers: a resent request is not added again, and nothing is lost."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import losing_replies
from tests.support.streams import TIMEOUT_S, Desk, batch_of, result_of
from worker.adapters.redis.client import connect
from worker.adapters.redis.client_streams import KEPT_TTL_S, NOTES_TTL_S, RedisClientStreams
from worker.adapters.redis.streams import RedisStreams
from worker.core.client_state import NEVER, Ask, Sending
from worker.core.keys import PINNED
from worker.errors import RedisError, RefusedError, UnreadableError

NAME = "job"
SOON_MS = 50


def sending_of(*names: str, deadline_s: float = NEVER, **parts: Any) -> Sending:
    asks = tuple(Ask(name, ("request_id", name, "size", 1, "reply_to", NAME), deadline_s) for name in names)
    return Sending(asks, **{"forgotten": (), "keep_from": "", "read_until": "0-0", **parts})


@asynccontextmanager
async def exchange_at(url: str, desk: Desk) -> AsyncIterator[RedisClientStreams]:
    async with connect(url, timeout_s=TIMEOUT_S) as client:
        exchange = RedisClientStreams(client, desk.keys, NAME)
        try:
            yield exchange
        finally:
            exchange.close()


@pytest.fixture
async def exchange(redis_url: str, desk: Desk) -> AsyncIterator[RedisClientStreams]:
    async with exchange_at(redis_url, desk) as exchange:
        yield exchange


async def asked(desk: Desk) -> list[str]:
    """List the request ids of the entries that wait."""
    return [record["request_id"] for record in await desk.records(desk.keys.requests)]


async def answer(stream: RedisStreams, count: int) -> list[str]:
    """Answer so many requests, and return their entries' ids."""
    entries = await stream.read(count, SOON_MS)
    results = [result_of(entry, NAME, "chunk_ids", "[1]") for entry in entries]
    names = [entry.fields[list(entry.fields).index(b"request_id") + 1].decode() for entry in entries]
    named = [result._replace(request_id=name) for result, name in zip(results, names, strict=True)]
    await stream.settle(batch_of(named))
    return [entry.id for entry in entries]


async def test_requests_are_added_in_their_order_and_noted(desk: Desk, exchange: RedisClientStreams) -> None:
    await exchange.send(sending_of("a", "b"), 0)
    assert await desk.records(desk.keys.requests) == [
        {"request_id": name, "size": "1", "reply_to": NAME} for name in ("a", "b")
    ]
    notes = await desk.client.hgetall(desk.keys.asked(NAME))
    assert notes == dict(zip([b"a", b"b"], [i.encode() for i in await desk.ids(desk.keys.requests)], strict=True))
    assert 0 < await desk.client.ttl(desk.keys.asked(NAME)) <= NOTES_TTL_S


@pytest.mark.fault("a client sends a request again and again: it is added once", "G05")
async def test_what_is_sent_again_is_not_added_again(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    await exchange.send(sending_of("a", "b"), 0)
    await exchange.send(sending_of("a", "b", "c"), 0)
    assert await asked(desk) == ["a", "b", "c"]
    await answer(stream, 3)
    await exchange.send(sending_of("a", "b", "c"), 0)  # the results are there, and not read yet
    assert await asked(desk) == []


@pytest.mark.fault("a client sends a request again and again: it is added once", "G05")
async def test_a_lost_reply_adds_nothing_twice(redis_url: str, desk: Desk, exchange: RedisClientStreams) -> None:
    await exchange.send(sending_of(), 0)  # the server knows the script from here on
    async with losing_replies(redis_url, "EVALSHA", losses=2) as url, exchange_at(url, desk) as losing:
        for _ in range(2):
            with pytest.raises(RedisError):
                await losing.send(sending_of("a"), 0)
        await losing.send(sending_of("a"), 0)
    assert await asked(desk) == ["a"]


async def test_a_result_that_is_lost_is_asked_for_again(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    await exchange.send(sending_of("a"), 0)
    [entry] = await answer(stream, 1)
    await desk.client.delete(desk.keys.reply(NAME))
    await exchange.send(sending_of("a"), 0)
    assert await asked(desk) == ["a"]
    assert await desk.ids(desk.keys.requests) != [entry]


async def test_a_result_that_was_read_and_not_found_is_lost(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    await exchange.send(sending_of("a"), 0)
    await answer(stream, 1)
    [(result_id, _)] = await exchange.read("0-0", 0)
    await exchange.send(sending_of("a", read_until=result_id), 0)
    assert await asked(desk) == ["a"]


async def test_it_heals_after_everything_was_flushed(desk: Desk, exchange: RedisClientStreams) -> None:
    await exchange.send(sending_of("a"), 0)
    await desk.client.execute_command("SCRIPT", "FLUSH")
    await desk.client.delete(desk.keys.requests, desk.keys.asked(NAME))
    await exchange.send(sending_of("a"), 0)
    assert await asked(desk) == ["a"]


async def test_requests_expire_by_the_clock_of_redis(desk: Desk, exchange: RedisClientStreams) -> None:
    await exchange.send(sending_of("a", deadline_s=107.5), 100.0)
    await exchange.send(sending_of("b", deadline_s=99.0), 100.0)  # its time is over: at once, and not never
    seconds, microseconds = await desk.client.time()
    now_ms = seconds * 1000 + microseconds // 1000
    first, second = [int(record["expires_at"]) for record in await desk.records(desk.keys.requests)]
    assert now_ms + 2_500 < first <= now_ms + 7_500
    assert second <= now_ms + 1


async def test_what_is_forgotten_can_be_asked_for_again(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    await exchange.send(sending_of("a", "b"), 0)
    first, second = await answer(stream, 2)
    forgotten = (("a", first), ("b", "1-1"), ("unheard-of", second))  # b was asked for again since, as far as it knows
    await exchange.send(sending_of("a", "b", forgotten=forgotten), 0)
    assert await asked(desk) == ["a"]


async def test_old_results_are_trimmed(exchange: RedisClientStreams, stream: RedisStreams) -> None:
    await exchange.send(sending_of("a", "b", "c"), 0)
    await answer(stream, 3)
    results = await exchange.read("0-0", 0)
    await exchange.send(sending_of(keep_from=results[1][0]), 0)
    assert [result_id for result_id, _ in await exchange.read("0-0", 0)] == [results[1][0], results[2][0]]


async def test_results_are_read_on_from_where_they_were_read(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    assert await exchange.read("0-0", 0) == []
    assert await exchange.read("0-0", SOON_MS) == []
    await exchange.send(sending_of("a"), 0)
    await answer(stream, 1)
    await desk.client.xadd(desk.keys.reply(NAME), {"what": "is no result"})
    (first, reply), (second, none) = await exchange.read("0-0", SOON_MS)
    assert (reply and reply.request_id, none) == ("a", None)
    assert [result_id for result_id, _ in await exchange.read(first, 0)] == [second]


async def test_withdrawing_leaves_nothing_and_nobody_answers_later(
    desk: Desk, exchange: RedisClientStreams, stream: RedisStreams
) -> None:
    await desk.add_many(1)
    await exchange.send(sending_of("answered", "held", "waiting"), 0)
    others = await stream.read(1, SOON_MS)
    await answer(stream, 1)
    held = await stream.read(1, SOON_MS)
    await exchange.withdraw()
    settled = await stream.settle(batch_of([result_of(held[0], NAME)]))
    assert settled.lost == (held[0].id,)
    assert await desk.ids(desk.keys.requests) == [entry.id for entry in others]
    assert await desk.client.exists(desk.keys.asked(NAME), desk.keys.reply(NAME)) == 0


async def test_withdrawing_what_was_never_asked_for_takes_nothing(desk: Desk, exchange: RedisClientStreams) -> None:
    others = await desk.add_many(3)
    await exchange.withdraw()
    assert await desk.ids(desk.keys.requests) == others


async def test_withdrawing_copes_with_many_requests(desk: Desk, exchange: RedisClientStreams) -> None:
    for start in range(0, 2500, 500):
        await exchange.send(sending_of(*(str(number) for number in range(start, start + 500))), 0)
    await exchange.withdraw()
    assert await asked(desk) == []


async def test_releasing_a_session_removes_its_pinned_weights_alone(desk: Desk, exchange: RedisClientStreams) -> None:
    key = desk.keys.session("s")
    await desk.client.hset(key, mapping={PINNED: '{"voice":1}', "epoch:voice": "1:0:"})
    await exchange.release("s")
    assert list(await desk.client.hgetall(key)) == [b"epoch:voice"]


@pytest.mark.parametrize("key", ["requests", "notes", "results"])
async def test_a_key_of_another_type_is_a_lasting_refusal_and_adds_nothing(
    desk: Desk, exchange: RedisClientStreams, key: str
) -> None:
    keys = {"requests": desk.keys.requests, "notes": desk.keys.asked(NAME), "results": desk.keys.reply(NAME)}
    if key == "results":
        await exchange.send(sending_of("a"), 0)
        await desk.client.delete(desk.keys.requests)
    await desk.client.set(keys[key], "of another type")
    with pytest.raises(RefusedError, match="WRONGTYPE"):
        await exchange.send(sending_of("a"), 0)
    assert key == "requests" or await desk.client.exists(desk.keys.requests) == 0


async def test_a_user_without_rights_is_a_lasting_refusal(redis_url: str, desk: Desk) -> None:
    acl = ("ACL", "SETUSER", desk.keys.prefix, "on", ">secret", f"~{desk.keys.prefix}:*", "+@connection", "+xread")
    await desk.client.execute_command(*acl)
    try:
        for password, reason in (("secret", "may not run"), ("wrong", "wrong user name or password")):
            url = redis_url.replace("redis://", f"redis://{desk.keys.prefix}:{password}@")
            async with exchange_at(url, desk) as exchange:
                with pytest.raises(RefusedError, match=reason):
                    await exchange.send(sending_of("a"), 0)
    finally:
        await desk.client.execute_command("ACL", "DELUSER", desk.keys.prefix)


async def test_a_server_that_is_away_is_no_lasting_refusal(desk: Desk) -> None:
    async with exchange_at("redis://127.0.0.1:1", desk) as exchange:
        for call in (exchange.send(sending_of("a"), 0), exchange.read("0-0", 0), exchange.withdraw()):
            with pytest.raises(RedisError) as caught:
                await call
            assert not isinstance(caught.value, RefusedError)


async def test_the_script_of_the_protocol_adds_once_and_heals(desk: Desk, stream: RedisStreams) -> None:
    protocol = Path(__file__).parents[3].joinpath("worker", "PROTOCOL.md").read_text(encoding="utf-8")
    [script] = re.findall(r"```lua\n(.*?)```", protocol, re.DOTALL)
    keys = (desk.keys.requests, desk.keys.asked(NAME), desk.keys.reply(NAME))

    async def add() -> bytes:
        words = ("a", "0-0", "request_id", "a", "reply_to", NAME)
        entry: bytes = await desk.client.execute_command("EVAL", script, len(keys), *keys, *words)
        return entry

    first = await add()
    assert await add() == first
    await answer(stream, 1)
    assert await add() == first
    await desk.client.delete(desk.keys.reply(NAME))
    assert await add() != first
    assert await asked(desk) == ["a"]


async def test_so_many_results_stay_and_live_as_long_as_notes(redis_url: str, desk: Desk, stream: RedisStreams) -> None:
    async with connect(redis_url, timeout_s=TIMEOUT_S) as client:
        keeper = RedisClientStreams(client, desk.keys, NAME, ttl_s=KEPT_TTL_S, most_kept=3)
        for number in range(5):
            await keeper.send(sending_of(f"run-{number}"), 0)
            await answer(stream, 1)
            assert len(await keeper.read("0-0", 0)) == min(
                number + 1, 4
            )  # what comes since then is trimmed with the next
        last = (await desk.ids(desk.keys.reply(NAME)))[-1]
        for key in (desk.keys.asked(NAME), desk.keys.reply(NAME)):
            assert 3600 < await desk.client.ttl(key) <= KEPT_TTL_S
        await keeper.send(sending_of(), 0)
        assert await desk.client.hkeys(desk.keys.asked(NAME)) == [b"run-2", b"run-3", b"run-4"]
        assert [await keeper.has(f"run-{number}", "0-0") for number in range(5)] == [False, False, True, True, True]
        assert not await keeper.has("run-4", last)
        await keeper.send(sending_of("run-5"), 0)
        assert await keeper.has("run-5", last)
        await keeper.withdraw("another")
        assert await desk.client.xlen(desk.keys.reply(NAME)) == 3
        await keeper.withdraw(NAME)
        assert not await desk.client.exists(desk.keys.asked(NAME), desk.keys.reply(NAME))
        keeper.close()


async def test_a_worker_makes_no_life_shorter(desk: Desk, exchange: RedisClientStreams, stream: RedisStreams) -> None:
    await exchange.send(sending_of("a"), 0)
    await answer(stream, 1)
    given_s = await desk.client.ttl(desk.keys.reply(NAME))
    assert 0 < given_s < KEPT_TTL_S
    await desk.client.expire(desk.keys.reply(NAME), KEPT_TTL_S)
    await exchange.send(sending_of("b"), 0)
    await answer(stream, 1)
    assert await desk.client.ttl(desk.keys.reply(NAME)) > given_s
    await desk.client.expire(desk.keys.reply(NAME), 1)
    await exchange.send(sending_of("c"), 0)
    await answer(stream, 1)
    assert await desk.client.ttl(desk.keys.reply(NAME)) > 1


# -- what strangers write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"x",
        b"-",
        b"+",
        b"1",
        b"1-",
        b"(1-1",
        b"1-1 ",
        b"\xff",
        b"99999999999999999999-1",
        b"1-" + b"9" * 5000,
        b"0x1-1",
    ],
)
async def test_a_note_that_is_none_is_written_anew(desk: Desk, exchange: RedisClientStreams, note: bytes) -> None:
    await desk.client.hset(desk.keys.asked(NAME), "a", note)
    for _ in range(2):
        await exchange.send(sending_of("a"), 0)
    assert await asked(desk) == ["a"]
    assert await desk.client.hget(desk.keys.asked(NAME), "a") == (await desk.ids(desk.keys.requests))[0].encode()


async def test_a_note_of_another_type_is_refused_and_nothing_is_added(desk: Desk, exchange: RedisClientStreams) -> None:
    await desk.client.set(desk.keys.asked(NAME), "no hash")
    with pytest.raises(UnreadableError, match=r"WRONGTYPE.*accepted"):
        await exchange.send(sending_of("a"), 0)
    assert await asked(desk) == []


async def test_notes_of_strangers_keep_nothing_from_being_withdrawn(desk: Desk, exchange: RedisClientStreams) -> None:
    await exchange.send(sending_of(*(f"r{number}" for number in range(20))), 0)
    await desk.client.hset(desk.keys.asked(NAME), mapping={"x": b"\xff", "y": "", "z": "99999999999999999999-1"})
    await exchange.withdraw()
    assert await asked(desk) == []
    assert await desk.client.exists(desk.keys.asked(NAME)) == 0


async def test_keys_of_another_type_are_removed_with_the_client(desk: Desk, exchange: RedisClientStreams) -> None:
    await desk.client.set(desk.keys.asked(NAME), "no hash")
    await desk.client.set(desk.keys.reply(NAME), "no stream")
    await exchange.withdraw()
    assert await desk.client.exists(desk.keys.asked(NAME), desk.keys.reply(NAME)) == 0


async def test_what_is_no_result_is_passed_over_or_told(desk: Desk, exchange: RedisClientStreams) -> None:
    key = desk.keys.reply(NAME)
    await desk.client.xadd(key, {"note": b"\xff"})
    await desk.client.xadd(key, {"request_id": "a", "entry_id": "1-1", "counts": "[1]"})
    await desk.client.xadd(key, {"request_id": "b", "entry_id": "1-2", "chunk_ids": "[1]", "counts": '{"voice":1}'})
    nothing, told, good = [reply for _, reply in await exchange.read("0-0", 0)]
    assert nothing is None
    assert told is not None
    assert (told.request_id, told.error) == ("a", "internal")
    assert "counts is '[1]'" in told.message
    assert good is not None
    assert good.error is None
