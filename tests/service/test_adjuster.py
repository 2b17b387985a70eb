"""The loop that makes steps of rules: each once, whoever races and dies, and never over what a person wrote."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.core.adjust.orders import plan_freeze, plan_resume, plan_rollback, plan_set
from worker.core.adjust.rules.schedule import Schedule
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import PlannedStep
from worker.core.weights.changes import WantedChange, plan_change
from worker.errors import AdjustError, RedisUnreachableError
from worker.service.adjuster import Adjuster
from worker.service.snapshots import CurrentSnapshots
from worker.service.supervisor import unending
from worker.service.wiring import redis_availability

CATALOG = catalog_of({"voice": 999, "music": 1})
START = '{"voice": 0.001, "music": 0.999}'
LONG_S = 300.0
SMALLEST = 0.0001
"""The smallest step: as the whole way is 0.998, it takes 9,980 steps."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def rule(step: float, **more: Any) -> dict[str, Any]:
    """Return a rule that goes to the sizes of the categories, as fast as its steps are wide."""
    parameters = {"over": 1e9, "unit": "seconds", "from": 1, "to": 1}
    return {
        "rule": "cooldown",
        "mode": "on",
        "parameters": parameters,
        "interval_s": 0,
        "most_change": step,
        **more,
    }


async def set_rule(desk: Desk, name: str | None = "d", **settings: Any) -> None:
    await desk.client.set(desk.keys.weights(name), START)
    await RedisAdjust(desk.client, desk.keys).change(name, lambda found: plan_set(found, settings, "ann"))


async def state_of(desk: Desk, name: str = "d") -> State | None:
    text = await desk.client.hget(desk.keys.adjust_state, name)
    return None if text is None else read_state(text)


def adjuster(desk: Desk, store: type[RedisAdjust] = RedisAdjust) -> Adjuster:
    current = CurrentSnapshots(CATALOG)
    return Adjuster(store(desk.client, desk.keys), current, redis_availability(), every_s=0.001)


@asynccontextmanager
async def adjusting(redis_url: str, prefix: str, count: int) -> AsyncIterator[None]:
    """Run adjusters, each over a connection of its own."""
    loops: list[asyncio.Task[None]] = []
    async with (
        desk_at(redis_url, prefix) as one,
        desk_at(redis_url, prefix) as two,
        desk_at(redis_url, prefix) as three,
    ):
        desks = [one, two, three]
        loops += [asyncio.create_task(unending(adjuster(desks[i % 3]).run)) for i in range(count)]
        try:
            yield
        finally:
            bugs = [one for one in await end(*loops) if isinstance(one, Exception)]
            assert not bugs, bugs


async def is_there(desk: Desk, name: str = "d") -> bool:
    """Return whether the rule has come to its end: the weights are the sizes."""
    value = json.loads(await desk.client.get(desk.keys.weights(name)))
    return bool(abs(value["music"] - 0.001) < 1e-9)


def _are_told(log: LogLines, steps: int) -> bool:
    return len(log.of("weights.adjusted")) >= steps


async def check_steps(desk: Desk, log: LogLines, count: int) -> None:
    """Check that so many steps were made, each once, and each from where the previous one ended."""
    events = log.of("weights.adjusted")
    assert [event["step"] for event in sorted(events, key=lambda one: one["step"])] == list(range(1, count + 1))
    entries = await desk.records(desk.keys.history)
    assert len(entries) == count
    assert all(before["after"] == after["before"] for before, after in pairwise(entries))
    assert {entry["who"] for entry in entries} == {"rule cooldown"}
    state = await state_of(desk)
    assert state is not None
    assert state.step == count


@pytest.mark.parametrize("workers", [2, 4])
async def test_of_several_workers_one_makes_each_step(desk: Desk, redis_url: str, log: LogLines, workers: int) -> None:
    await set_rule(desk, **rule(0.005))
    async with adjusting(redis_url, desk.keys.prefix, workers):
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the rule is at its end")
        await wait_until(partial(_are_told, log, 200), timeout_s=LONG_S, what="the last step is told of")
    await check_steps(desk, log, 200)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [2, 4])
async def test_of_ten_thousand_steps_each_is_made_once(desk: Desk, redis_url: str, log: LogLines, workers: int) -> None:
    await set_rule(desk, **rule(SMALLEST))
    async with adjusting(redis_url, desk.keys.prefix, workers):
        await wait_until(lambda: is_there(desk), timeout_s=4 * LONG_S, what="the rule is at its end")
        await wait_until(partial(_are_told, log, 9980), timeout_s=LONG_S, what="the last step is told of")
    await check_steps(desk, log, 9980)


