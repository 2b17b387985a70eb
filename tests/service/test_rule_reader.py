"""Unchanged parts of a rule are not parsed again, and the bounds of all rules not checked again."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection

import pytest

from tests.support.drawing import catalog_of
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.core.adjust.driver import plan_begin
from worker.core.adjust.orders import plan_freeze, plan_set
from worker.core.adjust.step import Found
from worker.service import rule_reader
from worker.service.adjuster import Adjuster
from worker.service.rule_reader import RuleReader
from worker.service.snapshots import CurrentSnapshots
from worker.service.supervisor import unending
from worker.service.wiring import redis_availability

CAP = {"rule": "cap", "parameters": {"times": 2}, "mode": "on"}
LONG_S = 60.0


class Counting(RedisAdjust):
    """What counts how often it is asked."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.client, desk.keys)
        self.anew: Counter[str | None] = Counter()
        self.again: Counter[str | None] = Counter()

    async def look(self, name: str | None, categories: Collection[str] = ()) -> Found:
        """Read all bounds of a rule."""
        self.anew[name] += 1
        return await super().look(name, categories)

    async def look_at(self, name: str | None, units: Collection[str]) -> Found:
        """Read bounds that are known."""
        self.again[name] += 1
        return await super().look_at(name, units)


@pytest.fixture
def store(desk: Desk) -> Counting:
    return Counting(desk)


def counting(monkeypatch: pytest.MonkeyPatch, name: str) -> Counter[bytes]:
    """Count the texts that a reader of `rule_reader` parses."""
    parse: Callable[[bytes], object] = getattr(rule_reader, name)
    parsed: Counter[bytes] = Counter()

    def count(text: bytes) -> object:
        parsed[text] += 1
        return parse(text)

    monkeypatch.setattr(rule_reader, name, count)
    return parsed


async def begin(desk: Desk, store: RedisAdjust, name: str) -> None:
    """Set a rule, and have it begin with bounds of two categories."""
    await desk.client.set(desk.keys.weights(name), '{"voice": 1, "music": 1}')
    planned = await store.change(name, lambda found: plan_set(found, CAP, "ann"))
    assert planned.settings is not None
    read = await RuleReader(store).read(name, anew=True)
    assert read.settings is not None
    step = plan_begin(read.settings, read.found, {})
    assert await store.make(step._replace(bounds={"chunks:voice": 5.0, "chunks:music": 7.0}))


async def test_what_has_not_changed_is_neither_parsed_again_nor_looked_for(
    desk: Desk, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(desk, store, "d")
    settings, states = counting(monkeypatch, "read_settings"), counting(monkeypatch, "read_state")
    reader = RuleReader(store)
    store.anew.clear()
    store.again.clear()
    for heard in range(5):
        await desk.client.hset(desk.keys.heard, "chunks:d:voice", heard)
        read = await reader.read("d", anew=False)
        assert read.found.bounds == {"chunks:voice": 5.0, "chunks:music": 7.0}
        assert read.found.heard == {"chunks:voice": heard}
    assert (store.anew["d"], store.again["d"]) == (1, 5)
    assert (list(settings.values()), list(states.values())) == ([1], [1])
    await store.change("d", plan_freeze)
    read = await reader.read("d", anew=False)
    assert read.settings is not None
    assert (read.settings.mode, read.found.bounds) == ("off", {})
    assert (list(settings.values()), list(states.values())) == ([1, 1], [1])


async def test_a_step_of_another_worker_has_its_bounds_read(desk: Desk, store: Counting) -> None:
    await begin(desk, store, "d")
    reader = RuleReader(store)
    read = await reader.read("d", anew=False)
    state = json.dumps({**json.loads(read.found.state), "step": 1})
    made = await RedisAdjust(desk.client, desk.keys).look("d")
    assert await store.make(plan_begin(read.settings, made, {})._replace(state=state, bounds={"chunks:noise": 3.0}))  # type: ignore[arg-type]
    read = await reader.read("d", anew=False)
    assert read.found.bounds == {"chunks:noise": 3.0}
    assert read.state is not None
    assert read.state.step == 1


async def test_a_bound_of_a_stranger_is_found_by_whoever_reads_anew(desk: Desk, store: Counting) -> None:
    await begin(desk, store, "d")
    reader = RuleReader(store)
    await reader.read("d", anew=False)
    await desk.client.hset(desk.keys.bounds, "chunks:d:noise", 1)
    assert "chunks:noise" not in (await reader.read("d", anew=False)).found.bounds
    assert "chunks:noise" in (await reader.read("d", anew=True)).found.bounds
    assert "chunks:noise" in (await reader.read("d", anew=False)).found.bounds


async def test_only_rules_that_batches_wait_for_are_looked_at_between_two_looks(store: Counting) -> None:
    for name in ("d", "e"):
        await store.change(name, lambda found: plan_set(found, {**CAP, "mode": "off"}, "ann"))
    store.anew.clear()
    current = CurrentSnapshots(catalog_of({"voice": 9, "music": 9}))
    one = Adjuster(store, current, redis_availability(), every_s=3600)
    loop = asyncio.create_task(unending(one.run))
    await wait_until(lambda: store.anew["e"], timeout_s=LONG_S, what="both were looked at")
    for count in range(2, 5):
        one.wake(["d"])
        await wait_until(lambda count=count: store.anew["d"] == count, timeout_s=LONG_S, what="d is looked at")  # type: ignore[misc]
    assert (store.anew["e"], store.again["e"]) == (1, 0)
    await end(loop)
