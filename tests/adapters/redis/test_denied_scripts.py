"""A script is not rolled back: where a right is missing, each script does all of its work, or nothing.

Each right to a command is taken away, everywhere and at each key alone. Then the call is refused and no key changes.
Or the right was not needed there, and the call does what it does with all rights.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import pytest

from tests.support.rights import give_rights, user_with, without
from tests.support.streams import Desk, batch_of, result_of
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.client import redis_errors
from worker.adapters.redis.client_streams import RedisClientStreams
from worker.adapters.redis.clock import redis_now_ms
from worker.adapters.redis.dead_letters import RedisDeadLetters
from worker.adapters.redis.exclusions import RedisExclusions
from worker.adapters.redis.feedback import read_reports
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.stats_folding import RedisFolding
from worker.adapters.redis.streams import RedisStreams
from worker.core.adjust.step import PlannedStep, plan_weights
from worker.core.client_state import Ask, Sending
from worker.core.draw.sessions import SessionChange
from worker.core.keys import GROUP
from worker.core.weights.changes import WantedChange, plan_change
from worker.core.weights.in_force import ABSENT, preset_name
from worker.core.wire import Entry, encode_dead_letter
from worker.errors import RedisError
from worker.ports import Batch

SCRIPTS: Final = Path(str(files("worker.adapters.redis").joinpath("scripts")))
PROTOCOL: Final = Path(__file__).parents[3] / "worker" / "PROTOCOL.md"
NAME: Final = "job"
PRESET: Final = preset_name("night")
NOW_MS: Final = 10
COUNTS: Final = {"requests:": 2, "mixture:a1": '{"voice": 1}', "drawn:voice:d:a1": 3, "drawn::a1": 3}
# What was added is noted by then, as the script says: it is refused again, and adds nothing twice.
REFUSED_IN_THE_MIDDLE: Final = {("submit.lua", "XRANGE")}

_CONSUMERS: Final[WeakKeyDictionary[Desk, RedisStreams]] = WeakKeyDictionary()

Prepare = Callable[[Desk], Awaitable[Any]]
Call = Callable[[Desk, Any], Awaitable[object]]
State = dict[bytes, tuple[bytes, bool]]


class Case(NamedTuple):
    """A call of a script.

    Attributes:
        prepare: Writes what it finds; returns what it is given.
        call: Calls it.
        others: Keys that it looks for and that are not there.
    """

    prepare: Prepare
    call: Call
    others: Callable[[Desk], list[str]] = lambda _: []


# -- what the scripts find ---------------------------------------------------------------------------------------------


async def _nothing(_desk: Desk) -> None:
    pass


async def _excluded(desk: Desk) -> None:
    await _exclude(desk, None, 1)


async def _exclude(desk: Desk, _given: object, chunk: int = 2) -> object:
    return await RedisExclusions(desk.client, desk.keys).change("x", lambda before: {*before, chunk})


async def _request(desk: Desk) -> None:
    await desk.add_many(1)


async def _letters(desk: Desk) -> list[str]:
    words = encode_dead_letter(Entry("1-1", [b"size", b"8"]), "internal", "why")
    return [(await desk.client.execute_command("XADD", desk.keys.dead, "*", *words)).decode() for _ in range(2)]


def _consumer(desk: Desk) -> RedisStreams:
    """Return the consumer that entries are delivered to, which keeps its connections from one right to the next."""
    if desk not in _CONSUMERS:
        _CONSUMERS[desk] = desk.consumer("one")
    return _CONSUMERS[desk]


async def _delivered(desk: Desk) -> list[str]:
    stream = _consumer(desk)
    await stream.open()
    ids = await desk.add_many(3)
    await stream.read(3, NOW_MS)
    return ids


async def _plain(desk: Desk) -> Batch:
    names = (None, NAME, "another")
    results = [result_of(entry_id, name) for entry_id, name in zip(await _delivered(desk), names, strict=True)]
    return batch_of(results, marks=((None, ABSENT),), growth={"requests:": 3})


async def _in_session(desk: Desk) -> Batch:
    await desk.client.hset(desk.keys.session("s"), "a", "1")
    changes = {"s": SessionChange({"a": b"1"}, {"a": b"2"}, {"n": 1}), "t": SessionChange({}, {"a": b"2"}, {"n": 1})}
    return (await _plain(desk))._replace(sessions=changes)


async def _given_up(desk: Desk) -> Batch:
    batch = await _plain(desk)
    return batch._replace(dead={batch.results[0].entry_id: ("size", "1")})


async def _given_up_in_vain(desk: Desk) -> Batch:
    """The second result's stream takes no more entries, so the first one's dead letter is taken back."""
    batch = await _given_up(desk)
    await desk.client.xadd(desk.keys.reply(NAME), {"a": "b"}, id=f"{2**64 - 1}-{2**64 - 1}")
    return batch


async def _bounded(desk: Desk) -> Batch:
    await desk.client.hset(desk.keys.bounds, "chunks:", 1000)
    await desk.client.hset(desk.keys.heard, "chunks:", 1)
    return (await _plain(desk))._replace(heard={"chunks:": 3})


async def _bounded_in_session(desk: Desk) -> Batch:
    sessions = (await _in_session(desk)).sessions
    await desk.client.delete(desk.keys.requests)
    return (await _bounded(desk))._replace(sessions=sessions)


async def _rule(desk: Desk) -> None:
    """Make a rule, temporary weights, and earlier counts and bounds."""
    await _change_weights_of_rule(desk)
    for key in (desk.keys.bounds, desk.keys.heard):
        await desk.client.hset(key, "chunks:d", 5)


async def _change_weights_of_rule(desk: Desk) -> None:
    wanted = WantedChange('{"voice": 1}', "ann", "a test", 60_000, "1m")
    assert await desk.writer().change("d", lambda found: plan_change(found, wanted))


async def _reports(desk: Desk) -> None:
    for losses in ("no losses", '{"voice": 1}', "none either"):
        await desk.client.xadd(desk.keys.feedback, {"losses": losses})


async def _in_another_session(desk: Desk) -> Batch:
    batch = await _in_session(desk)
    await desk.client.hset(desk.keys.session("s"), "a", "moved on")
    return batch


async def _gone_consumers(desk: Desk) -> None:
    await desk.consumer("lives").open()
    await desk.consumer("lives").show("{}", ttl_s=60)
    for name in ("gone", "lives", "passed"):
        await desk.client.execute_command("XGROUP", "CREATECONSUMER", desk.keys.requests, GROUP, name)


async def _shown_consumers(desk: Desk) -> None:
    await _gone_consumers(desk)
    for name in ("gone", "passed"):
        await desk.consumer(name).show("{}", ttl_s=60)


async def _asked(desk: Desk) -> None:
    """Make a client that waits for one request, forgot another, and has more results than it keeps."""
    [waiting] = await desk.add({"request_id": "waits", "reply_to": NAME})
    await desk.client.hset(desk.keys.asked(NAME), mapping={"waits": waiting, "done": "1-1", "old": "1-2"})
    for number, name in enumerate(("older", "old", "read"), 1):
        await desk.client.xadd(desk.keys.reply(NAME), {"request_id": name}, id=f"{number}-1")


async def _results(desk: Desk) -> None:
    for _ in range(3):
        await desk.client.xadd(desk.keys.results, {"chunk_ids": "[1]"})


async def _counts(desk: Desk) -> None:
    await desk.client.hset(desk.keys.stats, mapping=COUNTS)


async def _return(desk: Desk) -> None:
    await desk.client.hset(desk.keys.returns, "d", "no return")


async def _weights(desk: Desk) -> None:
    await desk.client.set(desk.keys.weights("d"), "{}")


async def _preset(desk: Desk) -> None:
    await _change(desk, '{"voice": 1}', lasts_ms=60_000)


# -- their calls -------------------------------------------------------------------------------------------------------


async def _change(desk: Desk, value: str | None, lasts_ms: int | None = None) -> None:
    wanted = WantedChange(value, "ann", "a test", lasts_ms, "" if lasts_ms is None else "1m")
    assert await desk.writer().change(PRESET, lambda found: plan_change(found, wanted))


async def _step(desk: Desk, _: None) -> None:
    rules = RedisAdjust(desk.client, desk.keys)
    found = await rules.look("d")
    change = plan_weights(found, '{"music": 1}', "rule cooldown", "because", positioned=True)
    step = PlannedStep(found, settings="{}", state="{}", change=change, bounds={"ms": 6.0}, restarts=True)
    assert await rules.make(step)


async def _end(desk: Desk, _: None) -> None:
    rules = RedisAdjust(desk.client, desk.keys)
    found = await rules.look("d")
    change = plan_change(found.weights, WantedChange(None, "ann", "a test"))
    assert await rules.make(PlannedStep(found, settings="", state="", change=change, restarts=True))


async def _trim_reports(desk: Desk, _: None) -> None:
    script = (SCRIPTS / "feedback_trim.lua").read_text(encoding="utf-8")
    with redis_errors("the script that trims reports"):
        await desk.client.execute_command("EVAL", script, 1, desk.keys.feedback, 1000, 1, 0)


async def _exchange(desk: Desk, do: Callable[[RedisClientStreams], Awaitable[None]]) -> None:
    exchange = RedisClientStreams(desk.client, desk.keys, NAME, most_kept=2)
    try:
        await do(exchange)
    finally:
        exchange.close()


async def _submit(desk: Desk, _: None) -> None:
    asks = [Ask(name, ("request_id", name, "reply_to", NAME)) for name in ("new", "waits")]
    sending = Sending(tuple(asks), (("done", "1-1"),), "3-1", "3-1")
    await _exchange(desk, lambda exchange: exchange.send(sending, 0))


def _text_of_the_protocol() -> str:
    [script] = re.findall(r"```lua\n(.*?)```", PROTOCOL.read_text(encoding="utf-8"), re.DOTALL)
    return str(script)


async def _submit_as_the_protocol_says(desk: Desk, _: None, *, name: str) -> None:
    script = _text_of_the_protocol()
    keys = (desk.keys.requests, desk.keys.asked(NAME), desk.keys.reply(NAME))
    with redis_errors("the script of the protocol"):
        await desk.client.execute_command("EVAL", script, len(keys), *keys, name, "3-1", "request_id", name)


async def _trim(desk: Desk, _: None) -> None:
    script = (SCRIPTS / "trim_results.lua").read_text(encoding="utf-8")
    with redis_errors("the trimming script"):
        await desk.client.execute_command("EVAL", script, 1, desk.keys.results, 1, 0, 4)


async def _fold(desk: Desk, _: None) -> None:
    folding = RedisFolding(desk.client, desk.keys)
    assert await folding.fold() == 0
    assert await folding.fold() == 1


async def _requeue_all(desk: Desk, _: list[str]) -> None:
    assert [len(part) async for part in RedisDeadLetters(desk.client, desk.keys).requeue_all()] == [2]


async def _settle(desk: Desk, batch: Batch) -> None:
    assert (await desk.consumer("one").settle(batch)).is_done


async def _settle_in_vain(desk: Desk, batch: Batch) -> None:
    assert list((await desk.consumer("one").settle(batch)).moved) == ["s"]


async def _settle_what_cannot_be_written(desk: Desk, batch: Batch) -> None:
    assert (await desk.consumer("one").settle(batch)).unwritable == (batch.results[1].entry_id,)


async def _deliver_again(desk: Desk, _: list[str]) -> None:
    stream = desk.consumer("one")
    assert len(await stream.deliver_again(await stream.pending())) == 3


CASES: Final[dict[str, list[Case]]] = {
    "adjust_step.lua": [Case(_rule, _step), Case(_rule, _end)],
    "PROTOCOL.md": [Case(_asked, partial(_submit_as_the_protocol_says, name=name)) for name in ("new", "waits")],
    "clock_read.lua": [Case(_nothing, lambda desk, _: redis_now_ms(desk.client, desk.keys.requests))],
    "dead_ids.lua": [Case(_letters, _requeue_all)],
    "dead_requeue.lua": [
        Case(_letters, lambda desk, ids: RedisDeadLetters(desk.client, desk.keys).requeue(ids)),
    ],
    "deliver_again.lua": [Case(_delivered, _deliver_again)],
    "feedback_refuse.lua": [Case(_reports, lambda desk, _: read_reports(desk.client, desk.keys, "0-0", 10))],
    "feedback_trim.lua": [Case(_reports, _trim_reports)],
    "forget_consumers.lua": [
        Case(
            _gone_consumers,
            lambda desk, _: desk.consumer("lives").forget_consumers(0),
            lambda desk: [desk.keys.worker(name) for name in ("gone", "passed")],
        )
    ],
    "history_authors.lua": [Case(_preset, lambda desk, _: desk.weights().authorships("0-0"))],
    "returns_read.lua": [Case(_return, lambda desk, _: desk.writer().expire_temporary())],
    "settle.lua": [
        *(Case(prepare, _settle) for prepare in (_in_session, _bounded_in_session, _given_up)),
        Case(_given_up_in_vain, _settle_what_cannot_be_written, lambda desk: [desk.keys.reply("another")]),
        Case(_in_another_session, _settle_in_vain),
    ],
    "settle_few.lua": [Case(_plain, _settle), Case(_bounded, _settle)],
    "stats_clear.lua": [Case(_counts, lambda desk, _: RedisStats(desk.client, desk.keys).read(clear=True))],
    "stats_fold.lua": [Case(_counts, _fold)],
    "stats_mixtures.lua": [Case(_counts, _fold)],
    "exclusion_set.lua": [Case(_excluded, _exclude)],
    "submit.lua": [Case(_asked, _submit)],
    "trim_results.lua": [Case(_results, _trim)],
    "weights_change.lua": [
        Case(_nothing, lambda desk, _: _change(desk, '{"voice": 1}', lasts_ms=60_000)),
        Case(_preset, lambda desk, _: _change(desk, None)),
    ],
    "weights_set.lua": [
        Case(_nothing, lambda desk, _: desk.weights().store_quietly("d", "{}")),
        Case(_weights, lambda desk, _: desk.weights().remove("d")),
    ],
    "workers_read.lua": [
        Case(
            _shown_consumers,
            lambda desk, _: desk.consumer("lives").other_workers(),
            lambda desk: [desk.keys.worker(name) for name in ("gone", "passed")],
        )
    ],
    "withdraw.lua": [Case(_asked, lambda desk, _: _exchange(desk, lambda exchange: exchange.withdraw()))],
}


# -- what comes of them ------------------------------------------------------------------------------------------------


async def _commands_of(desk: Desk, script: str) -> list[str]:
    """List the commands that a script's text names."""
    text = _text_of_the_protocol() if script == PROTOCOL.name else (SCRIPTS / script).read_text(encoding="utf-8")
    words = sorted(set(re.findall(r"'([A-Z]{2,})'", text)))
    known = {name.decode().upper() for name in await desk.client.command_list()}
    return [word for word in words if word in known]


