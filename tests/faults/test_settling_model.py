"""Settling on a real server against a pure model of it: whatever happens in whatever order, both hold the same.

Requests are added, read, read again and taken over; batches are settled late, twice, by consumers that have lost them;
weights and sessions change under them; streams, groups and everything vanish.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

import pytest
import redis.exceptions
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.faults.settling_model import SESSIONS, STREAMS, WEIGHTS, Drawn, Model, Outcome, Value, mark_of
from tests.support.streams import Desk, batch_of, desk_at, result_of
from worker.adapters.redis.streams import RedisStreams
from worker.core.draw.sessions import SessionChange
from worker.core.keys import GROUP
from worker.errors import GroupMissingError

CONSUMERS = ("one", "two", "three")
VALUES: tuple[Value, ...] = (None, '{"voice":1}', '{"music":1}', ["no", "weights"])
FIELDS = ("epoch:voice", "weights")
TEXTS = (b"1", b"2")
EXAMPLES, STEPS = 25, 40

T = TypeVar("T")
consumers = st.sampled_from(CONSUMERS)
sessions: st.SearchStrategy[dict[str, str]] = (
    st.just({}) | st.just({}) | st.dictionaries(st.sampled_from(SESSIONS), st.sampled_from(FIELDS), max_size=2)
)


class Bench:
    """A server, and the consumers on it, to be used by one state machine after the other.

    Attributes:
        outcomes: How often settling ended how, over all of them.
    """

    def __init__(self, runner: asyncio.Runner, desk: Desk) -> None:
        self._runner, self.desk = runner, desk
        self.outcomes: Counter[str] = Counter()
        self.streams: dict[str, RedisStreams] = {name: desk.consumer(name) for name in CONSUMERS}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def do(self, *command: Any) -> Any:
        return self.run(self.desk.client.execute_command(*command))


class Settling(RuleBasedStateMachine):
    """A state machine that does the same to a server and to a model."""

    batches: Bundle[Drawn] = Bundle("batches")

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench, self.keys, self.model = bench, bench.desk.keys, Model()
        self.in_hand: dict[str, list[str]] = {name: [] for name in CONSUMERS}
        self.added = 0
        bench.do("FLUSHALL")

    # -- the stream --------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), reply_to=st.sampled_from(STREAMS))
    def add(self, count: int, reply_to: str | None) -> None:
        for _ in range(count):
            self.added += 1
            entry = f"{self.added}-0"
            self.bench.do("XADD", self.keys.requests, entry, "size", 1)
            self.model.add(entry, reply_to)

    @rule(consumer=consumers, count=st.integers(1, 5))
    def read(self, consumer: str, count: int) -> None:
        try:
            entries = self.bench.run(self.bench.streams[consumer].read(count, 1))
        except GroupMissingError:
            assert not self.model.has_group
            self.bench.run(self.bench.streams[consumer].open())
            self.model.open()
        else:
            assert [entry.id for entry in entries] == self.model.read(consumer, count)
            self.in_hand[consumer] += [entry.id for entry in entries]

    @rule(consumer=consumers, takes_over=st.booleans())
    def read_again(self, consumer: str, takes_over: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        if not self.model.has_group:
            return
        entries = self.bench.run(_deliver_again(self.bench.streams[consumer], takes_over=takes_over))
        expected = self.model.take_over(consumer) if takes_over else self.model.mine(consumer)
        assert entries == expected
        self.in_hand[consumer] = entries

    @rule(what=st.sampled_from(["kill", "kill", "destroy group", "flush scripts", "flush"]), consumer=consumers)
    def break_something(self, what: str, consumer: str) -> None:
        if what == "kill":
            self.in_hand[consumer].clear()
        elif what == "destroy group":
            with suppress(redis.exceptions.ResponseError):
                self.bench.do("XGROUP", "DESTROY", self.keys.requests, GROUP)
            self.model.destroy_group()
        elif what == "flush scripts":
            self.bench.do("SCRIPT", "FLUSH")
        else:
            self.bench.do("FLUSHALL")
            self.model.flush()

    # -- what batches are drawn under --------------------------------------------------------------------------

    @rule(name=st.sampled_from(WEIGHTS), value=st.sampled_from(VALUES))
    def weigh(self, name: str | None, value: Value) -> None:
        key = self.keys.weights(name)
        self.bench.do("DEL", key)
        if isinstance(value, list):
            self.bench.do("RPUSH", key, *value)
        elif value is not None:
            self.bench.do("SET", key, value)
        self.model.values[name] = value

    @rule(
        session=st.sampled_from(SESSIONS),
        field=st.sampled_from(FIELDS),
        what=st.sampled_from(["1", "2", "end", "spoil"]),
    )
    def change_session(self, session: str, field: str, what: str) -> None:
        key, held = self.keys.session(session), self.model.sessions.get(session, {})
        if what in {"1", "2"} and held is not None:
            self.bench.do("HSET", key, field, what)
            self.model.sessions[session] = {**held, field: what.encode()}
        else:
            self.bench.do("PEXPIRE", key, 0)
            self.model.sessions.pop(session, None)
        if what == "spoil":
            self.bench.do("SET", key, "no hash")
            self.model.sessions[session] = None

    @rule(stream=st.sampled_from(STREAMS), is_spoiled=st.booleans())
    def end_results(self, stream: str | None, is_spoiled: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        key = self._results_key(stream)
        self.bench.do("PEXPIRE", key, 0)
        self.model.results[stream] = []
        self.model.spoiled.discard(stream)
        if is_spoiled:
            self.bench.do("SET", key, "no stream")
            self.model.spoiled.add(stream)

    # -- settling ----------------------------------------------------------------------------------------------

    @rule(target=batches, consumer=consumers, most=st.integers(1, 6), fields=sessions, data=st.data())
    def draw(
        self, consumer: str, most: int, fields: dict[str, str], data: st.DataObject
    ) -> Drawn | MultipleResults[Drawn]:
        if not self.in_hand[consumer]:
            self.read(consumer, most)
        entries = tuple(dict.fromkeys(self.in_hand[consumer]))[:most]
        if not entries:
            return multiple()
        dead = data.draw(st.sets(st.sampled_from(entries), max_size=2)) if data.draw(st.booleans()) else set()
        return self._drawn(consumer, entries, fields, frozenset(dead), data.draw(st.sampled_from(TEXTS)))

    def _drawn(
        self, consumer: str, entries: tuple[str, ...], fields: dict[str, str], dead: frozenset[str], text: bytes
    ) -> Drawn:
        """Draw under what is there now."""
        held = {session: self.model.sessions.get(session) or {} for session in fields}
        return Drawn(
            consumer,
            entries,
            {name: mark_of(self.model.values[name]) for name in WEIGHTS},
            {session: {field: held[session].get(field, b"")} for session, field in fields.items()},
            {session: {field: text} for session, field in fields.items()},
            dead,
        )

    @rule(drawn=batches)
    def settle(self, drawn: Drawn) -> None:
        expected = self.model.settle(drawn)
        assert self._settle(drawn) == expected
        kinds = [name for name, found in zip(Outcome._fields, expected, strict=True) if found]
        self.bench.outcomes.update(kinds or ["done"])

    @rule(count=st.integers(2, 6), reply_to=st.sampled_from(STREAMS), consumer=consumers, fields=sessions)
    def serve(self, count: int, reply_to: str | None, consumer: str, fields: dict[str, str]) -> None:
        """Do what mostly happens: requests come and are read, drawn and settled."""
        self.add(count, reply_to)
        self.read(consumer, count)
        if self.in_hand[consumer]:
            self.settle(self._drawn(consumer, tuple(dict.fromkeys(self.in_hand[consumer])), fields, frozenset(), b"3"))
            self.in_hand[consumer].clear()

    @rule(drawn=batches)
    def settle_without_a_group(self, drawn: Drawn) -> None:
        self.break_something("destroy group", CONSUMERS[0])
        self.settle(drawn)

    @rule(drawn=batches)
    def settle_twice(self, drawn: Drawn) -> None:
        self.settle(drawn)
        self.settle(drawn)

    def _settle(self, drawn: Drawn) -> Outcome:
        batch = batch_of(
            [result_of(entry, self.model.reply_to[entry]) for entry in drawn.entries],
            marks=tuple(drawn.marks.items()),
            growth={"requests:": len(drawn.entries)},
            dead={entry: ("entry_id", entry) for entry in drawn.dead},
            sessions={
                name: SessionChange(fields, drawn.stored[name], {"requests:": 1})
                for name, fields in drawn.expected.items()
            },
        )
        try:
            settled = self.bench.run(self.bench.streams[drawn.consumer].settle(batch))
        except GroupMissingError:
            return Outcome(is_group_missing=True)
        moved = {name: _drawn_by(fields) for name, fields in settled.moved.items()}
        return Outcome(False, frozenset(settled.stale), moved, settled.lost, settled.unwritable)  # noqa: FBT003

    # -- what has to hold --------------------------------------------------------------------------------------

    @invariant()
    def no_request_has_two_results(self) -> None:
        assert max(self.model.answered.values(), default=0) <= 1

    @invariant()
    def the_server_holds_what_the_model_holds(self) -> None:
        model, (requests, dead, stats, pending, *others) = self.model, self.bench.run(self._look())
        assert [entry.decode() for entry, _ in requests] == model.waiting
        assert [words[1].decode() for _, words in dead] == model.letters
        assert int(stats or 0) == model.requests
        if model.has_group:
            assert {row[0].decode(): row[1].decode() for row in pending} == model.pending
        for stream, results in zip(STREAMS, others, strict=False):
            if stream not in model.spoiled:
                assert [words[3].decode() for _, words in results] == model.results[stream]
        for session, fields in zip(SESSIONS, others[len(STREAMS) :], strict=True):
            held = model.sessions.get(session, {})
            if held is not None:
                assert _drawn_by({name.decode(): value for name, value in fields.items()}) == held

    async def _look(self) -> list[Any]:
        """Read everything in one round trip; what has no group, or another type, answers with an error."""
        pipeline = self.bench.desk.client.pipeline(transaction=False)
        for key in (self.keys.requests, self.keys.dead):
            pipeline.execute_command("XRANGE", key, "-", "+")
        pipeline.hget(self.keys.stats, "requests:")
        pipeline.execute_command("XPENDING", self.keys.requests, GROUP, "-", "+", 1_000)
        for stream in STREAMS:
            pipeline.execute_command("XRANGE", self._results_key(stream), "-", "+")
        for session in SESSIONS:
            pipeline.hgetall(self.keys.session(session))
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    def _results_key(self, stream: str | None) -> str:
        return self.keys.results if stream is None else self.keys.reply(stream)


def _drawn_by(fields: Any) -> Any:
    """Leave out of a session's fields what only counts."""
    return None if fields is None else {name: value for name, value in fields.items() if name in FIELDS}


