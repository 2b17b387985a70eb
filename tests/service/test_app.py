"""The life cycle with a part that fails: whatever ends a loop, the worker says so, and never that it has drained."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect
from worker.adapters.redis.feedback import MOST_REPORTS
from worker.core.events import WeightsRevertRefused
from worker.run_dir.folder import prepare_run_dir
from worker.run_dir.health import SERVING
from worker.service import app
from worker.service.housekeeping import HousekeepingTask
from worker.service.supervisor import MOST_FAILURES, name_causes
from worker.service.wiring import Worker, wire
from worker.settings.model import Settings

_SOON_S = 60.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@pytest.fixture
async def worker(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker, wired as the composition root does it; nothing runs yet."""
    settings = Settings.model_validate(
        {
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "WORKER_PREFIX": prefix,
            "WORKER_RUN_DIR": str(prepare_run_dir(tmp_path / "run")),
            "WORKER_CATALOG_WAIT_S": 0.001,
            "WORKER_CLAIM_IDLE_S": 1,
        }
    )
    clients = [connect(redis_url, timeout_s=5.0) for _ in range(2)]
    worker = wire(settings, "one", clients)
    try:
        yield worker
    finally:
        worker.stream.close()
        worker.weights.close()
        for client in clients:
            await client.aclose()


