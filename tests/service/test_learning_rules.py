"""Rules that learn move the weights by loss reports on a real server, and log what is stuck."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.feedback import add_report
from worker.core.adjust.orders import plan_set
from worker.core.wire.feedback import encode_report
from worker.service.adjuster import Adjuster
from worker.service.snapshots import CurrentSnapshots
from worker.service.supervisor import unending
from worker.service.wiring import redis_availability

LONG_S = 120.0
LOSSES = {"conference": 1.0, "documentary": 1.0, "music": 1.0, "voice": 5.0}
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "proportional": {"smoothing": 0.5},
    "excess": {"reference": {"*": 1.0}},
    "bandit": {"rewards": "sum"},
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


async def _report_until(desk: Desk, log: LogLines, event: str, losses: Mapping[str, float]) -> None:
    """Run an adjuster, and report the same losses to it until it has told an event."""
    store = RedisAdjust(desk.client, desk.keys)
    current = CurrentSnapshots(catalog_of(dict.fromkeys(losses, 9)))
    task = asyncio.create_task(unending(Adjuster(store, current, redis_availability(), every_s=0.001).run))

    async def is_told() -> bool:
        found = {
            name: {"sum": 20 * (loss + 0.001 * turn), "count": 20, "squares": 20 * loss**2 + 1}
            for turn, (name, loss) in enumerate(losses.items())
        }
        for _ in range(10):
            await add_report(desk.client, desk.keys, encode_report(found))
        return bool(log.of(event))

    try:
        await wait_until(is_told, timeout_s=LONG_S, what=event)
    finally:
        bugs = [one for one in await end(task) if isinstance(one, Exception)]
        assert not bugs, bugs


async def _set(desk: Desk, rule: str, parameters: Mapping[str, Any], **settings: Any) -> None:
    found = {"rule": rule, "mode": "on", "interval_s": 0, "warm_up": 0, "parameters": dict(parameters), **settings}
    await RedisAdjust(desk.client, desk.keys).change(None, lambda here: plan_set(here, found, "ann"))


@pytest.mark.parametrize("rule", PARAMETERS)
async def test_reports_move_the_weights_in_force(desk: Desk, log: LogLines, rule: str) -> None:
    await desk.client.set(desk.keys.weights(), json.dumps(dict.fromkeys(LOSSES, 0.25)))
    await _set(desk, rule, PARAMETERS[rule])
    await _report_until(desk, log, "weights.adjusted", LOSSES)
    [first, *_] = log.of("weights.adjusted")
    before, after = json.loads(first["before"]), json.loads(first["after"])
    assert before == dict.fromkeys(LOSSES, 0.25)
    assert 0.25 < after["voice"] <= 0.3 + 1e-9  # no share moves by more than 5 points
    assert sum(after.values()) == pytest.approx(1.0)
    assert first["rule"] == rule
    assert "voice 25.0% to" in first["evidence"]


async def test_a_category_whose_reports_are_broken_is_named(desk: Desk, log: LogLines) -> None:
    await desk.client.set(desk.keys.weights(), json.dumps(dict.fromkeys(LOSSES, 0.25)))
    parameters = {"smoothing": 0.5, "stuck_after": 3}
    await _set(desk, "proportional", parameters, most_change=None, strength=0.05)
    await _report_until(desk, log, "adjust.stuck", {**LOSSES, "voice": 0.0})
    [first, *_] = log.of("adjust.stuck")
    assert (first["rule"], first["category"], first["steps"]) == ("proportional", "voice", 3)
    assert first["prior_share"] == pytest.approx(0.25)
    assert first["share"] < 0.05
