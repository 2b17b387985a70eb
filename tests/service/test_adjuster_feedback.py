"""A rule that learns gets each report of losses once, whoever makes its steps; what it does not get is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from tests.support.losses import loss_sums
from tests.support.streams import Desk, desk_at
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.feedback import add_report
from worker.core.adjust import settings as settings_module
from worker.core.adjust.orders import plan_freeze, plan_resume, plan_set
from worker.core.adjust.rule import Inputs, Proposal
from worker.core.adjust.rules import RULES
from worker.core.adjust.state import State, read_state
from worker.core.weights.values import default_weights
from worker.core.wire.feedback import encode_report
from worker.errors import AdjustError
from worker.service.adjuster import Adjuster
from worker.service.snapshots import CurrentSnapshots
from worker.service.supervisor import unending
from worker.service.wiring import redis_availability

LONG_S = 120.0
OLDER = "0123456789ab"


class Adding:
    """A rule that adds up all losses that it is told, and moves nothing."""

    learns = True

    def units(self, _parameters: Mapping[str, Any]) -> frozenset[str]:
        return frozenset()

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return parameters

    def propose(self, _parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        assert inputs.losses is not None
        losses = inputs.losses.on(inputs.categories)
        found = dict(zip(inputs.categories, loss_sums(losses), strict=True))
        return Proposal(None, {name: memory.get(name, 0) + total for name, total in found.items()}, "added up")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@pytest.fixture(autouse=True)
def _adding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "RULES", MappingProxyType({**RULES, "adding": Adding()}))


@asynccontextmanager
async def adjusting(redis_url: str, prefix: str, count: int) -> AsyncIterator[None]:
    """Run adjusters of the rule, each over a connection of its own."""
    async with desk_at(redis_url, prefix) as one, desk_at(redis_url, prefix) as two:
        loops = []
        for number in range(count):
            desk = (one, two)[number % 2]
            current = CurrentSnapshots(catalog_of({"voice": 9, "music": 9}))
            store = RedisAdjust(desk.client, desk.keys)
            loops.append(Adjuster(store, current, redis_availability(), every_s=0.001))
        tasks = [asyncio.create_task(unending(loop.run)) for loop in loops]
        try:
            yield
        finally:
            bugs = [one for one in await end(*tasks) if isinstance(one, Exception)]
            assert not bugs, bugs


async def set_rule(desk: Desk, name: str | None) -> None:
    settings = {"rule": "adding", "mode": "on", "interval_s": 0, "warm_up": 0}
    await RedisAdjust(desk.client, desk.keys).change(name, lambda found: plan_set(found, settings, "ann"))


async def state_of(desk: Desk, name: str | None) -> State:
    return read_state(await desk.client.hget(desk.keys.adjust_state, name or ""))


@pytest.mark.parametrize("workers", [1, 4])
async def test_each_report_is_used_once_by_any_number_of_workers(
    desk: Desk, redis_url: str, log: LogLines, workers: int
) -> None:
    """Two rules go through the same reports, each with its own cursor, while they come."""
    await set_rule(desk, "d")
    await set_rule(desk, None)

    async def has_read(name: str | None, reports: int) -> bool:
        return (await state_of(desk, name)).reports >= reports

    async def have_begun() -> bool:
        return int(await desk.client.hlen(desk.keys.adjust_state)) == 2

    async with adjusting(redis_url, desk.keys.prefix, workers):
        await wait_until(have_begun, timeout_s=LONG_S, what="both rules have begun")
        for number in range(400):
            losses = {"voice": number, "music": {"sum": 2 * number, "count": 4}}
            await add_report(desk.client, desk.keys, encode_report(losses, dataset="d" if number % 2 else None))
            if number % 40 == 0:
                await desk.client.xadd(desk.keys.feedback, {"losses": str(number)})
        for name in ("d", None):
            await wait_until(lambda name=name: has_read(name, 200), timeout_s=LONG_S, what="all is read")  # type: ignore[misc]
    odd, even = sum(range(1, 400, 2)), sum(range(0, 400, 2))
    for name, total in (("d", odd), (None, even)):
        state = await state_of(desk, name)
        assert state.reports == 200
        assert {key: value for key, value in state.memory.items() if value} == {"voice": total, "music": 2 * total}
    refused = [line["entry_id"] for line in log.of("feedback.refused")]
    assert len(refused) == len(set(refused)) > 0
    assert await desk.client.xlen(desk.keys.dead_feedback) == 10


@pytest.mark.any_redis
async def test_what_is_stale_and_who_is_outvoted_is_told_once_a_step(desk: Desk, redis_url: str, log: LogLines) -> None:
    version = default_weights().version
    await desk.client.xadd(desk.keys.feedback, {"losses": '{"voice": 2}'}, id="5-0")
    for rank in range(4):
        for _ in range(3):
            losses = {"voice": 50.0 if rank == 3 else 1.0 + rank / 100}
            fields = {"weights_version": version, "reporter": f"rank {rank}"}
            await add_report(desk.client, desk.keys, encode_report(losses, **fields))
    await add_report(desk.client, desk.keys, encode_report({"voice": 1}, weights_version=OLDER))
    await set_rule(desk, None)
    async with adjusting(redis_url, desk.keys.prefix, 2):
        await wait_until(lambda: log.of("feedback.stale"), timeout_s=LONG_S, what="a step is made")
    [stale] = log.of("feedback.stale")
    assert (stale["dataset"], stale["reports"], stale["used"], stale["weights_version"]) == (None, 2, 12, version)
    [outvoted] = log.of("feedback.outvoted")
    assert (outvoted["dataset"], outvoted["reporter"], outvoted["categories"]) == (None, "rank 3", "voice")
    state = await state_of(desk, None)
    assert (state.reports, state.step) == (12, 1)


@pytest.mark.any_redis
async def test_a_report_from_before_the_rule_was_told_to_go_on_is_stale(desk: Desk, redis_url: str) -> None:
    """It names no weights, and a person may have changed them meanwhile."""
    rules = RedisAdjust(desk.client, desk.keys)
    await set_rule(desk, None)

    async def has_used(reports: int) -> bool:
        text = await desk.client.hget(desk.keys.adjust_state, "")
        return text is not None and read_state(text).reports >= reports

    async with adjusting(redis_url, desk.keys.prefix, 1):
        await wait_until(lambda: has_used(0), timeout_s=LONG_S, what="the rule has begun")
        await rules.change(None, plan_freeze)
        entry = await add_report(desk.client, desk.keys, encode_report({"voice": 5}))

        async def is_over() -> bool:
            seconds, microseconds = await desk.client.time()
            return bool(1000 * seconds + microseconds // 1000 > int(entry.partition("-")[0]))

        await wait_until(is_over, timeout_s=LONG_S, what="the clock of Redis has moved on")
        await rules.change(None, lambda found: plan_resume(found, None))
        await add_report(desk.client, desk.keys, encode_report({"voice": 7}))
        await wait_until(lambda: has_used(1), timeout_s=LONG_S, what="a report is used")
    state = await state_of(desk, None)
    assert (state.reports, state.memory["voice"]) == (1, 7)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1-", "-1", f"{2**64}-0", "1-1-1", 5, None])
def test_a_state_with_another_cursor_is_refused(cursor: object) -> None:
    """Redis would refuse to read after it, again and again."""
    text = json.dumps({"rule_mark": "x", "cursor": cursor}).encode()
    with pytest.raises(AdjustError, match="cursor"):
        read_state(text)
