"""One event when a server is lost, one when it is back, whoever of the loops noticed."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.waiting import wait_until
from tests.support.workers import redis_link
from worker.links import Link

_SOON_S = 5.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _told(log: LogLines) -> list[str]:
    return [line["event"] for line in log.all()]


async def _hears(log: LogLines, *events: str) -> None:
    await wait_until(lambda: _told(log) == list(events), timeout_s=_SOON_S, what=f"{events} were told")


async def test_a_link_is_lost_once_and_restored_when_every_loop_that_failed_has_succeeded(log: LogLines) -> None:
    link = redis_link()
    assert link.is_up
    link.succeeded("reader")
    await link.failed("reader", "no route")
    await link.failed("bell", "reset")
    await link.failed("reader", "no route")
    assert not link.is_up
    await _hears(log, "redis.lost")
    link.succeeded("reader")
    link.succeeded("heartbeat")  # which never failed
    assert not link.is_up
    link.succeeded("bell")
    link.succeeded("bell")
    assert link.is_up
    await _hears(log, "redis.lost", "redis.restored")
    lost, restored = log.all()
    assert lost["message"] == "no route"
    assert restored["down_s"] > 0
    await link.failed("bell", "again")
    link.succeeded("bell")
    await _hears(log, *["redis.lost", "redis.restored"] * 2)


async def test_a_failing_loop_waits_longer_and_longer_and_never_for_ever(log: LogLines) -> None:
    """Of two loops, that which has failed often tries again less often."""
    link = redis_link()
    link._failures["often"] = 20  # which is a second at most
    tries = {"often": 0, "once": 0}

    async def retry(loop: str) -> None:
        while True:
            await link.failed(loop, "away")
            tries[loop] += 1
            if loop == "once":
                link.succeeded(loop)

    async with anyio.create_task_group() as loops:
        for loop in tries:
            loops.start_soon(retry, loop)
        await wait_until(lambda: tries["often"] >= 3, timeout_s=30.0, what="the slow loop tried three times")
        loops.cancel_scope.cancel()
    assert tries["once"] > tries["often"]
    assert _told(log) == []  # it was down all the time


async def test_each_link_tells_of_its_own_server(log: LogLines) -> None:
    link = redis_link()
    other = Link(link._make_lost, link._make_restored)
    await link.failed("a", "away")
    assert (link.is_up, other.is_up) == (False, True)
    await _hears(log, "redis.lost")
