"""Steps of rules are broken off at each of their points: each is made once, and a person's change is never lost."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.faults.adjusting import WORKERS, history_of, steps_of
from tests.faults.trial import DEADLINE_S, Figure, Trial
from tests.support.command import RunningWorker
from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from tests.support.proxy import Link, Proxy
from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until, wait_until_sync
from worker.adapters.redis.adjust import RedisAdjust
from worker.core.adjust.orders import plan_freeze, plan_resume, plan_set
from worker.core.adjust.state import read_state
from worker.core.adjust.step import Found, PlannedStep
from worker.core.weights.changes import WantedChange, plan_change
from worker.embedded import RedisServer
from worker.service.adjuster import Adjuster
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import redis_availability

_POINTS = ("before its plan", "before its script", "after its script")
_ROUNDS = 3
_LOOK, _STATE, _MADE = b"$1\r\n-\r\n$0\r\n", b'"rule_mark"', b"$4\r\nmade\r\n"
"""What tells the calls of the script apart: one that only reads has a mark that nothing has, a step brings a state."""
_ONE_IN = 100
_LONG_S = 300.0
_START = {"documentary": 1.0, "music": 0.001, "voice": 0.001}
_RULE = {
    "rule": "cooldown",
    "mode": "on",
    "parameters": {"over": 1, "unit": "seconds", "from": 1},
    "interval_s": 0,
    "most_change": 0.0001,
}
"""A rule that makes some 8,000 steps from `_START`, as quickly as it can."""


def _arm(proxy: Proxy, point: str, kill: Callable[[Link], None]) -> None:
    """Let a worker die when it is at a point of a step the next time."""
    {
        "before its plan": lambda: proxy.on_command("EVAL", kill, holding=_LOOK),
        "before its script": lambda: proxy.on_command("EVAL", kill, holding=_STATE),
        "after its script": lambda: proxy.on_reply("EVAL", kill, holding=_MADE),
    }[point]()


def _kill_at(point: str, victim: RunningWorker, proxy: Proxy) -> None:
    """Kill a worker at a point of a step. What it was about to send does not arrive."""
    killed = threading.Event()

    def kill(link: Link) -> None:
        victim.kill()
        link.cut()
        killed.set()

    _arm(proxy, point, kill)
    assert killed.wait(DEADLINE_S), f"{victim.consumer} makes no step"


@pytest.mark.fault("SIGKILL of drivers of a rule at a point of its step, four workers")
@pytest.mark.parametrize("point", _POINTS)
def test_drivers_are_killed_at_any_point_of_a_step(
    trial: Trial, own_server: RedisServer, figure: Figure, point: str
) -> None:
    with ExitStack() as opened:
        proxies = [opened.enter_context(Proxy(own_server.port)) for _ in WORKERS]
        for name, proxy in zip(WORKERS, proxies, strict=True):
            trial.launch(name, REDIS_URL=proxy.url)
        workers = [worker.wait_ready() for worker in trial.workers]
        trial.client.set(trial.keys.weights(), json.dumps(_START))
        trial.client.hset(trial.keys.adjust, "", json.dumps(_RULE))
        for victim, proxy in [*zip(workers, proxies, strict=True)] * _ROUNDS:
            _kill_at(point, victim, proxy)
            died_at, before = time.monotonic(), steps_of(trial)
            wait_until_sync(lambda: steps_of(trial) > before, timeout_s=DEADLINE_S, what="another one makes a step")  # noqa: B023 - it is called at once
            figure("taken over in", time.monotonic() - died_at, "s")
            victim.start().wait_ready()
        assert [worker.stop() for worker in workers] == [0] * len(workers)
    entries = history_of(trial)
    assert len(entries) == steps_of(trial) > 100
    assert all(before["after"] == after["before"] for before, after in pairwise(entries))
    assert (entries[0]["before"], entries[-1]["after"]) == (
        json.dumps(_START),
        trial.client.get(trial.keys.weights()).decode(),
    )
    assert {entry["who"] for entry in entries} == {"rule cooldown"}


class _Dying(RedisAdjust):
    """What a driver works with that may die at each point of a step."""

    def __init__(self, desk: Desk, chance: random.Random, deaths: Counter[str]) -> None:
        super().__init__(desk.client, desk.keys)
        self._chance = chance
        self._deaths = deaths

    async def look(self, name: str | None, categories: Any = ()) -> Found:
        """Read what is stored, and perhaps die before anything is planned."""
        found = await super().look(name, categories)
        self._die("before its plan")
        return found

    async def look_at(self, name: str | None, units: Any) -> Found:
        """Read what is known to be stored, likewise."""
        found = await super().look_at(name, units)
        self._die("before its plan")
        return found

    async def make(self, planned: PlannedStep) -> bool:
        """Make a step; perhaps die before or after it."""
        self._die("before its script")
        is_made = await super().make(planned)
        self._die("after its script")
        return is_made

    def _die(self, point: str) -> None:
        if self._chance.randrange(_ONE_IN) == 0:
            self._deaths[point] += 1
            raise asyncio.CancelledError


async def _drive(desk: Desk, chance: random.Random, deaths: Counter[str]) -> None:
    """Run drivers, each until it dies."""
    while True:
        current = CurrentSnapshots(catalog_of({"voice": 999, "music": 1}))
        one = Adjuster(_Dying(desk, chance, deaths), current, redis_availability(), every_s=0.001)
        [ended] = await asyncio.gather(one.run(), return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


class _Write(NamedTuple):
    """A value that was written over another one."""

    before: str
    after: str


class _Person:
    """A person who changes the weights at random, and resumes the rule after each change.

    Attributes:
        plain: Changes that the history does not have, made as programs do that know the key alone.
        changes: Number of all changes.
        overwritten: Values that were no longer there when the rule was told to go on.
        entries: The history.
    """

    def __init__(self, desk: Desk, chance: random.Random) -> None:
        self._desk = desk
        self._chance = chance
        self._key = desk.keys.weights("d")
        self._rules = RedisAdjust(desk.client, desk.keys)
        self._last = "-"
        self.plain: list[_Write] = []
        self.changes = 0
        self.overwritten: list[tuple[str, str | None]] = []
        self.entries: list[dict[str, str]] = []

    async def live(self) -> None:
        """Change weights once: perhaps twice in a row, perhaps waiting until the rule has paused."""
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        value = ""
        for _ in range(self._chance.choice((1, 1, 2))):
            value = await self._write()
        if self._chance.random() < 0.5:
            await wait_until(self._is_paused, timeout_s=_LONG_S, what="the rule pauses")
        await self._go_on(value)
        await self.read_on()

    async def _write(self) -> str:
        """Write weights that nobody has written before."""
        self.changes += 1
        value = json.dumps({"voice": self._chance.randint(1, 50), "music": 10_000 + self.changes})
        if self._chance.random() < 0.5:
            await self._desk.writer().change("d", partial(plan_change, wanted=WantedChange(value, "ann", "")))
        else:
            before = await self._desk.client.set(self._key, value, get=True)
            self.plain.append(_Write(before.decode(), value))
        return value

    async def _go_on(self, value: str) -> None:
        """Resume the rule. That is stored only while the weights are those that were read."""

        def go_on(found: Found) -> PlannedStep:
            if found.value != value:
                self.overwritten.append((value, found.value))
            return plan_resume(found, None)

        await self._rules.change("d", go_on)

    async def _is_paused(self) -> bool:
        return read_state(await self._desk.client.hget(self._desk.keys.adjust_state, "d")).paused != ""

    async def steps(self) -> int:
        text = await self._desk.client.hget(self._desk.keys.adjust_state, "d")
        return 0 if text is None else read_state(text).step

    async def read_on(self) -> None:
        """Read what came to the history, which keeps but the newest 10,000 entries."""
        found = await self._desk.client.execute_command("XRANGE", self._desk.keys.history, self._last, "+")
        for entry_id, words in found:
            texts = [word.decode() for word in words]
            self.entries.append(dict(zip(texts[0::2], texts[1::2], strict=True)))
            self._last = f"({entry_id.decode()}"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@pytest.fixture
def far(own_server: RedisServer) -> Iterator[Proxy]:
    """A link to the server, for drivers."""
    with Proxy(own_server.port) as link:
        yield link


@pytest.mark.fault("a person changes the weights at random while drivers of a rule die and links are cut")
@pytest.mark.parametrize("least", [500, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_a_person_s_change_is_never_overwritten(
    own_server: RedisServer, far: Proxy, figure: Figure, log: LogLines, least: int
) -> None:
    chance, deaths, cuts = random.Random(31), Counter[str](), 0
    async with desk_at(own_server.url, "p") as near, desk_at(far.url, "p") as one, desk_at(far.url, "p") as two:
        person = _Person(near, chance)
        await near.client.set(near.keys.weights("d"), '{"voice": 1, "music": 9999}')
        settings = {**_RULE, "parameters": {**_RULE["parameters"], "to": 1}}  # type: ignore[dict-item]
        await RedisAdjust(near.client, near.keys).change("d", lambda found: plan_set(found, settings, "ann"))
        drivers = [asyncio.create_task(_drive((one, two)[number % 2], chance, deaths)) for number in range(4)]
        await wait_until(person.steps, timeout_s=_LONG_S, what="the rule moves")
        while await person.steps() < least or not _is_enough(least, person.changes, deaths, cuts):
            await person.live()
            if chance.randrange(10) == 0:
                cuts += await asyncio.to_thread(far.cut)
        await person.live()
        await RedisAdjust(near.client, near.keys).change("d", plan_freeze)
        ended = await end(*drivers)
        await person.read_on()
        last, steps = (await near.client.get(near.keys.weights("d"))).decode(), await person.steps()
    assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == []
    _hold_that_nothing_was_overwritten(person, last)
    rules = [entry for entry in person.entries if entry["who"] == "rule cooldown"]
    assert len(rules) == steps >= least
    told = [line["step"] for line in log.of("weights.adjusted")]
    assert len(told) == len(set(told))
    figure("changes of a person", person.changes, "")
    figure("deaths of drivers", deaths.total(), "")


def _is_enough(least: int, changes: int, deaths: Counter[str], cuts: int) -> bool:
    """Check whether enough went wrong for the count to mean something."""
    fewest = min(deaths[point] for point in _POINTS)
    return changes >= max(40, least // 50) and cuts >= 10 and fewest >= max(4, least // 500)


def _hold_that_nothing_was_overwritten(person: _Person, last: str) -> None:
    """Check that all writes are one chain: each replaces the value of the one before, none is missing."""
    assert person.overwritten == []
    plain = iter(person.plain)
    value = person.entries[0]["before"]
    for entry in person.entries:
        while value != entry["before"]:
            write = next(plain)
            assert write.before == value
            value = write.after
        value = entry["after"]
    for write in plain:
        assert write.before == value
        value = write.after
    assert value == last
