"""The log's reader stalls or goes away, the disk is full: serving goes on, and what is missing is counted."""

import json
import os
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.command import RunningWorker
from tests.support.waiting import wait_until_sync
from worker.core.keys import GROUP
from worker.logs.line_writer import BUFFER_LINES

_LINES = 1_000_000  # as many as it likes: they are what is tested here
_PIPE_LINES = 200  # more than any pipe holds
_WORKERS = 4


class Pipe:
    """A pipe that has a name, so that readers can come and go; they put what they read into a file.

    Attributes:
        end: Where to write to.
        reader: The present reader.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self._path = folder / "pipe"
        self._log = log
        os.mkfifo(self._path)
        self.reader = self.read()
        self.end = os.open(self._path, os.O_WRONLY)

    def read(self) -> "subprocess.Popen[bytes]":
        """Begin to read."""
        with self._log.open("ab") as log:
            self.reader = subprocess.Popen(["/bin/cat", self._path], stdout=log)
        return self.reader

    def leave(self) -> None:
        """Read no more."""
        self.reader.kill()
        self.reader.wait()

    def close(self) -> None:
        """Close both ends."""
        self.leave()
        os.close(self.end)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    """A pipe whose readers write the log of w-1."""
    with ExitStack() as undo:
        pipe = Pipe(tmp_path, tmp_path / "w-1.log")
        undo.callback(pipe.close)
        yield pipe


def _launch(trial: Trial, stdout: int | None, consumer: str = "w-1") -> RunningWorker:
    """Start a worker that logs its statistics all the time."""
    with suppress(redis.ResponseError):  # another worker was started before
        trial.client.xgroup_create(trial.keys.requests, GROUP, "0", mkstream=True)
    trial.stdout = stdout
    return trial.launch(consumer, WORKER_STATS_INTERVAL_S="0.002")


def _stats_told(trial: Trial) -> int:
    """Return the number of statistics lines. The worker sends XLEN before each, and hardly at other times."""
    return int(trial.client.info("commandstats").get("cmdstat_xlen", {"calls": 0})["calls"])


def _wait_stats(trial: Trial, count: int) -> None:
    until = _stats_told(trial) + count
    wait_until_sync(lambda: _stats_told(trial) >= until, timeout_s=DEADLINE_S, what=f"{count} lines more")


def _dropped(worker: RunningWorker) -> int:
    return int(worker.events("worker.stats")[-1]["log_lines_dropped"])


@pytest.mark.fault("the reader of the log stalls for longer than a pipe can hold, or pipe and buffer together", "H05")
@pytest.mark.parametrize("lines", [_PIPE_LINES, pytest.param(BUFFER_LINES + 1_000, marks=pytest.mark.soak)])
def test_the_reader_of_the_log_stalls(trial: Trial, pipe: Pipe, lines: int) -> None:
    worker = _launch(trial, pipe.end).wait_ready()
    with trial.load():
        pipe.reader.send_signal(signal.SIGSTOP)
        _wait_stats(trial, lines)
        trial.ask(100)
        trial.wait_answered()
        told = len(worker.events("worker.stats"))
        pipe.reader.send_signal(signal.SIGCONT)
        trial.wait_event(worker, "worker.stats", told + lines // 2)
    trial.recover()
    assert bool(_dropped(worker)) == (lines > BUFFER_LINES)
    trial.count(losses=0, lines=_LINES)


@pytest.mark.fault("the reader of the log goes away, and another comes", "H05")
def test_the_reader_of_the_log_goes_away(trial: Trial, pipe: Pipe) -> None:
    worker = _launch(trial, pipe.end).wait_ready()
    with trial.load():
        trial.wait_answered()
        pipe.leave()
        before = len(worker.events("worker.stats"))
        _wait_stats(trial, _PIPE_LINES)
        trial.ask(100)
        trial.wait_answered()
        pipe.read()
        trial.wait_event(worker, "worker.stats", before + 10)
    trial.recover()
    assert _dropped(worker) >= _PIPE_LINES // 2
    trial.count(losses=0, lines=_LINES)


@pytest.mark.fault("the disk with the log is full for a while", "H05")
def test_the_disk_is_full(trial: Trial) -> None:
    """Nothing can be added to the file, as on a full disk; then something can."""
    worker = _launch(trial, None).wait_ready()
    assert worker.process is not None
    pid, fsize = worker.process.pid, resource.RLIMIT_FSIZE
    with trial.load():
        trial.wait_answered()
        room = resource.prlimit(pid, fsize)
        resource.prlimit(pid, fsize, (worker.log.stat().st_size, room[1]))
        _wait_stats(trial, _PIPE_LINES)
        trial.ask(100)
        trial.wait_answered()
        told = len(worker.events("worker.stats"))
        resource.prlimit(pid, fsize, room)
        trial.wait_event(worker, "worker.stats", told + 10)
    trial.recover()
    assert _dropped(worker) >= _PIPE_LINES // 2
    trial.count(losses=0, lines=_LINES)


@pytest.mark.fault("the log goes to a disk that is full from the start (/dev/full)", "H05")
def test_no_line_can_ever_be_written(trial: Trial) -> None:
    with Path("/dev/full").open("wb") as full:
        worker = _launch(trial, full.fileno())
    with trial.load():
        trial.wait_some_answered()
        _wait_stats(trial, _PIPE_LINES)
    trial.recover()
    assert worker.lines() == []
    assert worker.is_running
    trial.count(losses=0)


@pytest.mark.fault("many workers write one log through one pipe", "H09")
def test_workers_share_a_pipe(trial: Trial, pipe: Pipe, tmp_path: Path) -> None:
    for i in range(_WORKERS):
        _launch(trial, pipe.end, f"many-{i}")
    with trial.load():
        trial.wait_some_answered()
        _wait_stats(trial, _WORKERS * _PIPE_LINES)
    trial.recover()
    assert [worker.stop() for worker in trial.workers] == [0] * _WORKERS
    log = tmp_path / "w-1.log"
    wait_until_sync(
        lambda: log.read_text().count("worker.stopped") == _WORKERS, timeout_s=DEADLINE_S, what="all is written"
    )
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = Counter(line["consumer"] for line in lines if line["event"] == "worker.stats")
    assert told.keys() == {worker.consumer for worker in trial.workers}
    assert told.total() >= _WORKERS * _PIPE_LINES
    assert not any(line.get("log_lines_dropped") for line in lines)
    trial.count(losses=0)
