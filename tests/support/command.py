"""The command as a user runs it: a process of its own, with nothing but an environment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.support.children import ending_with_us
from tests.support.forks import Forked, start_forked
from tests.support.waiting import wait_until_sync
from worker.settings.environment import environment_with

Process = subprocess.Popen[bytes] | Forked
_READ_AT_A_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_")
SERVING_S = 180.0
STOP_S = 60.0


def run_command(
    *words: str, settings: Mapping[str, str], cwd: Path, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one verb to its end."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = start_forked(words, env=environment_with(settings), cwd=cwd, stdout=out, stderr=err)
        try:
            status = process.wait(timeout_s)
        finally:
            process.kill()
        printed = [_text_of(file) for file in (out, err)]
    return subprocess.CompletedProcess(words, status, *printed)


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def start_command(*words: str, settings: Mapping[str, str], out: Path) -> Forked:
    """Start one verb; what it prints goes to a file."""
    with out.open("wb") as sink:
        return start_forked(words, env=environment_with(settings), cwd=out.parent, stdout=sink, stderr=sink)


class RunningWorker:
    """A `run` in a process of its own; its log lines go to a file, or to `stdout`, whose reader puts them there.

    It is forked off, see `tests.support.forks`, unless it is wrapped in another command or has to be `fresh`.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        consumer: str = "w-1",
        wrapped: Sequence[str] = (),
        stdout: int | None = None,
        *,
        fresh: bool = False,
    ) -> None:
        self.consumer = consumer
        self._wrapped = wrapped
        # What the interpreter and its C library read as they start says nothing to one that was forked off.
        self._is_fresh = fresh or bool(wrapped) or any(name.startswith(_READ_AT_A_START) for name in settings)
        self._stdout = stdout
        self.log = folder / f"{consumer}.log"
        self._settings = {
            "WORKER_CONSUMER": consumer,
            "WORKER_RUN_DIR": str(folder / "run"),
            "LOG_FORMAT": "json",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **settings,
        }
        self._folder = folder
        self._readies = 0
        self.process: Process | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> "RunningWorker":
        with self.log.open("ab") as log:
            self._readies = len(self.events("worker.ready"))
            stdout = log if self._stdout is None else self._stdout
            self.process = (self._begin if self._is_fresh else self._fork)(stdout, log)
        return self

    def _begin(self, stdout: IO[bytes] | int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ending_with_us(*self._wrapped, sys.executable, "-m", "worker", "run"),
            env=environment_with(self._settings),
            cwd=self._folder,
            stdout=stdout,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _fork(self, stdout: IO[bytes] | int, log: IO[bytes]) -> Forked:
        env = environment_with(self._settings)
        return start_forked(["run"], env=env, cwd=self._folder, stdout=stdout, stderr=log)

    def wait_ready(self) -> "RunningWorker":
        wait_until_sync(
            lambda: len(self.events("worker.ready")) > self._readies,
            timeout_s=SERVING_S,
            what=f"worker.ready of {self.consumer}",
        )
        return self

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.is_running:
            os.kill(self._own_pid(self.process.pid), number)

    def _own_pid(self, pid: int) -> int:
        """Return the process id of the worker itself, not of the command that wraps it."""
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return int(children.read_text().split()[0]) if self._wrapped else pid

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(STOP_S)

    def stop(self) -> int:
        """End it in order, if it runs."""
        if self.process is None or self.process.poll() is not None:
            return -1
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """End it, however it is."""
        if self.is_running:
            self.kill()

    def peak_memory_mb(self) -> float:
        """Return the most memory that it has held so far; 0 where it has ended."""
        return self.memory_kb("VmHWM") / 1024 if self.is_running else 0.0

    def memory_kb(self, name: str) -> int:
        """Read a figure of its memory from /proc."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0])

    def lines(self) -> list[dict[str, Any]]:
        """Read the log: every line has to be a JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.strip()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Read the lines of one event; a last line that is still being written is left for later."""
        found = []
        text = self.log.read_text()
        for line in text[: text.rfind("\n") + 1].splitlines():
            entry = json.loads(line)
            if entry["event"] == name:
                found.append(entry)
        return found

    def losses(self) -> int:
        """Count how often it lost Redis: a loss may be told again, when its cause changes."""
        told = [line["event"] for line in self.lines() if line["event"] in {"redis.lost", "redis.restored"}]
        return sum(pair == ("redis.restored", "redis.lost") for pair in pairwise(["redis.restored", *told]))


def ms_now() -> int:
    """Return the Unix time in ms."""
    return time.time_ns() // 1_000_000