async def _deliver_again(stream: RedisStreams, *, takes_over: bool) -> list[str]:
    """Read what is pending for a consumer, or for any."""
    if takes_over:
        await stream.take_over(0)
    pending = await stream.pending()
    return [entry.id for entry in await stream.deliver_again(pending)] if pending else []


def _settle_in_every_way(settling: Settling) -> None:
    """Reach each outcome once: which of them the random walks reach depends on the version of hypothesis."""
    ways: dict[str, Callable[[], None]] = {
        "done": lambda: settling.weigh(None, None),
        "stale": lambda: settling.weigh(None, VALUES[1]),
        "moved": lambda: settling.change_session(SESSIONS[0], FIELDS[0], "2"),
        "lost": lambda: settling.read_again(CONSUMERS[1], takes_over=True),
        "unwritable": lambda: settling.end_results(None, is_spoiled=True),
        "is_group_missing": lambda: settling.break_something("destroy group", CONSUMERS[0]),
    }
    assert ways.keys() == {"done", *Outcome._fields}
    for kind, happens in ways.items():
        settling.break_something("flush", CONSUMERS[0])
        settling.in_hand = {name: [] for name in CONSUMERS}
        settling.read(CONSUMERS[0], 1)  # makes the group
        settling.add(2, None)
        settling.read(CONSUMERS[0], 2)
        entries = tuple(settling.in_hand[CONSUMERS[0]])
        drawn = settling._drawn(CONSUMERS[0], entries, {SESSIONS[0]: FIELDS[0]}, frozenset(), TEXTS[0])
        before = settling.bench.outcomes[kind]
        happens()
        settling.settle(drawn)
        assert settling.bench.outcomes[kind] == before + 1, kind


@pytest.mark.fault("all that can happen to a request, in any order, against a model of it")
def test_settling_does_what_the_model_does(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        desk = runner.run(stack.enter_async_context(desk_at(redis_url, "model")))
        try:
            bench = Bench(runner, desk)
            run_state_machine_as_test(
                lambda: Settling(bench),  # type: ignore[arg-type]  # it takes whatever makes one
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
            walker = Settling(bench)
            _settle_in_every_way(walker)
            walker.no_request_has_two_results()
            walker.the_server_holds_what_the_model_holds()
            bench.do("FLUSHALL")
        finally:
            runner.run(stack.aclose())
