"""A user without a right settles nothing, and gets the error of `settle.lua` from either script."""

import re
from typing import Any, Final

import pytest

from tests.support.rights import user_with, without
from tests.support.streams import ROOMY, Desk, batch_of, result_of
from worker.adapters.redis.client import redis_errors
from worker.adapters.redis.settling import MOST_FEW, lay_out, read_settled
from worker.adapters.redis.settling_scripts import SETTLE, SETTLE_FEW
from worker.core.keys import Keys
from worker.core.weights.in_force import ABSENT
from worker.errors import RedisError
from worker.ports import Batch

_NOW_MS = 10
_TOKEN = 77
_OPTIONS: Final = {"MINID", "MAXLEN", "GT", "NX", "WRONGTYPE"}
_USES: Final = {
    "TIME": (),
    "GET": ("weights",),
    "XPENDING": ("requests",),
    "XACK": ("requests",),
    "XADD": ("results", "reply"),
    "XTRIM": ("requests", "results", "reply"),
    "XDEL": ("requests", "results", "reply"),
    "HMGET": ("heard", "bounds"),
    "HINCRBY": ("stats", "heard"),
    "EXPIRE": ("reply",),
}


def _keys_of(keys: Keys) -> dict[str, str]:
    found = {name: getattr(keys, name) for name in ("requests", "stats", "results", "dead", "heard", "bounds")}
    return found | {"reply": keys.reply("job"), "weights": keys.weights()}


def _without_key(missing: str, keys: dict[str, str]) -> list[str]:
    """Return the rights of a user who may do everything at all keys but one."""
    return [f"~{key}" for name, key in keys.items() if name != missing]


async def _settle_alone(desk: Desk, batch: Batch) -> None:
    """Settle by `settle.lua` alone."""
    names, words = lay_out(batch, keys=desk.keys, consumer="one", limits=ROOMY, token=_TOKEN)
    with redis_errors("the settling script"):
        reply = await desk.client.execute_command("EVAL", SETTLE.text, len(names), *names, *words)
    read_settled(batch, reply, _TOKEN)


async def _dump(client: Any, keys: Keys) -> dict[bytes, bytes]:
    """Return everything but the result streams."""
    names = sorted(await client.keys(f"{keys.prefix}:*"))
    return {name: await client.dump(name) for name in names if not name.startswith(keys.results.encode())}


async def _hold_refused(desk: Desk, redis_url: str, rights: list[str], batch: Batch) -> None:
    """Check that both scripts refuse a user's batch in the same words, and that no key changes."""
    before = await _dump(desk.client, desk.keys)
    sentences = []
    async with user_with(rights, desk, redis_url) as denied:
        for settle in (lambda: _settle_alone(denied, batch), lambda: denied.consumer("one").settle(batch)):
            with pytest.raises(RedisError) as caught:
                await settle()
            sentences.append(str(caught.value))
            assert await _dump(desk.client, desk.keys) == before
            assert (await desk.results(), await desk.results("job")) == ([], [])
    assert sentences[0] == sentences[1]
    assert "may not" in sentences[0]


async def _read_batch(desk: Desk, *, has_older: bool) -> Batch:
    """Read two requests, behind an older one that is pending for somebody else or not."""
    stream, other = desk.consumer("one"), desk.consumer("two")
    await stream.open()
    if has_older:
        await desk.add_many(1)
        await other.read(1, _NOW_MS)
    first, second = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    results = [result_of(first), result_of(second, "job")]
    return batch_of(results, marks=((None, ABSENT),), growth={"requests:": 2}, heard={"chunks:": 8})


def test_rights_are_taken_away_from_each_command_that_the_smaller_script_calls() -> None:
    quoted = set(re.findall(r"'([A-Z]{2,})'", SETTLE_FEW.text.decode()))
    assert quoted - _OPTIONS == set(_USES)


@pytest.mark.parametrize("place", ["oldest", "behind another"])
@pytest.mark.parametrize(("command", "at"), [(name, at) for name, places in _USES.items() for at in ("", *places)])
async def test_a_command_that_is_denied_somewhere_is_refused_as_settle_lua_refuses_it(
    desk: Desk, redis_url: str, command: str, at: str, place: str
) -> None:
    batch = await _read_batch(desk, has_older=place == "behind another")
    keys = _keys_of(desk.keys)
    await _hold_refused(desk, redis_url, without(command, keys[at] if at else "", keys.values()), batch)
    assert (await desk.consumer("one").settle(batch)).is_done
    assert (len(await desk.results()), len(await desk.results("job"))) == (1, 1)


@pytest.mark.parametrize("missing", ["requests", "stats", "results", "reply", "weights", "heard", "bounds"])
async def test_a_key_that_is_denied_is_refused_as_settle_lua_refuses_it(
    desk: Desk, redis_url: str, missing: str
) -> None:
    batch = await _read_batch(desk, has_older=False)
    keys = _keys_of(desk.keys)
    await _hold_refused(desk, redis_url, _without_key(missing, keys), batch)
    if missing not in {"weights", "bounds"}:  # they are only read
        await _hold_refused(desk, redis_url, [*_without_key(missing, keys), f"%R~{keys[missing]}"], batch)


@pytest.mark.parametrize("missing", ["TYPE", "dead"])
async def test_what_only_other_batches_need_is_not_asked_for(desk: Desk, redis_url: str, missing: str) -> None:
    batch = await _read_batch(desk, has_older=False)
    keys = _keys_of(desk.keys)
    rights = without(missing, "", ()) if missing == "TYPE" else _without_key(missing, keys)
    async with user_with(rights, desk, redis_url) as user:
        with pytest.raises(RedisError, match="may not"):
            await _settle_alone(user, batch)
        assert (await user.consumer("one").settle(batch)).is_done


async def test_the_shared_stream_does_not_expire_and_nobody_needs_the_right_to_it(desk: Desk, redis_url: str) -> None:
    batch = await _read_batch(desk, has_older=False)
    keys = _keys_of(desk.keys)
    rights = [*without("TYPE", "", ()), *without("EXPIRE", keys["results"], keys.values())]  # settle.lua calls TYPE
    async with user_with(rights, desk, redis_url) as user:
        assert (await user.consumer("one").settle(batch)).is_done
    assert await desk.client.ttl(keys["results"]) == -1


@pytest.mark.parametrize("command", ["XADD", "XTRIM", "XDEL", "EXPIRE"])
async def test_each_result_stream_is_asked_for(desk: Desk, redis_url: str, command: str) -> None:
    """A batch of more than a few for two clients; the right is missing at the stream of the second alone."""
    stream = desk.consumer("one")
    await stream.open()
    ids = await desk.add_many(MOST_FEW + 2)
    await stream.read(len(ids), _NOW_MS)
    batch = batch_of([result_of(entry_id, f"job-{number % 2}") for number, entry_id in enumerate(ids)])
    keys = _keys_of(desk.keys) | {name: desk.keys.reply(name) for name in ("job-0", "job-1")}
    await _hold_refused(desk, redis_url, without(command, keys["job-1"], keys.values()), batch)
    assert (await desk.results("job-0"), await desk.results("job-1")) == ([], [])