@pytest.mark.any_redis
@pytest.mark.parametrize("is_in_history", [True, False])
async def test_a_person_s_change_stays_until_the_rule_is_told_to_go_on(
    desk: Desk, redis_url: str, log: LogLines, *, is_in_history: bool
) -> None:
    rules = RedisAdjust(desk.client, desk.keys)
    await set_rule(desk, **rule(SMALLEST))
    async with adjusting(redis_url, desk.keys.prefix, 4):
        for number in range(1, 26):
            steps = await _made(desk)
            await wait_until(partial(_made_more, desk, steps), timeout_s=LONG_S, what="the rule moves")
            value = json.dumps({"voice": number, "music": 1000})
            if is_in_history:
                await desk.writer().change("d", partial(plan_change, wanted=WantedChange(value, "ann", "")))
            else:
                await desk.client.set(desk.keys.weights("d"), value)
            await wait_until(lambda: _is_paused(desk), timeout_s=LONG_S, what="the rule pauses")
            paused_at = await _made(desk)
            for _ in range(20):
                await asyncio.sleep(0)
                assert await desk.client.get(desk.keys.weights("d")) == value.encode()
            assert await _made(desk) == paused_at
            await rules.change("d", lambda found: plan_resume(found, None))
    paused = log.of("adjust.paused")
    assert len(paused) == 25
    assert all(line["reason"].startswith(f"{'ann' if is_in_history else 'somebody'} changed the w") for line in paused)
    _check_that_persons_were_never_overwritten(await desk.records(desk.keys.history), is_in_history=is_in_history)


def _check_that_persons_were_never_overwritten(entries: list[dict[str, str]], *, is_in_history: bool) -> None:
    """Check that each value that a person wrote starts the rule's next step, and none is lost."""
    starts = [json.loads(entry["before"]) for entry in entries if entry["who"] == "rule cooldown"]
    numbers = [value["voice"] for value in starts if value["music"] == 1000]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 25)) <= set(numbers)  # the rule may have been stopped before it went on from the last one
    if is_in_history:
        assert all(before["after"] == after["before"] for before, after in pairwise(entries))


async def _made(desk: Desk) -> int:
    state = await state_of(desk)
    return 0 if state is None else state.step


async def _made_more(desk: Desk, steps: int) -> bool:
    return await _made(desk) > steps + 3


async def _is_paused(desk: Desk) -> bool:
    state = await state_of(desk)
    return state is not None and state.paused != ""


@pytest.mark.any_redis
async def test_a_shadow_changes_nothing(desk: Desk, redis_url: str, log: LogLines) -> None:
    await set_rule(desk, **rule(0.005, mode="shadow"))
    await desk.client.set(desk.keys.weights("e"), START)

    async def is_at_its_end() -> bool:
        state = await state_of(desk)
        return state is not None and state.shadow == {"music": 0.001, "voice": 0.999}

    async with adjusting(redis_url, desk.keys.prefix, 2):
        await wait_until(is_at_its_end, timeout_s=LONG_S, what="the shadow is at its end")
        await wait_until(partial(_are_told, log, 200), timeout_s=LONG_S, what="the last step is told of")
    keys = {key.decode().removeprefix(desk.keys.prefix) for key in await desk.client.keys(f"{desk.keys.prefix}*")}
    assert keys == {":adjust", ":adjust:state", ":category:weights:d", ":category:weights:e"}
    assert await desk.client.get(desk.keys.weights("d")) == START.encode()
    lines = log.of("weights.adjusted")
    assert ({line["mode"] for line in lines}, len(lines)) == ({"shadow"}, 200)


class _Dying(RedisAdjust):
    """A store that dies at some call: before it, or after Redis did it, so that the answer is lost."""

    calls = 0
    dies_at = 0
    after = False

    async def make(self, planned: PlannedStep) -> bool:
        """Make a step, or die."""
        _Dying.calls += 1
        if _Dying.calls != _Dying.dies_at:
            return await super().make(planned)
        if _Dying.after:
            assert await super().make(planned)
        raise asyncio.CancelledError


@pytest.mark.fault("a worker dies while it makes a step of a rule")
@pytest.mark.any_redis
@pytest.mark.parametrize("after", [False, True], ids=["before the script", "after the script"])
async def test_a_worker_that_dies_within_a_step_loses_none_and_doubles_none(
    desk: Desk, redis_url: str, *, after: bool
) -> None:
    await set_rule(desk, **rule(0.02))
    _Dying.after = after
    for dies_at in range(1, 21):
        _Dying.calls, _Dying.dies_at = 0, dies_at % 4 + 1
        [ended] = await asyncio.gather(adjuster(desk, _Dying).run(), return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)
    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="another worker is at its end")
    entries = await desk.records(desk.keys.history)
    assert all(before["after"] == after["before"] for before, after in pairwise(entries))
    assert (len(entries), await _made(desk)) == (50, 50)


