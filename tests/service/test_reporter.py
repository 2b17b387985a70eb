"""Presence and statistics of workers, as files, keys and log lines show them."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, running, wired
from worker.core.events import RedisLost
from worker.core.weights.changes import version_by_key
from worker.core.weights.in_force import Held
from worker.core.weights.values import normalise
from worker.core.workers.state_document import UNREADABLE, read_state
from worker.core.workers.states import read_workers
from worker.embedded import RedisServer
from worker.logs.emit import dropped_lines, emit
from worker.ports import Backlog, Presence
from worker.run_dir.health import SERVING, Place, find_problem, health_path
from worker.service.health_file import Identity
from worker.service.reporter import Reporter
from worker.service.supervisor import unending
from worker.service.wiring import Serving

_NEVER_S = 3600.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _reporter(parts: Serving, prefix: str, run_dir: Path, stats_interval_s: float = _NEVER_S) -> Reporter:
    identity = Identity("one", prefix, run_dir)
    return Reporter(
        identity,
        parts.stream,
        parts.current,
        parts.meter,
        availability=parts.availability,
        stats_interval_s=stats_interval_s,
    )


@asynccontextmanager
async def _reporting(reporter: Reporter) -> AsyncIterator[None]:
    async with anyio.create_task_group() as loops:
        loops.start_soon(unending, reporter.run)
        try:
            yield
        finally:
            loops.cancel_scope.cancel()


def _file(run_dir: Path) -> dict[str, Any]:
    path = health_path(run_dir, "one")
    return dict(json.loads(path.read_text())) if path.exists() else {}


async def _shows(desk: Desk, **wanted: object) -> dict[str, Any]:
    """Wait until the worker's key says something, and return all that it says; a float is the least it has to say."""
    found: dict[str, Any] = {}

    def is_said(name: str, value: object) -> bool:
        return found.get(name, 0.0) >= value if isinstance(value, float) else found.get(name) == value

    async def is_shown() -> bool:
        found.update(json.loads(await desk.client.get(desk.keys.worker("one")) or "{}"))
        return all(is_said(name, value) for name, value in wanted.items())

    await wait_until(is_shown, timeout_s=DONE_S, what=f"the worker shows {wanted}")
    return found


async def test_a_worker_shows_what_it_has_applied(desk: Desk, redis_url: str, prefix: str, tmp_path: Path) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 1}')
    async with wired(redis_url, prefix) as parts, running(parts):
        reporter = _reporter(parts, prefix, tmp_path)
        async with _reporting(reporter):
            assert (await _shows(desk, state="starting"))["pid"] == os.getpid()
            assert 0 < await desk.client.ttl(desk.keys.worker("one")) <= 10
            await answers(desk, await desk.add_many(3))
            parts.current.catalog_at_ms = 77
            reporter.enter(SERVING)
            assert _file(tmp_path)["state"] == "serving"  # at once: a probe may come in the next moment
            shown = await _shows(desk, state="serving", requests=3)
            catalog = parts.current.catalog
            assert catalog is not None
            assert (shown["consumer"], shown["chunks"], shown["catalog_at_ms"]) == ("one", len(catalog), 77)
            assert shown["catalog_version"] == catalog.version
            assert shown["weights_version"] == parts.current.weights.in_force(None).weights.version
            assert shown["weights_at_ms"] == parts.current.weights.changed_at_ms > 0
            reporter.enter("draining")
            await _shows(desk, state="draining")
        assert find_problem(tmp_path, Place(prefix), consumer="one", now=_file(tmp_path)["at"]) is not None
        reporter.remove_health_file()
        reporter.remove_health_file()
    assert _file(tmp_path) == {}


