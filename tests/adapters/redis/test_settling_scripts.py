"""The two settling scripts: the smaller one does what `settle.lua` does, or nothing at all."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import example, given
from redis.asyncio import Redis

from tests.support.servers import connect
from tests.support.settling_states import MARKS, OURS, Request, State, commands, states
from tests.support.streams import Desk, batch_of, result_of
from worker.adapters.redis.settling import MOST_FEW, lay_out, lay_out_few
from worker.adapters.redis.settling_scripts import SETTLE, SETTLE_FEW
from worker.adapters.redis.streams import RedisStreams
from worker.core.keys import GROUP, Keys
from worker.ports import Batch, StreamLimits

_NOW_MS = 10
_TOKEN = 77
_LIMITS: Final = StreamLimits(results_maxlen=3, reply_ttl_s=600, session_ttl_s=900)

# -- the law ---------------------------------------------------------------------------------------------------


class Side:
    """One of two prefixes under which the same is made."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix, self.keys = client, prefix, Keys(prefix)

    def make(self, state: State) -> None:
        """Create a state, and nothing else."""
        pipeline = self._client.pipeline(transaction=False)
        for key in self._names():
            pipeline.delete(key)
        for command in commands(state, self.keys):
            pipeline.execute_command(*command)
        pipeline.execute()

    def settle(self, script: bytes, layout: Callable[..., Any], batch: Batch) -> tuple[Any, ...]:
        """Return what a script answers, but for the time; keys without the prefix."""
        names, words = layout(batch, keys=self.keys, consumer=OURS, limits=_LIMITS, token=_TOKEN)
        found = self._client.eval(script, len(names), *names, *words)
        kind, *answer = (one.removeprefix(self._prefix.encode()) if isinstance(one, bytes) else one for one in found)
        return (kind, *answer) if kind == b"unclear" else (kind, *answer[1:])

    def look(self) -> dict[bytes, Any]:
        """Return all that is comparable between two prefixes."""
        found = {key.removeprefix(self._prefix.encode()): self._describe(key) for key in self._names()}
        found |= {b"group": self._describe_group(), b"requests": self._client.xrange(self.keys.requests)}
        return found

    def dump(self) -> dict[bytes, Any]:
        """Return everything, to compare one prefix at two times."""
        names = self._names()
        pipeline = self._client.pipeline(transaction=False)
        for key in names:
            pipeline.dump(key)
        return {key: (dump, self._life(key)) for key, dump in zip(names, pipeline.execute(), strict=True)}

    def results(self) -> dict[bytes, Any]:
        """Return the content of the result streams; empty ones count as absent."""
        streams = [key.encode() for key in (self.keys.results, self.keys.reply("a"), self.keys.reply("b"))]
        kinds = {key: self._client.type(key) for key in streams}
        return {
            key: self._client.get(key) if kind == b"string" else self._client.xrange(key) for key, kind in kinds.items()
        }

    def _names(self) -> list[bytes]:
        return sorted(self._client.keys(f"{self._prefix}:*"))

    def _life(self, key: bytes | str) -> int | None:
        """Return for about how many minutes a key will be there; None for ever."""
        left = self._client.ttl(key)
        return None if left < 0 else round(left / 60)

    def _describe(self, key: bytes) -> tuple[Any, ...]:
        kind, client = self._client.type(key), self._client
        if kind == b"stream":
            content = (client.xinfo_stream(key)["entries-added"], [fields for _, fields in client.xrange(key)])
        else:
            read = {b"hash": client.hgetall, b"list": lambda key: client.lrange(key, 0, -1), b"string": client.get}
            content = read[kind](key)
        return (kind, self._life(key), content)

    def _describe_group(self) -> tuple[Any, ...]:
        pending = self._client.xpending_range(self.keys.requests, GROUP, "-", "+", 100)
        about = self._client.xinfo_stream(self.keys.requests)
        return (
            [(row["message_id"], row["consumer"], row["times_delivered"]) for row in pending],
            self._client.xinfo_groups(self.keys.requests),
            [(one["name"], one["pending"]) for one in self._client.xinfo_consumers(self.keys.requests, GROUP)],
            about["last-generated-id"],
            about["max-deleted-entry-id"],
        )


_OURS: Final = Request(OURS, is_in_batch=True)
_SHOWN: Final = (
    State((_OURS,)),
    State((_OURS, _OURS._replace(reply_to="a"), _OURS), growth={"requests:": 3}),
    State((Request("another"), _OURS, _OURS)),
    State((Request(OURS), _OURS, Request("another"), _OURS), start="beyond Lua"),
    State((Request("nobody"), *[_OURS] * 4), start="beyond Lua"),
    State((_OURS, Request("another", is_in_batch=True))),
    State((_OURS, Request(OURS), _OURS)),
    State((_OURS, _OURS), is_reversed=True),
    State((_OURS,), weights={None: ("new", MARKS["old"])}),
    State((_OURS, _OURS._replace(reply_to="a")), streams={"a": "full"}),
    State((_OURS, _OURS), heard="counts", bounds="ahead", heard_growth={"chunks:": 4, "chunks:d": 0}),
    State((_OURS, _OURS), heard="counts", bounds="at it", heard_growth={"chunks:d": 4, "chunks:": 4}),
    State((_OURS,), bounds="at the begin", heard_growth={"chunks:": 1}),
    State((_OURS,), heard="full", bounds="text", heard_growth={"chunks:": 1}),
    State((_OURS._replace(reply_to="b"), _OURS._replace(reply_to="a")), streams={"a": "text"}),
)


