"""A worker without a catalog leaves requests to workers that have one; alone, it answers each by an error."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import captured_log
from tests.support.rights import user_with
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, running, serving, settled, small_catalog, wired
from worker.core.keys import GROUP
from worker.service.health_file import Identity
from worker.service.reporter import Reporter
from worker.service.wiring import Serving

_WITHOUT = Wiring("without", catalog=None)
_WITH = Wiring("with")
_SERVES: dict[str, Any] = {"consumer": "other", "state": "serving", "catalog_version": "c1"}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often, and count others for a shorter time."""
    monkeypatch.setattr("worker.service.step_back._LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("worker.service.step_back._COUNTS_FOR_S", 0.5)
    monkeypatch.setattr("worker.service.reporter.HEARTBEAT_S", 0.05)


@asynccontextmanager
async def _reporting(parts: Serving, consumer: str, prefix: str, folder: Path) -> AsyncIterator[None]:
    """Show the state of a worker, as its reporter does."""
    reporter = Reporter(
        Identity(consumer, prefix, folder),
        parts.stream,
        parts.current,
        parts.meter,
        availability=parts.availability,
        stats_interval_s=3600,
    )
    reporter.enter("serving")
    loop = asyncio.create_task(reporter.run())
    try:
        yield
    finally:
        await end(loop)


@asynccontextmanager
async def _worker(
    url: str, prefix: str, folder: Path, wiring: Wiring, *, is_killed: bool = False
) -> AsyncIterator[Serving]:
    """Run a worker that shows its state, and takes it away at its end, except where it is killed."""
    async with wired(url, prefix, wiring) as parts:
        await parts.consumer.open()
        async with _reporting(parts, wiring.consumer, prefix, folder):
            await _shown(parts, wiring.consumer, prefix)
            async with running(parts):
                yield parts
        if not is_killed:
            await parts.stream.remove_presence()


async def _shown(parts: Serving, consumer: str, prefix: str) -> None:
    client: Any = parts.stream._connection._client

    async def is_shown() -> bool:
        return bool(await client.exists(f"{prefix}:worker:{consumer}"))

    await wait_until(is_shown, timeout_s=DONE_S, what=f"{consumer} shows its state")


async def _outcomes(desk: Desk, count: int) -> set[str]:
    """Ask one by one, and return what came."""
    found = set()
    for _ in range(count):
        for result in (await answers(desk, await desk.add_many(1))).values():
            found.add(result.get("error", result["status"]))
    return found


@pytest.mark.usefixtures("_impatient")
async def test_requests_are_left_to_the_one_of_three_that_has_a_catalog(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        _worker(redis_url, prefix, tmp_path, _WITH) as able,
        _worker(redis_url, prefix, tmp_path, _WITHOUT) as one,
        _worker(redis_url, prefix, tmp_path, Wiring("another", catalog=None)) as two,
    ):
        assert await _outcomes(desk, 60) == {"ok"}
        await wait_until(lambda: able.meter.requests == 60, timeout_s=DONE_S, what="all are counted")
        assert [parts.meter.requests for parts in (one, two)] == [0, 0]
        await settled(desk)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_it_serves_when_the_last_one_with_a_catalog_is_gone(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, *, is_killed: bool
) -> None:
    with captured_log(tmp_path) as log:
        async with _worker(redis_url, prefix, tmp_path, _WITHOUT):
            async with _worker(redis_url, prefix, tmp_path, _WITH, is_killed=is_killed):
                await wait_until(lambda: bool(log.of("worker.stepped_back")), timeout_s=DONE_S, what="it steps back")
                assert await _outcomes(desk, 5) == {"ok"}
            if is_killed:
                assert await desk.client.persist(desk.keys.worker("with"))
            assert await _outcomes(desk, 3) == {"catalog_unavailable"}
            assert await desk.client.exists(desk.keys.worker("with")) == is_killed
        await desk.client.delete(desk.keys.worker("with"))
        [back], [again] = log.of("worker.stepped_back"), log.of("worker.stepped_in")
    assert back["other"] == "with"
    assert again["reason"] == "no other worker serves with a catalog"


@pytest.mark.usefixtures("_impatient")
async def test_it_steps_back_when_another_one_with_a_catalog_comes_and_serves_with_its_own(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    with captured_log(tmp_path) as log:
        async with _worker(redis_url, prefix, tmp_path, _WITHOUT) as parts:
            assert await _outcomes(desk, 2) == {"catalog_unavailable"}
            async with _worker(redis_url, prefix, tmp_path, _WITH):
                await wait_until(lambda: bool(log.of("worker.stepped_back")), timeout_s=DONE_S, what="it steps back")
                assert await _outcomes(desk, 20) == {"ok"}
                assert parts.meter.requests == 2
                parts.current.catalog = small_catalog()
                await wait_until(lambda: bool(log.of("worker.stepped_in")), timeout_s=DONE_S, what="it serves")
            assert await _outcomes(desk, 5) == {"ok"}
            await wait_until(lambda: parts.meter.requests == 7, timeout_s=DONE_S, what="it has served them")
        assert [line["reason"] for line in log.of("worker.stepped_in")] == ["it has read the catalog"]


@pytest.mark.usefixtures("_impatient")
async def test_it_takes_nothing_over_meanwhile(desk: Desk, redis_url: str, prefix: str, tmp_path: Path) -> None:
    ghost = desk.consumer("ghost")
    await ghost.open()
    ids = await desk.add_many(5)
    await ghost.read(5, 10)
    async with (
        _worker(redis_url, prefix, tmp_path, Wiring("with", idle_ms=1500)),
        _worker(redis_url, prefix, tmp_path, Wiring("without", catalog=None, idle_ms=1)) as parts,
    ):
        found = await answers(desk, ids)
        assert {result["status"] for result in found.values()} == {"ok"}
        assert parts.meter.requests == 0


@pytest.mark.any_redis
@pytest.mark.parametrize(
    "state",
    [
        {},
        _SERVES | {"state": "draining"},
        _SERVES | {"state": "waiting"},
        _SERVES | {"catalog_version": None},
        _SERVES | {"consumer": "yet another"},
        _SERVES | {"catalog_version": 7},
        "no state",
    ],
    ids=["empty", "draining", "waiting", "no catalog", "another's", "a number", "no object"],
)
async def test_others_that_cannot_serve_do_not_count(desk: Desk, redis_url: str, prefix: str, state: object) -> None:
    await desk.consumer("other").open()
    await desk.client.set(desk.keys.worker("other"), json.dumps(state), ex=60)
    async with serving(redis_url, prefix, _WITHOUT):
        assert await _outcomes(desk, 2) == {"catalog_unavailable"}
    await desk.client.delete(desk.keys.worker("other"))


async def test_a_refused_look_is_told_and_nobody_counts(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    await desk.consumer("other").open()
    await desk.client.set(desk.keys.worker("other"), json.dumps(_SERVES), ex=60)
    with captured_log(tmp_path) as log:
        denied = redis_url.replace("//", f"//{prefix}:x@")
        async with user_with(["~*", "-xinfo"], desk, redis_url), serving(denied, prefix, _WITHOUT):
            assert await _outcomes(desk, 2) == {"catalog_unavailable"}
        assert len(log.of("worker.listing_refused")) == 1
    await desk.client.delete(desk.keys.worker("other"))


@pytest.mark.any_redis
async def test_a_stop_is_not_held_up(desk: Desk, redis_url: str, prefix: str) -> None:
    await desk.consumer("other").open()
    await desk.client.set(desk.keys.worker("other"), json.dumps(_SERVES), ex=60)
    async with serving(redis_url, prefix, _WITHOUT):
        ids = await desk.add_many(3)
    assert await desk.ids(desk.keys.requests) == ids
    about = await desk.client.xinfo_consumers(desk.keys.requests, GROUP)
    assert {one["name"]: one["pending"] for one in about} == {b"other": 0, b"without": 0}
    await desk.client.delete(desk.keys.worker("other"))