async def _names(desk: Desk) -> list[bytes]:
    return sorted(await desk.client.keys(f"{desk.keys.prefix}:*"))


async def _replies(desk: Desk, commands: Iterable[tuple[str, bytes]]) -> list[Any]:
    """Send commands of one key each together."""
    pipeline = desk.client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return list(await pipeline.execute())


async def _state(desk: Desk) -> State:
    """Return each key's value, and whether it expires; leave out result streams that are empty again."""
    names = await _names(desk)
    results = [name for name in names if name.startswith(desk.keys.results.encode())]
    lengths = await _replies(desk, (("XLEN", name) for name in results))
    kept = sorted({*names} - {name for name, length in zip(results, lengths, strict=True) if not length})
    dumps = await _replies(desk, (("DUMP", name) for name in kept))
    lifetimes = await _replies(desk, (("TTL", name) for name in kept))
    return {name: (dump, ttl >= 0) for name, dump, ttl in zip(kept, dumps, lifetimes, strict=True)}


async def _shape(desk: Desk) -> dict[bytes, int]:
    """Return how much each key holds, which is the same however often a case is run."""
    lengths = {b"stream": "XLEN", b"hash": "HLEN", b"set": "SCARD", b"string": "STRLEN"}
    names = await _names(desk)
    kinds = await _replies(desk, (("TYPE", name) for name in names))
    held = await _replies(desk, ((lengths[kind], name) for kind, name in zip(kinds, names, strict=True)))
    return dict(zip(names, held, strict=True))


