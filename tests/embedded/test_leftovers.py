"""A run of tests, a bench and a demo that are killed leave no process behind."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import wait_until_sync
from worker.settings.environment import environment_with

pytestmark = [
    pytest.mark.fault("a run of tests, a bench or a demo is killed: nothing that it started stays"),
    pytest.mark.needs_linux,
]  # processes are listed in /proc

_ROOT = Path(__file__).parents[2]
_MARK = "LEFTOVERS_OF"
_READY_S, _GONE_S = 120.0, 60.0
_TEST = """
import os, pathlib, time
from tests.support.command import RunningWorker

def test_it(redis_url, database_url, prefix, tmp_path):
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WORKER_PREFIX": prefix}
    worker = RunningWorker(settings, tmp_path).start().wait_ready()
    pathlib.Path(os.environ["LEFTOVERS_NOTE"]).touch()
    time.sleep(600)
"""
_BENCH = """
import os, pathlib, sys, time
sys.path.insert(0, os.getcwd())
from tests.bench.harness import servers, worker
with servers() as at, worker(at) as running:
    pathlib.Path(os.environ["LEFTOVERS_NOTE"]).touch()
    time.sleep(600)
"""


def marked(mark: str) -> list[int]:
    """List the processes whose environment has a mark, but for those that ended and were not waited for."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            has_mark = f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes()
        except OSError:  # it has just ended
            continue
        if has_mark:
            found.append(int(entry.name))
    return found


def kill_when_ready(command: list[str], folder: Path, is_ready: Callable[[str], bool]) -> tuple[int, int]:
    """Run a command, kill it once it is ready; return how many processes there were, and how many are left."""
    mark = uuid.uuid4().hex
    environment = environment_with({"PYTHONPATH": str(_ROOT), _MARK: mark, "LEFTOVERS_NOTE": str(folder / "ready")})
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=_ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        wait_until_sync(
            lambda: is_ready((folder / "out").read_text()) or process.poll() is not None,
            timeout_s=_READY_S,
            what="it has started all",
        )
        assert process.poll() is None, (folder / "out").read_text()
        before = len(marked(mark))
    finally:
        process.kill()
        process.wait()
    try:
        wait_until_sync(lambda: not marked(mark), timeout_s=_GONE_S, what="all that it started has ended")
    finally:
        left = marked(mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    return before, len(left)


@pytest.mark.parametrize("processes", ["0", "1"])
def test_a_killed_run_of_tests_leaves_nothing_behind(processes: str, tmp_path: Path) -> None:
    test = _ROOT / "tests" / "embedded" / f"leftovers_{uuid.uuid4().hex}.py"
    test.write_text(_TEST)
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-n", processes, "-k", "valkey", str(test)]
        before, left = kill_when_ready(command, tmp_path, lambda _: (tmp_path / "ready").exists())
    finally:
        test.unlink()
    assert before >= 4  # itself, two servers and a worker
    assert left == 0


def test_a_killed_bench_leaves_nothing_behind(tmp_path: Path) -> None:
    before, left = kill_when_ready([sys.executable, "-c", _BENCH], tmp_path, lambda _: (tmp_path / "ready").exists())
    assert before >= 4
    assert left == 0


def test_a_killed_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worker", "demo", "--chunks", "1000"]
    before, left = kill_when_ready(command, tmp_path, lambda printed: "training jobs ask for" in printed)
    assert before >= 5  # itself, two servers and two workers
    assert left == 0