class _Failing:
    """A call that does something else so many times, and then what was asked for."""

    def __init__(self, call: Callable[..., Any], fail: Callable[[], Any], times: int) -> None:
        self._call, self._fail, self.left = call, fail, times

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Fail, or call."""
        if self.left > 0:
            self.left -= 1
            await self._fail()
        return await self._call(*arguments, **named)


async def _raise() -> None:
    raise ZeroDivisionError("a bug")


async def _be_cancelled_by_nobody() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def _task(worker: Worker, name: str) -> HousekeepingTask:
    return next(task for task in worker.housekeeping if task.name == name)


_PLACES: dict[str, tuple[str, Callable[[Worker], tuple[Any, str]]]] = {
    "settle": ("requests", lambda worker: (worker.stream, "settle")),
    "read": ("requests", lambda worker: (worker.stream, "read")),
    "pending": ("requests", lambda worker: (worker.stream, "is_any_pending")),
    "show": ("reporter", lambda worker: (worker.stream, "show")),
    "weights": ("weights", lambda worker: (worker.weights._store, "read")),
    "catalog": ("catalog", lambda worker: (worker.catalog, "_keep_fresh")),
    "task": ("consumers", lambda worker: (_task(worker, "consumers"), "_act")),
}


@pytest.mark.fault("a loop of a worker ends by a bug, and starts again")
@pytest.mark.any_redis
@pytest.mark.parametrize("fail", [_raise, _be_cancelled_by_nobody])
@pytest.mark.parametrize("place", _PLACES)
async def test_a_loop_that_ends_untold_is_begun_anew_and_all_requests_are_answered_once(
    desk: Desk, worker: Worker, log: LogLines, place: str, fail: Callable[[], Any]
) -> None:
    name, find = _PLACES[place]
    part, call = find(worker)
    failing = _Failing(getattr(part, call), fail, times=2)
    setattr(part, call, failing)
    living = asyncio.create_task(app._live(worker, "one", 0.0))
    ids = await desk.add_many(600)
    await wait_until(lambda: not failing.left and log.of("loop.failed"), timeout_s=_SOON_S, what="it failed twice")
    ids += await desk.add_many(600)

    async def are_answered() -> bool:
        return len(await desk.results()) >= len(ids)

    await wait_until(are_answered, timeout_s=_SOON_S, what="all is answered")
    assert not living.done()
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await living)[0] == "drained"
    assert sorted(result["entry_id"] for result in await desk.results()) == sorted(ids)
    assert await desk.pending() == 0
    assert {line["loop"] for line in log.of("loop.failed")} == {name}


@pytest.mark.any_redis
async def test_a_worker_that_says_it_is_ready_is_listed_as_serving(worker: Worker, log: LogLines) -> None:
    """Who changes weights as soon as a worker is ready is told what that worker knows."""
    show, said_before = worker.stream.show, []

    async def show_and_note(document: str, **options: Any) -> Any:
        if json.loads(document)["state"] == SERVING:
            said_before.append(len(log.of("worker.ready")))
        return await show(document, **options)

    worker.stream.show = show_and_note  # type: ignore[method-assign]
    living = asyncio.create_task(app._live(worker, "one", 0.0))
    await wait_until(lambda: log.of("worker.ready"), timeout_s=_SOON_S, what="it is ready")
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await living)[0] == "drained"
    assert said_before[0] == 0


@pytest.mark.fault("a loop of a worker ends by a bug, again and again")
@pytest.mark.parametrize("fail", [_raise, _be_cancelled_by_nobody])
@pytest.mark.any_redis
async def test_what_goes_on_failing_ends_the_worker_with_its_true_reason(
    worker: Worker, log: LogLines, fail: Callable[[], Any]
) -> None:
    task = HousekeepingTask(
        "broken", fail, worker.housekeeping[0]._availability, every_s=1, refusal=WeightsRevertRefused
    )
    with pytest.raises(ExceptionGroup) as raised:
        await app._live(replace(worker, housekeeping=[task]), "one", 0.0)
    error, _ = name_causes(raised.value)
    assert error == ("ZeroDivisionError" if fail is _raise else "LoopEndedError")
    assert log.of("loop.failed")[-1]["loop"] == "broken"
    assert MOST_FAILURES >= len(log.of("loop.failed")) > 1


@pytest.mark.fault("a loop of a worker ends by a bug, again and again")
@pytest.mark.any_redis
def test_a_worker_that_goes_on_failing_ends_with_status_1_and_says_why(
    redis_url: str, database_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare_run_dir(tmp_path / "run")
    surroundings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WORKER_PREFIX": prefix}
    settings = Settings.model_validate({**surroundings, "WORKER_RUN_DIR": str(folder), "WORKER_CONSUMER": "one"})
    monkeypatch.setattr("worker.service.supervisor._LONGEST_WAIT_S", 0.001)
    monkeypatch.setattr("worker.service.consumer.Consumer._take", lambda *_: _raise())
    with captured_log(tmp_path) as log, monkeypatch.context() as kept:
        kept.setattr("worker.service.app.logs.configure", lambda *_, **__: None)
        kept.setattr("worker.service.app.logs.shutdown", lambda _: None)
        assert app.run_worker(settings) == 1
    [failed], [stopped] = log.of("worker.failed"), log.of("worker.stopped")
    assert failed["error"] == "ZeroDivisionError"
    assert set(failed["message"].split("; ")) == {"ZeroDivisionError: a bug"}
    assert "_raise" in failed["traceback"]
    assert (stopped["exit_status"], stopped["reason"]) == (1, "a bug: ZeroDivisionError")
    assert MOST_FAILURES >= len(log.of("loop.failed")) > 1


@pytest.mark.any_redis
async def test_reports_beyond_the_bound_are_dropped_by_any_worker(desk: Desk, worker: Worker, log: LogLines) -> None:
    pipeline = desk.client.pipeline(transaction=False)
    for _ in range(MOST_REPORTS + 1000):
        pipeline.xadd(desk.keys.feedback, {"losses": "{}"})
    await pipeline.execute()
    living = asyncio.create_task(app._live(worker, "one", 0.0))

    async def are_dropped() -> bool:
        return int(await desk.client.xlen(desk.keys.feedback)) < MOST_REPORTS + 200

    await wait_until(are_dropped, timeout_s=_SOON_S, what="the oldest are dropped")
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await living)[0] == "drained"
    assert await desk.client.xlen(desk.keys.feedback) >= MOST_REPORTS
    assert not log.of("feedback.trim_refused")


@pytest.mark.any_redis
async def test_a_refusal_to_drop_reports_is_told_and_the_worker_serves(
    desk: Desk, worker: Worker, log: LogLines
) -> None:
    await desk.client.set(desk.keys.feedback, "no stream")
    living = asyncio.create_task(app._live(worker, "one", 0.0))
    await wait_until(lambda: log.of("feedback.trim_refused"), timeout_s=_SOON_S, what="the refusal is told")
    await desk.add({"size": 1})
    await wait_until(desk.results, timeout_s=_SOON_S, what="the request is answered")
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await living)[0] == "drained"
    [line] = log.of("feedback.trim_refused")
    assert desk.keys.feedback in line["message"]