async def test_a_worker_shows_what_it_keeps_and_what_is_ready_and_tells_what_is_left_out(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 1, "jazz": 1}')
    async with wired(redis_url, prefix) as parts, running(parts):
        reporter = _reporter(parts, prefix, tmp_path)
        async with _reporting(reporter):
            assert (await _shows(desk, source="redis"))["kept"] == {}
            await desk.client.set(desk.keys.weights(), "refused")
            await desk.client.publish(desk.keys.weights(), "x")
            shown = await _shows(desk, source="last_known")
            catalog = parts.current.catalog
            assert catalog is not None
            assert shown["kept"] == {"": {"jazz": 0.5, "voice": 0.5}}
            assert (shown["ready"], shown["categories"]) == (catalog.ready, len(catalog.categories))
            [worker] = read_workers([read_state("one", await desk.client.get(desk.keys.worker("one")))])
            assert worker.ready == catalog.ready
            await wait_until(lambda: bool(log.of("mix.left_out")), timeout_s=DONE_S, what="it is logged")
            many = catalog_of({f"c{i}": 1 + i % 7 for i in range(1500)})
            parts.current.catalog = many
            wide = await _shows(desk, categories=1500)
            assert len(wide["ready"]) == 1024
            assert min(wide["ready"].values()) == sorted(many.ready.values(), reverse=True)[1023]
    [line, *_] = log.of("mix.left_out")
    assert (line["categories"], line["share"]) == ("jazz", 0.5)