@pytest.mark.any_redis
async def test_a_rule_that_is_frozen_or_rolled_back_is_at_rest(desk: Desk, redis_url: str) -> None:
    rules = RedisAdjust(desk.client, desk.keys)
    await set_rule(desk, **rule(SMALLEST))
    async with adjusting(redis_url, desk.keys.prefix, 2):
        await wait_until(lambda: _made_more(desk, 5), timeout_s=LONG_S, what="the rule moves")
        await rules.change("d", plan_freeze)
        value, steps = await desk.client.get(desk.keys.weights("d")), await _made(desk)
        await set_rule(desk, "e", **rule(0.5))
        await wait_until(lambda: is_there(desk, "e"), timeout_s=LONG_S, what="another rule is at its end")
        assert (await desk.client.get(desk.keys.weights("d")), await _made(desk)) == (value, steps)
        await rules.change("d", lambda found: plan_resume(found, None))
        await wait_until(lambda: _made_more(desk, steps), timeout_s=LONG_S, what="the rule goes on")
        await rules.change("d", lambda found: plan_rollback(found, "ann"))
        assert await desk.client.get(desk.keys.weights("d")) == START.encode()
        assert await rules.names() == ["e"]


@pytest.mark.any_redis
async def test_a_rule_that_runs_goes_on_whatever_strangers_write(desk: Desk, redis_url: str, log: LogLines) -> None:
    def of_none() -> list[str]:
        return [line["message"] for line in log.of("adjust.refused") if line["dataset"] is None]

    await set_rule(desk, **rule(0.1))
    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: _made_more(desk, 1), timeout_s=LONG_S, what="the rule has begun")
        await desk.client.hset(desk.keys.adjust, mapping={"": "junk", **{f"a{i}": "junk" for i in range(4999)}})
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the rule is at its end")
        await wait_until(lambda: len(of_none()) > 1, timeout_s=LONG_S, what="it is told, of all and of the global rule")
    of_global, of_all = sorted(of_none())
    assert of_all == "there are rules for 5,001 datasets; accepted: at most 256"
    assert of_global.startswith("settings: the text is not JSON")
    assert len(log.of("adjust.refused")) <= 257


@pytest.mark.any_redis
async def test_what_is_refused_is_told_once_and_other_rules_go_on(desk: Desk, redis_url: str, log: LogLines) -> None:
    await desk.client.hset(desk.keys.adjust, mapping={"a": "junk", "no name!": "{}", "b": '{"rule": "magic"}'})
    await desk.client.hset(desk.keys.adjust_state, "c", "junk")
    await desk.client.hset(desk.keys.bounds, mapping={"chunks:a": 5, "chunks:gone": 5})
    await desk.client.hset(desk.keys.adjust, "c", '{"rule": "cooldown", "parameters": {"over": 9}, "mode": "on"}')
    await set_rule(desk, **rule(0.5))

    async def is_no_bound_left() -> bool:
        return not await desk.client.exists(desk.keys.bounds)

    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the rule is at its end")
        await wait_until(is_no_bound_left, timeout_s=LONG_S, what="bounds of no rule are gone")
    lines = {line["dataset"]: line["message"] for line in log.of("adjust.refused")}
    assert lines.keys() == {"a", "b", "c"}
    assert "the text is not JSON" in lines["a"]
    assert "rule is 'magic'; accepted: " in lines["b"]
    assert len(log.of("adjust.refused")) == 3


@pytest.mark.any_redis
@pytest.mark.parametrize(
    ("error", "event"),
    [(ZeroDivisionError("by zero"), "adjust.failed"), (AdjustError("it cannot propose"), "adjust.refused")],
)
async def test_a_rule_that_fails_stops_neither_other_rules_nor_batches(
    desk: Desk, redis_url: str, log: LogLines, monkeypatch: pytest.MonkeyPatch, error: Exception, event: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Schedule, "propose", fail)
    points = [{"at": 0, "weights": {"voice": 1}}, {"at": 10, "weights": {"music": 1}}]
    await set_rule(desk, "a", rule="schedule", parameters={"points": points}, mode="on")
    await set_rule(desk, **rule(0.5))

    async def has_begun() -> bool:
        return await state_of(desk, "a") is not None and not await desk.client.exists(desk.keys.bounds)

    async with adjusting(redis_url, desk.keys.prefix, 2):
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the other rule is at its end")
        await wait_until(has_begun, timeout_s=LONG_S, what="the failing rule has begun, and has no bound")
    assert await desk.client.get(desk.keys.weights("a")) == b" " + START.encode()
    lines = log.of(event)
    assert {(line["dataset"], line["message"]) for line in lines} == {("a", str(error))}
    assert 1 <= len(lines) <= 2  # once for each worker
    assert all("in fail" in line["traceback"] for line in log.of("adjust.failed"))


