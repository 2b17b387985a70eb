"""Those that take turns in `ordinary.py`: how each is started, warmed up and asked.

All are asked by the C program, but for queues: these have clients of their own.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tests.bench.harness import CLIENT_CORES, SERVER_CORE, WORKER_CORE, cpu_s, pin, worker
from tests.bench.latency import DONE_S, REQUESTS, WARM_UP, Bench, echo, empty, id_bytes
from tests.bench.peer_programs.face import due_times
from tests.bench.peer_programs.roster import Peer
from tests.bench.peers import Bench as Peers
from tests.bench.peers import session_cpu_s
from tests.support.children import ending_with_us
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync

ROOT = Path(__file__).resolve().parents[2]
SIZE = 64
PEER_RATE = 1_000
WARM_UP_S = 1.0
SCRIPTS, ACKNOWLEDGEMENTS = ("evalsha", "eval"), ("xack",)

Times = np.ndarray[Any, Any]
Ask = Callable[[], tuple[Times, float] | None]
"""Puts a load on a side; returns the latencies in us and how many were answered in a second. None: it was too slow."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for: `rate` requests a second in an open loop; None: one by one."""

    name: str
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One that takes turns.

    Attributes:
        name: As in the table.
        serve: Starts it on an empty Redis and yields its process.
        warm: Warms it up for a load; the number is that of the turn. Yields what puts the load on it.
        settles: The commands of Redis by which it ends a batch.
        cpu_s: Returns the CPU seconds of what it runs.
    """

    name: str
    serve: Callable[[], AbstractContextManager[int]]
    warm: Callable[[Load, int], AbstractContextManager[Ask]]
    settles: Sequence[str] = SCRIPTS
    cpu_s: Callable[[int], float] = cpu_s


CLOSED = Load("closed")


def sides(bench: Bench, options: argparse.Namespace) -> list[Side]:
    """List those that take turns at every load, ours first."""

    @contextmanager
    def warm(load: Load, turn: int) -> Iterator[Ask]:
        ask(bench, load, turn=0, seconds=WARM_UP_S, requests=WARM_UP)
        yield lambda: ask(bench, load, turn=turn, seconds=options.seconds, requests=options.requests)

    length = id_bytes(bench.at)[SIZE]
    found = [
        Side("ours", lambda: running(bench, ROOT), warm),
        Side("least", lambda: least(bench), warm),
        Side("echo", lambda: echo(bench, length), warm, ACKNOWLEDGEMENTS),
    ]
    if options.before is not None:
        code = options.before.resolve()
        assert_runs(code, bench.at.folder)
        found.insert(1, Side("before", lambda: running(bench, code), warm))
    return found


def peer_side(bench: Peers, peer: Peer, python: str, seconds: float) -> Side:
    """Describe a queue whose own client asks it."""

    @contextmanager
    def serve() -> Iterator[int]:
        bench.client.flushall()
        with bench.serving(peer, python) as pid:
            yield pid

    @contextmanager
    def warm(load: Load, turn: int) -> Iterator[Ask]:
        rate = load.rate or PEER_RATE
        with bench.warm(peer, python, rate, seconds, *seeds(turn)) as told:
            yield lambda: summed_up(told(), due_times(rate, seconds, seeds(turn)))

    return Side(peer.name, serve, warm, ACKNOWLEDGEMENTS, session_cpu_s)


def summed_up(times_ms: list[float] | None, due_s: list[float]) -> tuple[Times, float] | None:
    """Return the latencies in us, and how many were answered in a second."""
    if times_ms is None:
        return None
    times = np.array(times_ms)
    return times * 1000, len(times) / float((np.array(due_s) + times / 1000).max())


def seeds(turn: int) -> list[int]:
    """Return the seed of each client of a turn."""
    clients = len(CLIENT_CORES) or 1
    return [clients * turn + number for number in range(clients)]


@contextmanager
def running(bench: Bench, code: Path) -> Iterator[int]:
    """Run the worker of a checkout and yield its process."""
    empty(bench.at)
    with worker(bench.at, PYTHONPATH=str(code)) as one:
        assert one.process is not None
        yield one.process.pid


@contextmanager
def least(bench: Bench) -> Iterator[int]:
    """Run the least that a worker in Python can do, and yield its process."""
    empty(bench.at)
    url = urlsplit(bench.at.redis_url)
    words = (sys.executable, str(Path(__file__).with_name("least_worker.py")), str(url.hostname), str(url.port))
    process = subprocess.Popen(ending_with_us(*words), cwd=ROOT)
    try:
        with connect(bench.at.redis_url) as client:
            wait_until_sync(lambda: client.exists(REQUESTS), timeout_s=DONE_S, what="the least worker has its group")
        pin(process.pid, WORKER_CORE)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def assert_runs(code: Path, folder: Path) -> None:
    """Make sure that a worker which is started as `before` is, in that folder, runs the code of that checkout."""
    ask = [sys.executable, "-c", "import worker.service; print(worker.service.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    told = subprocess.run(ask, env=environment, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    if not Path(told).is_relative_to(code):
        sys.exit(f"--before {code} is no checkout of this project: its worker would be {told}")


def ask(bench: Bench, load: Load, *, turn: int, seconds: float, requests: int) -> tuple[Times, float]:
    """Put a load on the worker that runs; return the latencies in us, and how many were answered in a second."""
    if load.rate is None:
        us = in_us(bench.run("closed", SIZE, requests, core=SERVER_CORE))
        return us, len(us) / us.sum() * 1e6
    cores: Sequence[int | None] = CLIENT_CORES or [None]
    clients = [
        bench.start("poisson", SIZE, load.rate / len(cores), number, seconds, core=core, stdout=subprocess.PIPE)
        for number, core in zip(seeds(turn), cores, strict=True)
    ]
    told = [client.communicate()[0].splitlines() for client in clients]
    if any(client.returncode != 0 for client in clients):
        sys.exit("a client ended with an error")
    answered = sum((len(lines) - 1) / int(lines[0].split()[1]) * 1e9 for lines in told)
    return np.concatenate([in_us(lines[1:]) for lines in told]), answered


def in_us(lines: Sequence[str]) -> Times:
    return np.array(lines, dtype=np.int64) / 1000
