"""A worker as a service of systemd: what it tells, from its start to its end."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Settings, StartWorker
from tests.support.command import RunningWorker
from tests.support.servers import redis_binaries, running
from tests.support.systemd import ADDRESSES, Listener, listening
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.run_dir.systemd import READY, STOPPING, WATCHDOG

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_linux]

PERIOD = "2000000"
_LONG_S = 60.0


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with running(lambda folder: RedisServer(folder, binary=redis_binaries()["valkey"])) as server:
        yield server


def wait_line(systemd: Listener, line: str, *, more: int = 1) -> None:
    """Wait until a line has come so many more times."""
    wanted = systemd.count(line) + more
    wait_until_sync(lambda: systemd.count(line) >= wanted, timeout_s=_LONG_S, what=line)


@pytest.mark.parametrize("kind", ADDRESSES)
def test_it_tells_that_it_is_ready_and_that_it_stops(start_worker: StartWorker, tmp_path: Path, kind: str) -> None:
    with listening(tmp_path, kind) as systemd:
        worker = start_worker(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC=PERIOD)
        wait_line(systemd, WATCHDOG, more=2)
        assert (systemd.count(READY), systemd.count(STOPPING)) == (1, 0)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
        states = [line for line in systemd.lines() if line.startswith("STATUS=")]
        assert states == ["STATUS=starting", "STATUS=serving", "STATUS=draining"]
        assert (systemd.count(READY), systemd.count(STOPPING)) == (1, 1)


def test_a_worker_that_waits_for_redis_is_fed_and_ready_once_it_serves(
    start_worker: StartWorker, own_server: RedisServer, tmp_path: Path
) -> None:
    own_server.stop()
    with listening(tmp_path) as systemd:
        worker = start_worker(
            ready=False, REDIS_URL=own_server.url, NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC=PERIOD
        )
        wait_line(systemd, "STATUS=waiting")
        wait_line(systemd, WATCHDOG, more=3)
        assert systemd.count(READY) == 0
        own_server.start()
        wait_line(systemd, READY)
        os.kill(own_server.pid, signal.SIGSTOP)  # it hangs, and holds every connection
        try:
            wait_line(systemd, "STATUS=waiting")
            wait_line(systemd, WATCHDOG, more=2)
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        wait_line(systemd, "STATUS=serving")
        assert systemd.count(READY) == 1
        assert worker.stop() == 0


def test_another_process_s_watchdog_is_not_fed(start_worker: StartWorker, tmp_path: Path) -> None:
    with listening(tmp_path) as systemd:
        start_worker(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="4000", WATCHDOG_PID="1")
        wait_line(systemd, WATCHDOG)
        assert systemd.count(READY) == 1
        assert "EXTEND_TIMEOUT_USEC=4000" not in systemd.lines()


@pytest.mark.parametrize("address", ["vsock:2:1234", "relative/path", ""])
def test_an_address_that_is_no_socket_of_this_machine_is_left_alone(start_worker: StartWorker, address: str) -> None:
    worker = start_worker(NOTIFY_SOCKET=address, WATCHDOG_USEC="not a number")
    assert worker.stop() == 0
    assert worker.events("systemd.unheard") == []


def test_a_worker_that_the_watchdog_ends_says_where_it_was(start_worker: StartWorker) -> None:
    worker = start_worker(PYTHONFAULTHANDLER="1")
    worker.send(signal.SIGABRT)
    assert worker.wait() == -signal.SIGABRT
    text = worker.log.read_text()
    assert "Fatal Python error: Aborted" in text
    assert "/worker/service/app.py" in text


def test_lines_of_a_worker_have_their_level_where_they_go_to_the_journal(
    start_worker: StartWorker, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "w-2.log").touch()
    found = (tmp_path / "w-2.log").stat()
    worker = RunningWorker({**settings, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, tmp_path, "w-2").start()
    wait_until_sync(lambda: '"worker.ready"' in worker.log.read_text(), timeout_s=_LONG_S, what="the worker is ready")
    assert worker.stop() == 0
    levels = {(line[:3], json.loads(line[3:])["level"]) for line in worker.log.read_text().splitlines()}
    assert ("<6>", "info") in levels
    assert levels <= {("<6>", "info"), ("<4>", "warning")}
    start_worker("w-3", JOURNAL_STREAM="1:1")  # of another process: its lines are read as JSON
