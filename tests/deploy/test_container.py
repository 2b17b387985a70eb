"""Worker, desk and migration in the surroundings that the manifests give them, without a cluster.

There is no home and no terminal. The user is an arbitrary one without capabilities. All but /tmp is read-only. The
program is process 1.
"""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.children import ending_with_us
from tests.support.command import RunningWorker
from tests.support.containers import Container
from tests.support.kubernetes import base, container_of, literals
from tests.support.library import fill
from tests.support.servers import execute, fetch_value
from tests.support.topologies import free_port
from tests.support.waiting import wait_until_sync
from tests.support.workers import DONE_S
from worker.client import SampleClient

pytestmark = [pytest.mark.needs_linux, pytest.mark.needs_root, pytest.mark.any_redis]

USERS = {"the user of the image": (65532, 65532), "a user of the cluster's choice": (1_000_730_001, 0)}
Start = Callable[[str], "Pod"]


LOOK = """
import json, os
def can_write(folder):
    try:
        open(os.path.join(folder, "x"), "w").close()
    except OSError:
        return False
    return True
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
print(json.dumps({
    "written": list(filter(can_write, ["/", "/var", "/run", "/run/secrets/sampling", "/srv/app", "/tmp"])),
    "home": os.environ.get("HOME"), "user": [os.getuid(), os.getgid()], "files": sorted(os.listdir("/tmp")),
    "capabilities": {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0},
    "terminal": open("/proc/1/stat").read().rpartition(")")[2].split()[4],
}))
"""
"""Prints what a program of this container can do."""


@pytest.fixture
def secrets(tmp_path: Path, redis_url: str, database_url: str) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    execute(database_url, fill(30, "'voice'"))
    (folder / "redis_url").write_text(redis_url)
    (folder / "database_url").write_text(database_url)
    return folder


def child_of(pid: int) -> int:
    """Return the process in the container, by the one that made the container."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


@dataclass
class Pod:
    """A running container."""

    container: Container
    worker: RunningWorker

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, as its user."""
        assert self.worker.process is not None
        entered = self.container.enter_words(child_of(self.worker.process.pid), *words)
        return subprocess.run(
            entered, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )


@pytest.fixture
def start(tmp_path: Path, secrets: Path, prefix: str) -> Iterator[Start]:
    started: list[RunningWorker] = []

    def start(user: str) -> Pod:
        container = Container("worker", *USERS[user], settings={**literals("base"), "WORKER_PREFIX": prefix})
        started.append(RunningWorker({}, tmp_path, wrapped=container.start_words(secrets)).start())
        return Pod(container, started[-1].wait_ready())

    yield start
    for worker in started:
        worker.stop()


@pytest.mark.parametrize("user", USERS)
def test_a_worker_serves_and_drains(start: Start, redis_url: str, prefix: str, user: str) -> None:
    pod = start(user)
    (began,) = pod.worker.events("worker.started")
    assert (began["pid"], began["consumer"]) == (1, "pod-x7k2p-1")
    health = pod.run(*container_of(base(), "worker")["readinessProbe"]["exec"]["command"])
    assert (health.returncode, health.stderr) == (0, "")
    with SampleClient(redis_url, prefix=prefix) as client:
        assert sum(len(client.sample(4).chunk_ids) for _ in range(20)) == 80
    pod.worker.send(signal.SIGTERM)
    assert pod.worker.wait() == 0
    (stopped,) = pod.worker.events("worker.stopped")
    assert (stopped["exit_status"], stopped["requests"]) == (0, 20)


def test_nothing_but_tmp_can_be_written_and_nothing_is_left_of_the_machine(start: Start) -> None:
    pod = start("a user of the cluster's choice")
    done = pod.run("python", "-c", LOOK)
    uid, gid = pod.container.uid, pod.container.gid
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "written": ["/tmp"],  # noqa: S108 - of the container
        "home": None,
        "user": [uid, gid],
        "files": [f"sampling-worker-{uid}", "x"],
        "capabilities": True,
        "terminal": "0",
    }


def test_the_migration_makes_the_schema_and_can_be_run_again(tmp_path: Path, empty_database_url: str) -> None:
    (tmp_path / "owner_url").write_text(empty_database_url)
    for _ in range(2):
        words = Container("migrate", *USERS["a user of the cluster's choice"], settings={}).start_words(tmp_path)
        done = subprocess.run(ending_with_us(*words), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert fetch_value(empty_database_url, "select count(*) from audio_chunks") == 0


def status_of(port: int, path: str, host: str = "sampling-desk") -> int:
    """Return the status of what the desk answers; 0 where nobody listens yet."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        link.request("GET", path, headers={"Host": host})
        return link.getresponse().status
    except ConnectionRefusedError:
        return 0
    finally:
        link.close()


def test_the_desk_is_ready_and_lets_nobody_in_without_its_token(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "desk_url").write_text(redis_url)
    (tmp_path / "desk_token").write_text("0123456789abcdef")
    probe, (opened,) = (container_of(base(), "desk")[name] for name in ("readinessProbe", "ports"))
    port = free_port()
    container = Container(
        "desk", *USERS["a user of the cluster's choice"], literals("base"), {str(opened["containerPort"]): str(port)}
    )
    with subprocess.Popen(ending_with_us(*container.start_words(tmp_path)), stdout=subprocess.DEVNULL) as desk:
        try:
            ready = probe["httpGet"]["path"]
            wait_until_sync(
                lambda: status_of(port, ready, "10.1.2.3") == 200, timeout_s=DONE_S, what="the desk is ready"
            )
            assert (status_of(port, "/api/desk"), status_of(port, ready, "stranger.example")) == (401, 403)
            os.kill(child_of(desk.pid), signal.SIGTERM)
            assert desk.wait(DONE_S) == 0
        finally:
            desk.kill()