async def test_a_worker_shows_how_fast_it_is_and_what_was_notable(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    emit(RedisLost(message="no way to redis://me:s3cr3t@there"))
    async with wired(redis_url, prefix) as parts, running(parts), _reporting(_reporter(parts, prefix, tmp_path)):
        await answers(desk, await desk.add_many(5))
        time.sleep(0.2)  # noqa: ASYNC251 - blocks the event loop, which is to be shown
        shown = await _shows(desk, requests=5, loop_lag_ms=100.0)
    assert shown["requests_per_s"] > 0
    assert 0 < shown["latency_p50_ms"] <= shown["latency_p99_ms"] <= shown["latency_max_ms"]
    assert shown["memory_bytes"] is None or shown["memory_bytes"] > 1 << 20
    noted = [event for event in shown["events"] if event["event"] == "redis.lost"]
    assert [(event["level"], event["text"]) for event in noted][-1:] == [("warning", "no way to redis://me:***@there")]
    assert [line["message"] for line in log.of("redis.lost")] == [noted[-1]["text"]]
    assert UNREADABLE not in read_state("one", json.dumps(shown).encode())


async def test_weights_in_force_are_shown_without_waiting_for_the_next_sign_of_life(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.service.reporter.HEARTBEAT_S", _NEVER_S)
    async with wired(redis_url, prefix) as parts, running(parts), _reporting(_reporter(parts, prefix, tmp_path)):
        await _shows(desk, state="starting")
        await answers(desk, await desk.add({"dataset": "d"}))
        for value in ('{"voice": 1}', '{"music": 1}'):
            await desk.weights().store_quietly(None, value)
            await _shows(desk, weights_version=version_by_key(None, value.encode()))
            await desk.weights().store_quietly("d", value)
            await _shows(desk, datasets={"d": version_by_key("d", value.encode())})


class CountingPresence:
    """A presence that shows what a worker shows, and counts how often."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self.shown = 0

    async def show(self, document: str, *, ttl_s: int) -> None:
        self.shown += 1
        await self._presence.show(document, ttl_s=ttl_s)

    async def backlog(self) -> Backlog:
        return await self._presence.backlog()

    def now_ms(self) -> int:
        return self._presence.now_ms()


async def test_many_changes_make_few_documents_and_the_last_one_is_shown(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.service.reporter.HEARTBEAT_S", _NEVER_S)
    async with wired(redis_url, prefix) as parts:
        presence, book = CountingPresence(parts.stream), parts.current.weights
        reporter = Reporter(
            Identity("one", prefix, tmp_path),
            presence,
            parts.current,
            parts.meter,
            availability=parts.availability,
            stats_interval_s=60,
        )
        async with _reporting(reporter):
            await _shows(desk, state="starting")
            began = time.monotonic()
            for i in range(3000):
                book.put(None, Held(b"%d" % i, normalise({"voice": 1.0, "music": i + 1.0}, "redis")))
                await anyio.lowlevel.checkpoint()
                if i % 100 == 0:
                    await anyio.sleep(0.01)
            await _shows(desk, weights_version=book.in_force(None).weights.version)
            most = 2 + (time.monotonic() - began) / 0.05  # as often as once in 50 ms
    assert 2 <= presence.shown <= 1 + most


async def test_a_serving_worker_that_cannot_serve_is_waiting(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with wired(redis_url, prefix) as parts:
        reporter = _reporter(parts, prefix, tmp_path)

        def state() -> str:
            reporter.enter(SERVING)
            return str(_file(tmp_path)["state"])

        assert state() == "serving"
        parts.meter.progress_at -= 6
        assert state() == "waiting"
        parts.meter.progress_at += 6
        catalog, parts.current.catalog = parts.current.catalog, None
        assert state() == "waiting"
        parts.current.catalog = catalog
        await parts.availability.failed("requests", "away")
        assert state() == "waiting"
        parts.availability.succeeded("requests")
        assert state() == "serving"


async def test_statistics_count_an_interval_and_hold_it_against_the_weights(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    dropped = dropped_lines()  # of this process, by whatever ran in it before
    await desk.client.set(desk.keys.weights("d"), '{"voice": 3, "music": 1}')
    async with wired(redis_url, prefix) as parts:
        reporter = _reporter(parts, prefix, tmp_path)
        async with running(parts):
            requests: list[dict[str, object]] = [
                {"size": 40, "dataset": "d", "method": "stratified"},
                {"category": "music"},
                {"size": 0},
            ]
            await answers(desk, await desk.add(*requests))
        await desk.add_many(2)
        await reporter.log_stats()
        await reporter.log_stats()
        version = parts.current.weights.in_force("d").weights.version
        catalog = parts.current.catalog
        assert catalog is not None
    await wait_until(lambda: len(log.of("worker.stats")) == 2, timeout_s=DONE_S, what="both lines are there")
    first, second = log.of("worker.stats")
    counted = {name: first[name] for name in ("requests", "chunks", "errors", "lag", "pending", "redrawn")}
    assert counted == {"requests": 3, "chunks": 41, "errors": 1, "lag": 2, "pending": 0, "redrawn": first["redrawn"]}
    assert (first["catalog_version"], first["log_lines_dropped"]) == (catalog.version, dropped)
    assert first["latency_p50_ms"] <= first["latency_p95_ms"] <= first["latency_p99_ms"] <= first["latency_max_ms"]
    assert (first["loop_lag_ms"], first["oldest_pending_ms"]) == (0.0, None)  # the reporter's loop does not run here
    assert first["memory_bytes"] is None or first["memory_bytes"] > 1 << 20
    assert (second["requests"], second["latency_p50_ms"], second["requests_per_s"]) == (0, None, 0.0)
    lines = [
        (line["dataset"], line["category"], line["count"], line["weight"], line["share"], line["expected"], line["z"])
        for line in log.of("category.stats")
    ]
    assert lines == [
        (None, "music", 1, 0.3, 1.0, 1.0, None),
        ("d", "music", 10, 0.25, 0.25, 10.0, None),
        ("d", "voice", 30, 0.75, 0.75, 30.0, None),
    ]
    assert [line["weights_version"] for line in log.of("category.stats")[1:]] == [version, version]
    assert {line["ready"] for line in log.of("category.stats")} == {50}


async def test_the_oldest_pending_request_and_a_blocked_loop_are_told(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    async with wired(redis_url, prefix) as parts:
        await parts.stream.open()
        await desk.client.xadd(desk.keys.requests, {"size": 1}, id=f"{time.time_ns() // 1_000_000 - 90_000}-0")
        await desk.add_many(1)
        await parts.stream.read(2, 1)
        async with _reporting(_reporter(parts, prefix, tmp_path, stats_interval_s=0.2)):
            await wait_until(lambda: log.of("worker.stats"), timeout_s=DONE_S, what="the first line is there")
            time.sleep(0.5)  # noqa: ASYNC251 - blocks the event loop, which is to be told
            await wait_until(
                lambda: any(line["loop_lag_ms"] > 300 for line in log.of("worker.stats")),
                timeout_s=DONE_S,
                what="the delay is told",
            )
    line = log.of("worker.stats")[-1]
    assert 90_000 <= line["oldest_pending_ms"] < 90_000 + 1000 * DONE_S
    assert line["pending"] == 2


async def test_statistics_come_again_and_again(redis_url: str, prefix: str, tmp_path: Path, log: LogLines) -> None:
    async with wired(redis_url, prefix, Wiring(catalog=None)) as parts:
        await parts.stream.open()
        async with _reporting(_reporter(parts, prefix, tmp_path, stats_interval_s=0.02)):
            await wait_until(lambda: len(log.of("worker.stats")) >= 3, timeout_s=DONE_S, what="three lines are there")
    assert {(line["catalog_version"], line["lag"]) for line in log.of("worker.stats")} == {("", 0)}


async def test_a_health_file_that_cannot_be_written_is_told_and_no_reason_to_fall_silent(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    async with wired(redis_url, prefix) as parts:
        reporter = _reporter(parts, prefix, tmp_path / "not" / "there")
        async with _reporting(reporter):
            await _shows(desk, state="starting")
            reporter.enter("draining")
            await _shows(desk, state="draining")
    assert [line["level"] for line in log.of("health.write_failed")] == ["warning"]


async def test_a_clock_that_is_set_back_keeps_no_health_file_from_being_renewed(
    redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired(redis_url, prefix) as parts, _reporting(_reporter(parts, prefix, tmp_path)):
        await wait_until(lambda: _file(tmp_path), timeout_s=DONE_S, what="the file is there")
        an_hour_ago = time.time() - 3600
        monkeypatch.setattr(time, "time", lambda: an_hour_ago)
        health_path(tmp_path, "one").unlink()
        await wait_until(lambda: _file(tmp_path), timeout_s=DONE_S, what="the file is there again")


async def test_a_group_that_is_not_made_yet_is_no_loss_of_redis(
    redis_url: str, prefix: str, tmp_path: Path, log: LogLines
) -> None:
    """A start may last: a large library is read before the group is made."""
    async with wired(redis_url, prefix) as parts, _reporting(_reporter(parts, prefix, tmp_path, 0.01)):
        await wait_until(lambda: len(log.of("worker.stats")) > 3, timeout_s=DONE_S, what="statistics are logged")
        assert {line["lag"] for line in log.of("worker.stats")} == {None}
        assert log.of("redis.lost") == []


async def test_without_redis_the_file_is_renewed_and_statistics_are_told(tmp_path: Path, log: LogLines) -> None:
    with RedisServer(tmp_path / "server") as server:
        async with wired(server.url, "p") as parts:
            await parts.stream.open()
            reporter = _reporter(parts, "p", tmp_path, stats_interval_s=0.05)
            async with _reporting(reporter):
                await wait_until(lambda: _file(tmp_path), timeout_s=DONE_S, what="the file is there")
                server.kill()
                health_path(tmp_path, "one").unlink()
                await wait_until(lambda: _file(tmp_path), timeout_s=DONE_S, what="the file is there again")
                await wait_until(lambda: not parts.availability.is_up, timeout_s=DONE_S, what="Redis is missed")
                logged = len(log.of("worker.stats"))
                await wait_until(
                    lambda: len(log.of("worker.stats")) > logged + 1, timeout_s=DONE_S, what="stats are logged"
                )
                assert (len(log.of("redis.lost")), len(log.of("redis.restored"))) == (1, 0)
                server.start()
                await wait_until(lambda: log.of("redis.restored"), timeout_s=DONE_S, what="Redis is found again")
    assert log.of("worker.stats")[logged + 1]["lag"] is None
    assert log.of("worker.stats")[logged + 1]["pending"] is None


async def test_who_has_no_patience_left_gets_statistics_without_asking_redis(tmp_path: Path, log: LogLines) -> None:
    with RedisServer(tmp_path / "server") as server:
        async with wired(server.url, "p") as parts:
            await parts.stream.open()
            os.kill(server.pid, signal.SIGSTOP)
            await _reporter(parts, "p", tmp_path, stats_interval_s=600).log_stats(patience_s=0)
            os.kill(server.pid, signal.SIGCONT)
    assert [line["lag"] for line in log.of("worker.stats")] == [None]
    assert log.of("redis.lost") == []
