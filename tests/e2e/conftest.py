"""Servers and settings for the command, in this process or in one of its own."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.command import RunningWorker
from worker.cli.commands import execute
from worker.settings.environment import environment_with

Settings = dict[str, str]
Run = Callable[..., subprocess.CompletedProcess[str]]
StartWorker = Callable[..., RunningWorker]
_LONGEST_S = 60.0


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
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb to its end, in a thread of this process: to start a process takes far longer than most verbs do."""

    def start(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            _set_environment(patch, environment_with({**settings, **more}))
            capsys.readouterr()
            status = _status_of(words)
            return subprocess.CompletedProcess(words, status, *capsys.readouterr())

    return start


def _set_environment(patch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environ.keys():
        patch.delenv(name)
    for name, value in environ.items():
        patch.setenv(name, value)


def _status_of(words: Sequence[str]) -> int:
    """Run a verb in a thread of its own, as a test may have an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(execute, words).result(_LONGEST_S)
        except SystemExit as end:  # of `health`, which reads its words itself
            return int(end.code or 0)


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers that are ended with the test."""
    with ExitStack() as workers:

        def start(consumer: str = "w-1", *, ready: bool = True, **more: str) -> RunningWorker:
            worker = RunningWorker({**settings, **more}, tmp_path, consumer).start()
            workers.callback(worker.stop)  # whatever becomes of the others
            return worker.wait_ready() if ready else worker

        yield start
