"""Requests a second of general task queues doing our draw, beside our worker on the same server.

The job is the same for all: draw 64 chunk ids by weights, out of a million READY chunks in five categories held in
memory. Vectorised NumPy draws them (`peer_programs/job.py`). Each request gets one result, with ids, counts and the
request's id. Each queue is set for throughput (`settings`) and keeps results where its documentation puts them
(`results in`). The queue's own client sends a backlog. Then one worker starts, on a core of its own. It is timed from
the first results that are seen to the last. Then a client, on the server's core, times single requests, one after the
other. It waits for a result by what the queue offers for that; those that poll do so every ms. Then requests come at
the times of a Poisson process, 1,000 a second, each timed from when it was due. A queue is too slow if its last result
is more than half a second behind the last due time. Its client has the third core; where there is none, it is not
pinned. At last every result of the backlog is read and checked against its request. Our worker does all this right
before each of them, round by round. Figures are medians of the rounds, and ratios medians of the ratios of each round.
CPU is of all processes of a worker. Where others use the machine too, it moves far less than requests/s, and its ratio
is the one to read.

The queues are installed from PyPI, each into a virtual environment of its own. So none has to share a client library,
and the first run takes some minutes more.

    python tests/bench/peers.py [--quick] [--json] [--only NAME] [--rounds N] [--env FOLDER] [--server redis7]
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import (
    CLIENT_CORES,
    SERVER_CORE,
    WORKER_CORE,
    Servers,
    arguments,
    cpu_s,
    fill,
    pin,
    report,
    servers,
    worker,
)
from tests.bench.peer_programs.install import add_env, install, versions
from tests.bench.peer_programs.roster import OURS, PEERS, PROGRAMS, Peer
from tests.support.children import ending_with_us
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync

ROOT = Path(__file__).parents[2]
ROWS = 1_000_000
TRIPS = 200
STEADY_RATE, STEADY_S = 1_000, 4.0
TOO_SLOW = "too slow"
DONE_S = 1200.0
STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one worker did.

    Attributes:
        rate: Requests a second of a backlog.
        cpu_us: CPU for each of them.
        trip_ms: The median of single requests.
        steady_us: CPU for each request at 1,000 a second; None: too slow for that.
        steady_ms: The median of these.
    """

    rate: float
    cpu_us: float
    trip_ms: float
    steady_us: float | None = None
    steady_ms: float | None = None


Ask = Callable[[], list[float] | None]
"""Puts a steady load on a worker; returns the times of its requests in ms, None where the queue was too slow."""

Pair = tuple[Measured, Measured]
"""Ours, and a peer's, of one round."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A measurement of workers, one after the other, on servers of its own."""

    at: Servers
    client: redis.Redis

    def measure(self, peer: Peer, python: str) -> Measured:
        """Time a backlog, single requests and a steady load, and check every result."""
        self.client.flushall()
        self._run(peer, python, "enqueue", peer.requests)
        with self.serving(peer, python) as pid:
            rate, cpu_us = self._time_backlog(peer, pid)
            trips = self._run(peer, python, "trip", TRIPS)
            steady_us, steady_ms = self._time_steady(peer, python, pid)
        good = self._run(peer, python, "check", peer.requests)
        assert good == peer.requests, f"{peer.name}: {good} of {peer.requests} requests have the result they asked for"
        return Measured(rate, cpu_us, statistics.median(trips), steady_us, steady_ms)

    def _time_steady(self, peer: Peer, python: str, pid: int) -> tuple[float | None, float | None]:
        """Return the CPU time of a steady load's request in us, and the median of its times in ms."""
        with self.warm(peer, python, STEADY_RATE, STEADY_S, 1) as ask:
            before = session_cpu_s(pid)
            times = ask()
            used = session_cpu_s(pid) - before
        return (used / len(times) * 1e6, statistics.median(times)) if times else (None, None)

    @contextmanager
    def warm(self, peer: Peer, python: str, rate: float, seconds: float, *seeds: int) -> Iterator[Ask]:
        """Start a queue's own client of a steady load and warm it up; yield what puts the load on the worker."""
        with self._start(peer, python, "steady", rate, seconds, *seeds) as process:
            assert process.stdout is not None
            if CLIENT_CORES:
                pin(process.pid, CLIENT_CORES[0])
            process.stdout.readline()
            yield lambda: told_by(process, "go\n")

    def _run(self, peer: Peer, python: str, mode: str, count: int) -> Any:
        """Run a program on the side of those that send requests, and return what it tells."""
        with self._start(peer, python, mode, count) as process:
            if mode == "trip":
                pin(process.pid, SERVER_CORE)
            return told_by(process)

    def _start(self, peer: Peer, python: str, *words: object) -> subprocess.Popen[str]:
        command = ending_with_us(python, "-m", f"{PROGRAMS}.{peer.program}", *map(str, words))
        ends = subprocess.PIPE
        return subprocess.Popen(command, env=self._environment, stdin=ends, stdout=ends, text=True)

    @contextmanager
    def serving(self, peer: Peer, python: str) -> Iterator[int]:
        """Run the one worker, and yield the process that leads its session."""
        if peer is OURS:
            with worker(self.at) as running:
                assert running.process is not None
                yield running.process.pid
            return
        log = self.at.folder / f"{peer.name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                ending_with_us(python, "-m", *peer.work),
                env=self._environment,
                cwd=ROOT,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        try:
            pin(process.pid, WORKER_CORE)
            yield process.pid
        except AssertionError:
            sys.stderr.write(log.read_text()[-2000:])
            raise
        finally:
            end_session(process)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_REDIS_URL": self.at.redis_url}

    def _time_backlog(self, peer: Peer, pid: int) -> tuple[float, float]:
        """Return requests a second, and the CPU time of each request in us."""

        def done() -> int:
            return peer.done(self.client, peer.requests)

        wait_until_sync(done, timeout_s=DONE_S, what=f"{peer.name} has a first result")
        before, cpu_before, began = done(), session_cpu_s(pid), time.perf_counter()
        wait_until_sync(lambda: done() >= peer.requests, timeout_s=DONE_S, what=f"{peer.name} has every result")
        seconds, cpu = time.perf_counter() - began, session_cpu_s(pid) - cpu_before
        return (peer.requests - before) / seconds, cpu / (peer.requests - before) * 1e6