def _show(test: Any) -> Any:
    for state in _SHOWN:
        test = example(state)(test)
    return test


def test_the_smaller_script_does_what_the_other_does_or_nothing(redis_url: str, prefix: str) -> None:
    seen: Counter[bytes] = Counter()
    with connect(redis_url) as client:
        few, alone = Side(client, f"{prefix}:few"), Side(client, f"{prefix}:alone")

        @_show
        @given(states())
        def law(state: State) -> None:
            for side in (few, alone):
                side.make(state)
            seen[_hold_equal(few, alone, state)] += 1

        law()
    assert set(seen) == {b"settled", b"unclear"}
    assert min(seen.values()) >= len(_SHOWN) // 3


def _hold_equal(few: Side, alone: Side, state: State) -> bytes:
    """Settle the same batch by both scripts, compare them, and return the smaller one's answer."""
    batch, before, results_before = state.batch, few.dump(), few.results()
    answer = few.settle(SETTLE_FEW.text, lay_out_few, batch)
    expected = alone.settle(SETTLE.text, lay_out, batch)
    said = bytes(answer[0])
    assert said == (b"settled" if state.is_clear and state.is_writable else b"unclear")
    if said == b"settled":
        assert (answer, few.look()) == (expected, alone.look())
        return said
    assert answer == (b"unclear", b"%d" % _TOKEN)
    if state.is_clear:
        _hold_taken_back(few, before, results_before)
    else:
        assert few.dump() == before
    assert few.settle(SETTLE.text, lay_out, batch) == expected
    if not state.is_clear:
        assert few.look() == alone.look()
    return said


def _hold_taken_back(few: Side, before: dict[bytes, Any], results_before: dict[bytes, Any]) -> None:
    """Check that results taken back leave the streams as they were; only a missing expiry may be set."""
    after, results = few.dump(), few.results()
    touched = {key for key in before | after if before.get(key) != after.get(key)}
    for key in touched:
        life_before, (_, life) = before.get(key, (None, None))[1], after[key]
        is_given_one = life_before is None and key != few.keys.results.encode()
        assert life == (_LIMITS.reply_ttl_s // 60 if is_given_one else life_before)
        assert results[key] == results_before[key]


# -- calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [(), (SETTLE,), (SETTLE_FEW,), (SETTLE_FEW, SETTLE)])
async def test_a_server_may_know_either_script(desk: Desk, stream: RedisStreams, known: tuple[Any, ...]) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    for entry_ids, lost in ((ids[:1], ()), (ids, tuple(ids[:1])), (ids[1:], ()), (ids, tuple(ids))):
        await desk.client.script_flush()
        for script in known:
            assert await desk.client.script_load(script.text) == script.sha
        settled = await stream.settle(batch_of([result_of(entry_id) for entry_id in entry_ids]))
        assert settled.lost == lost
        assert (await desk.client.script_exists(SETTLE_FEW.sha))[0]
        assert (await desk.client.script_exists(SETTLE.sha))[0] or not lost
    assert [result["entry_id"] for result in await desk.results()] == ids


@pytest.mark.parametrize("words", [7_896, 7_898, 8_002, 20_000])
async def test_a_result_that_no_script_can_write_leaves_the_others_unwritten(
    desk: Desk, stream: RedisStreams, words: int
) -> None:
    ids = await desk.add_many(2)
    await stream.read(2, _NOW_MS)
    plain = result_of(ids[0])
    long = result_of(ids[1], None, *("x",) * (words - len(plain.fields)))
    settled = await stream.settle(batch_of([plain, long]))
    is_written = words == 7_896
    assert settled.unwritable == (() if is_written else (ids[1],))
    assert [len(record) for record in await desk.words(desk.keys.results)] == [len(plain.fields), words] * is_written


@pytest.mark.parametrize("count", [1, MOST_FEW, MOST_FEW + 1])
async def test_a_few_are_settled_by_one_call_of_the_smaller_script(
    desk: Desk, stream: RedisStreams, redis_client: Redis, count: int
) -> None:
    ids = await desk.add_many(count)
    await stream.read(count, _NOW_MS)
    await redis_client.script_flush()
    assert (await stream.settle(batch_of([result_of(entry_id) for entry_id in ids]))).is_done
    assert await redis_client.script_exists(SETTLE_FEW.sha, SETTLE.sha) == [count <= MOST_FEW, count > MOST_FEW]