@pytest.mark.any_redis
async def test_states_that_strangers_left_stand_in_no_rule_s_way(desk: Desk, redis_url: str, log: LogLines) -> None:
    await desk.client.hset(desk.keys.adjust_state, mapping={f"a{number}": "junk" for number in range(300)})
    await set_rule(desk, **rule(0.5))

    async def is_one_state_left() -> bool:
        return bool(await desk.client.hkeys(desk.keys.adjust_state) == [b"d"])

    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the rule is at its end")
        await wait_until(is_one_state_left, timeout_s=LONG_S, what="the states of no rule are gone")
    assert {line["dataset"] for line in log.of("adjust.refused")} <= {None}


@pytest.mark.any_redis
async def test_a_shadow_that_no_weights_can_be_made_of_is_refused(desk: Desk, redis_url: str, log: LogLines) -> None:
    """Shares are divided by their sum: by 0, they would be no numbers."""
    await set_rule(desk, "a", **rule(0.5, mode="shadow", interval_s=300))
    await set_rule(desk, **rule(0.5))
    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: state_of(desk, "a"), timeout_s=LONG_S, what="the shadow has begun")
        state = json.loads(await desk.client.hget(desk.keys.adjust_state, "a"))
        await desk.client.hset(desk.keys.adjust_state, "a", json.dumps({**state, "shadow": {"voice": 0}}))
        await wait_until(lambda: log.of("adjust.refused"), timeout_s=LONG_S, what="it is told")
        await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the other rule is at its end")
    assert log.of("adjust.failed") == []


class Counting(RedisAdjust):
    """A store that counts how often rules are read, and how often all that was served is read."""

    looks = reads = 0

    async def names(self) -> list[str | None]:
        Counting.looks += 1
        return await super().names()

    async def served(self, name: str | None) -> dict[str, int]:
        Counting.reads += 1
        return dict(await super().served(name))


@pytest.mark.any_redis
async def test_a_shadow_at_rest_reads_what_was_served_once_an_interval(desk: Desk) -> None:
    await set_rule(desk, rule="cooldown", mode="shadow", parameters={"over": 1e9}, interval_s=300)
    loop = asyncio.create_task(unending(adjuster(desk, Counting).run))
    await wait_until(lambda: _is_at_step(desk, 1), timeout_s=LONG_S, what="the shadow has begun")
    state = json.loads(await desk.client.hget(desk.keys.adjust_state, "d"))
    overdue = {**state, "stepped_ms": state["stepped_ms"] - 400_000}
    reads, looks = Counting.reads, Counting.looks
    await desk.client.hset(desk.keys.adjust_state, "d", json.dumps(overdue, separators=(",", ":")))
    await wait_until(lambda: Counting.looks >= looks + 50, timeout_s=LONG_S, what="it was looked at")
    await end(loop)
    assert Counting.reads - reads == 1


async def _is_at_step(desk: Desk, step: int) -> bool:
    state = await state_of(desk)
    return state is not None and state.step == step


@pytest.mark.any_redis
async def test_a_rule_waits_for_the_catalog(desk: Desk) -> None:
    await set_rule(desk, **rule(0.5))
    current = CurrentSnapshots()
    one = Adjuster(RedisAdjust(desk.client, desk.keys), current, redis_availability(), every_s=3600)
    loop = asyncio.create_task(unending(one.run))
    await wait_until(lambda: desk.client.hexists(desk.keys.adjust_state, "d"), timeout_s=LONG_S, what="it has begun")
    assert await _made(desk) == 0
    current.catalog = CATALOG

    async def moves() -> bool:
        one.wake(["d"])  # as a batch does that waits for a step; the next look would come in an hour
        return await is_there(desk)

    await wait_until(moves, timeout_s=LONG_S, what="the rule moves")
    [ended] = await end(loop)
    assert isinstance(ended, asyncio.CancelledError)


class _Unreachable(RedisAdjust):
    """A store whose server is away at first."""

    left = 3

    async def names(self) -> list[str | None]:
        """Fail, or list the names."""
        _Unreachable.left -= 1
        if _Unreachable.left >= 0:
            raise RedisUnreachableError("redis is away")
        return await super().names()


@pytest.mark.any_redis
async def test_a_server_that_is_away_is_waited_for(desk: Desk, log: LogLines) -> None:
    await set_rule(desk, **rule(0.5))
    loop = asyncio.create_task(unending(adjuster(desk, _Unreachable).run))
    await wait_until(lambda: is_there(desk), timeout_s=LONG_S, what="the rule moves")
    await wait_until(lambda: log.of("redis.restored"), timeout_s=LONG_S, what="its return is told of")
    await end(loop)
    assert (len(log.of("redis.lost")), len(log.of("redis.restored"))) == (1, 1)
