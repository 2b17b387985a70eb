"""A worker feeds systemd's watchdog while it makes progress, and only then."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from tests.support.log_lines import captured_log
from tests.support.streams import Desk
from tests.support.systemd import Listener, listening
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers, running, wired
from worker.adapters.redis.streams import RedisStreams
from worker.core.wire import Entry
from worker.ports import Pending
from worker.run_dir.systemd import WATCHDOG, Systemd
from worker.service.meter import Meter
from worker.service.watchdog import Watchdog

EXTENSION = "EXTEND_TIMEOUT_USEC=9000000"


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listener]:
    with listening(tmp_path) as listener:
        yield listener


class Told:
    """A watchdog, what state it is told of, and what it tells."""

    def __init__(self, systemd: Listener, meter: Meter | None = None) -> None:
        self.state = "starting"
        self.meter = meter or Meter()
        self._systemd = systemd
        self._watchdog = Watchdog(Systemd(systemd.address, 9.0), lambda: self.state, self.meter)

    def after(self, state: str | None = None, *, moved: bool = False) -> list[str]:
        """Look after the state has become another, or a lane has moved; return what is told by that."""
        self.state = state or self.state
        if moved:
            self.meter.progress_at += 1.0
        before = len(self._systemd.lines())
        self._watchdog.look()
        return self._systemd.lines()[before:]


def test_a_start_asks_for_time_until_the_worker_serves(systemd: Listener) -> None:
    told = Told(systemd)
    assert told.after() == ["STATUS=starting", WATCHDOG, EXTENSION]
    assert told.after() == [WATCHDOG, EXTENSION]
    assert told.after("waiting", moved=True) == ["STATUS=waiting", WATCHDOG, EXTENSION]  # Redis is away at the start
    assert told.after() == []
    assert told.after("serving", moved=True) == ["STATUS=serving", "READY=1", WATCHDOG, EXTENSION]
    assert told.after(moved=True) == [WATCHDOG]


def test_a_worker_is_ready_once_and_stops_once(systemd: Listener) -> None:
    told = Told(systemd)
    states = ["serving", "waiting", "serving", "draining", "draining"]
    lines = [line for state in states for line in told.after(state)]
    assert [line for line in lines if line in {"READY=1", "STOPPING=1"}] == ["READY=1", "STOPPING=1"]
    assert lines[-2:] == ["STATUS=draining", "STOPPING=1"]


def test_only_a_lane_that_moved_feeds_it(systemd: Listener) -> None:
    told = Told(systemd)
    told.after("serving", moved=True)
    assert [told.after(moved=moved) for moved in (False, True, False, False, True)] == [
        [],
        [WATCHDOG],
        [],
        [],
        [WATCHDOG],
    ]


def test_a_message_that_was_not_taken_is_sent_again_and_told_once(tmp_path: Path) -> None:
    with captured_log(tmp_path) as log, listening(tmp_path) as listener:
        told = Told(listener)
        told.after("starting")
        path = Path(listener.address)
        hidden = path.rename(tmp_path / "hidden")
        assert told.after("serving") == told.after("serving") == []
        hidden.rename(path)
        assert "READY=1" in told.after("serving")
        assert [line["level"] for line in log.of("systemd.unheard")] == ["warning"]


def test_without_systemd_nothing_is_sent(tmp_path: Path) -> None:
    with captured_log(tmp_path) as log:
        Watchdog(Systemd(), lambda: "serving", Meter()).look()
        assert log.of("systemd.unheard") == []


class _Hanging(RedisStreams):
    """Streams of which a read hangs, from a moment on: what a bug of ours or of a driver would do."""

    hangs: ClassVar = False
    is_hung: ClassVar = anyio.Event()
    end: ClassVar = anyio.Event()

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        if self.hangs:
            self.is_hung.set()
            await self.end.wait()
        return await super().read(count, block_ms)


async def test_a_lane_that_hangs_feeds_it_no_more(
    desk: Desk, redis_url: str, prefix: str, systemd: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Hanging, "is_hung", anyio.Event())
    monkeypatch.setattr(_Hanging, "end", anyio.Event())
    async with wired(redis_url, prefix, Wiring(streams=_Hanging)) as parts, running(parts):
        told = Told(systemd, parts.meter)
        for _ in range(3):
            await answers(desk, await desk.add_many(1))
            await wait_until(lambda: WATCHDOG in told.after("serving"), timeout_s=DONE_S, what="the watchdog is fed")
        monkeypatch.setattr(_Hanging, "hangs", True)
        last = await desk.add_many(1)  # ends the read that waits
        with anyio.fail_after(DONE_S):
            await _Hanging.is_hung.wait()
        await answers(desk, last)

        async def is_still() -> bool:
            looks = [told.after() for _ in range(50) if await desk.client.ping()]
            return not any(looks)

        await wait_until(is_still, timeout_s=DONE_S, what="the other lane has settled what it read, and waits")
        waiting = await desk.add_many(1)
        looks = [told.after() for _ in range(50) if await desk.client.ping()]
        assert looks == [[]] * 50
        _Hanging.end.set()
        await answers(desk, waiting)
        await wait_until(lambda: told.after() == [WATCHDOG], timeout_s=DONE_S, what="the watchdog is fed again")


class _Noting(RedisStreams):
    """Streams that note when a lane had last moved, before each delivery of what is reclaimed."""

    moved: ClassVar[list[float]] = []
    meter: ClassVar[Meter]

    async def deliver_again(self, pending: Sequence[Pending]) -> list[Entry]:
        self.moved.append(self.meter.progress_at)
        return await super().deliver_again(pending)


async def test_a_lane_that_reclaims_one_by_one_moves(
    desk: Desk, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes over many entries is at work, and no restart would help."""
    ids = await desk.add_many(5)
    before = desk.consumer("one")
    await before.open()
    await before.read(5, 1)
    await before.deliver_again(await before.pending())  # so each is a suspect, and attempted alone
    async with wired(redis_url, prefix, Wiring(streams=_Noting)) as parts:
        monkeypatch.setattr(_Noting, "moved", [])
        monkeypatch.setattr(_Noting, "meter", parts.meter, raising=False)
        async with running(parts):
            await answers(desk, ids)
        assert len(set(_Noting.moved)) == len(_Noting.moved) == len(ids)