async def _prepare(desk: Desk, case: Case) -> Any:
    if names := await _names(desk):
        await desk.client.delete(*names)
    return await case.prepare(desk)


async def _look(desk: Desk, case: Case) -> tuple[dict[bytes, int], list[str]]:
    """Run a case with all rights; return what it makes, and the keys that it may touch."""
    given = await _prepare(desk, case)
    before = await _names(desk)
    await case.call(desk, given)
    names = {name.decode() for name in (*before, *await _names(desk))}
    return await _shape(desk), sorted({*names, *case.others(desk)})


async def _is_refused(denied: Desk, case: Case, given: Any) -> bool:
    refusal = ""
    try:
        await case.call(denied, given)
    except RedisError as error:
        refusal = str(error)
    assert not refusal or "may not" in refusal
    return bool(refusal)


async def _refused(desk: Desk, denied: Desk, script: str, case: Case) -> set[str]:
    """Take away each right in turn; return the commands that are refused when denied at all keys."""
    made, keys = await _look(desk, case)
    refused = set()
    for command in await _commands_of(desk, script):
        for at in ("", *keys):
            given = await _prepare(desk, case)
            before = await _state(desk)
            await give_rights(without(command, at, keys), desk)
            if not await _is_refused(denied, case, given):
                assert await _shape(desk) == made, f"{command} denied at {at or 'all keys'}: something is left out"
                continue
            if not at:
                refused.add(command)
            if (script, command) in REFUSED_IN_THE_MIDDLE:
                before = await _state(desk)
                assert await _is_refused(denied, case, given)
            assert await _state(desk) == before, f"{command} denied at {at or 'all keys'}: something is changed"
    return refused


def test_each_script_is_called() -> None:
    assert {PROTOCOL.name, *(path.name for path in SCRIPTS.iterdir())} == set(CASES)


@pytest.mark.parametrize("script", CASES)
async def test_a_right_that_is_missing_leaves_nothing_half_done(desk: Desk, redis_url: str, script: str) -> None:
    async with user_with((), desk, redis_url) as denied:
        refused = [await _refused(desk, denied, script, case) for case in CASES[script]]
    assert set().union(*refused) == set(await _commands_of(desk, script))
