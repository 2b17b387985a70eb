"""Servers and settings for the command as a process of its own."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.machine import Machine
from tests.support.command import RunningWorker, run_command
from tests.support.waiting import wait_until_sync

Settings = dict[str, str]
Run = Callable[..., subprocess.CompletedProcess[str]]
StartWorker = Callable[..., RunningWorker]


@pytest.fixture
def settings(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Point the command at servers of its own."""
    (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)
    return {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "WORKER_PREFIX": prefix,
        "WORKER_RUN_DIR": str(tmp_path / "run"),
    }


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    """Run a verb to its end."""

    def start(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return run_command(*words, settings={**settings, **more}, cwd=tmp_path)

    return start


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers that are ended with the test."""
    with ExitStack() as workers:

        def start(consumer: str = "w-1", *, ready: bool = True, **more: str) -> RunningWorker:
            worker = RunningWorker({**settings, **more}, tmp_path, consumer).start()
            workers.callback(worker.stop)  # whatever becomes of the others
            return worker.wait_ready() if ready else worker

        yield start


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "run").mkdir(mode=0o700)
    machine = Machine(tmp_path)
    yield machine
    for up in machine.ups:
        up.kill()
    wait_until_sync(lambda: not machine.processes(), timeout_s=60, what="nothing runs in the data folder")