def told_by(process: subprocess.Popen[str], word: str = "") -> Any:
    """Write a word to a program, wait for its end and return the JSON that it prints."""
    told = process.communicate(word)[0]
    if process.returncode != 0:
        sys.exit(f"{process.args!r} ended with status {process.returncode}")
    return json.loads(told)


def session_cpu_s(leader: int) -> float:
    """Return the CPU seconds of all processes of a session; of its leader alone where the system has no /proc."""
    total = 0.0
    for pid in [int(entry.name) for entry in Path("/proc").glob("[0-9]*")] or [leader]:
        with suppress(ProcessLookupError, FileNotFoundError):
            if os.getsid(pid) == leader:
                total += cpu_s(pid)
    return total


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """Ask a worker to end, and end what is left of its session."""
    leader.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        leader.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def row(peer: Peer, version: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Make a row out of the rounds of a peer."""

    def middle(figure: Callable[[Measured, Measured], float]) -> float:
        return float(statistics.median(figure(ours, its) for ours, its in pairs))

    return {
        "peer": peer.name,
        "version": version,
        "requests/s": round(middle(lambda _, its: its.rate)),
        "ours/this": middle(lambda ours, its: ours.rate / its.rate),
        "CPU us/request": middle(lambda _, its: its.cpu_us),
        "this/ours CPU": middle(lambda ours, its: its.cpu_us / ours.cpu_us),
        "round trip p50 ms": middle(lambda _, its: its.trip_ms),
        "this/ours trip": middle(lambda ours, its: its.trip_ms / ours.trip_ms),
        "CPU us at 1,000/s": middle_if_kept_up([its.steady_us for _, its in pairs]),
        "p50 ms at 1,000/s": middle_if_kept_up([its.steady_ms for _, its in pairs]),
        "results in": peer.results_in,
        "settings": peer.settings,
    }


def middle_if_kept_up(figures: Sequence[float | None]) -> float | str:
    """Return the median, or that a queue was too slow in most of the rounds."""
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if 2 * len(known) > len(figures) else TOO_SLOW


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the peers' requests, and one round")
    parser.add_argument("--only", choices=[peer.name for peer in PEERS], help="this peer alone, and ours")
    parser.add_argument("--rounds", type=int, default=3, help="times that each peer has its turn (default: 3)")
    add_env(parser)
    return parser.parse_args()


def main() -> None:
    # Ended in order, so that no worker is left in its session.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parse_options()
    rounds, share = (1, 5) if options.quick else (options.rounds, 1)
    peers = [replace(peer, requests=peer.requests // share) for peer in PEERS if options.only in (None, peer.name)]
    pythons = [install(peer, options.env.absolute()) for peer in peers]
    rows, all_ours = [], []
    with servers(options.server) as at, connect(at.redis_url) as client:
        bench = Bench(at, client)
        anyio.run(fill, at.database_url, ROWS)
        for peer, python in zip(peers, pythons, strict=True):
            pairs = [(bench.measure(OURS, sys.executable), bench.measure(peer, python)) for _ in range(rounds)]
            rows.append(row(peer, versions(peer, python), pairs))
            all_ours += [(ours, ours) for ours, _ in pairs]
    version = versions(replace(OURS, requires=("sampling-worker",)), sys.executable)
    report("peers", [row(OURS, version, all_ours), *rows], as_json=options.json)


if __name__ == "__main__":
    main()
