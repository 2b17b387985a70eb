"""What more workers and more prefixes bring, and how large a fleet has to be: measured here, and reckoned from it.

Two cases are measured. First, a backlog is served by 1 to 8 workers on one server. Second, it is served by 1 to 3
prefixes that have a server and a worker each. Servers share the first core and workers the second. So two cores show
what a request takes of each, and whether that grows. They cannot show how much faster more cores are.

All else is reckoned from these CPU times by `sizing.py`. The three tables are printed; with --keep they are written to
tests/bench/figures as well, from where `readme.py` takes them. Each figure is of the round with the median rate.

    python tests/bench/scale_out.py [--json] [--keep] [--price P] [--rounds N] [--requests N] [--chunks N]
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, Final, TypeVar

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.backlog import (
    BATCH,
    KEYS,
    READS_S,
    ROWS,
    Case,
    Clock,
    Timing,
    add_backlog,
    assert_served,
    clear,
    time_running,
)
from tests.bench.harness import SERVER_CORE, Servers, arguments, fill, keep, pin, report, servers, worker
from tests.bench.sizing import Costs, limit_rows, reckoned_rows, row, sizing_rows
from tests.support.command import RunningWorker
from tests.support.servers import redis_binaries
from tests.support.waiting import wait_until_sync
from worker.core.keys import GROUP
from worker.embedded import RedisServer

WORKERS: Final = (1, 2, 4, 8)
PREFIXES: Final = (1, 2, 3)
SIZES: Final = {64: 1, 1024: 8}
"""Size -> the part of the requests that is asked for, as larger ones take longer."""
PRICE: Final = 0.04
"""Of a core for an hour, in the money of a large cloud, on demand; memory and network are not in it."""


Measured = TypeVar("Measured", bound=tuple[Timing, Any])


class Fleet:
    """Workers and servers that become more and more."""

    def __init__(self, at: Servers, client: redis.Redis, *, requests: int, rounds: int) -> None:
        self.at = at
        self.client = client
        self.running: list[RunningWorker] = []
        self._requests = requests
        self._rounds = rounds

    def case(self, size: int, workers: int = 1) -> Case:
        return Case(size, "json", self._requests // SIZES[size], workers)

    def median(self, measure: Callable[[], Measured]) -> Measured:
        """Measure in several rounds, and return that with the median rate."""
        found = sorted((measure() for _ in range(self._rounds)), key=lambda one: one[0].rate)
        return found[len(found) // 2]

    def grow(self, opened: ExitStack, count: int) -> None:
        """Run so many workers on the first server."""
        while len(self.running) < count:
            self.running.append(opened.enter_context(worker(self.at, WORKER_BATCH=str(BATCH))))

    def resident_mb(self) -> float:
        """Return the resident memory of a worker now, on average."""
        return mean(one.memory_kb("VmRSS") for one in self.running) / 1024


def measure_costs(fleet: Fleet, case: Case, chunks: int) -> tuple[Timing, Costs]:
    """Serve a backlog, and look at all that a request takes."""
    before: Any = fleet.client.info()
    timing = time_running(fleet.at, fleet.client, case, fleet.running)
    after: Any = fleet.client.info()
    ways = "total_net_input_bytes", "total_net_output_bytes"
    arrived, left = ((after[name] - before[name]) / case.requests for name in ways)
    held: Any = fleet.client.memory_usage(KEYS.results, samples=0)  # what was cleared is freed later
    newest: Any = fleet.client.xrevrange(KEYS.results, count=1)
    [(_, fields)] = newest
    read = sum(len(word) for pair in fields.items() for word in pair)
    return timing, Costs(
        timing.own_us,
        timing.server_us,
        held / case.requests,
        max(arrived, left + read),
        fleet.resident_mb(),
        chunks,
    )


def time_shards(shards: Sequence[tuple[Servers, RunningWorker]], case: Case) -> Timing:
    """Serve a backlog on each of several servers at the same time, each by a worker of its own."""
    with ExitStack() as opened:
        clients = [opened.enter_context(redis.Redis.from_url(at.redis_url)) for at, _ in shards]
        for (at, one), client in zip(shards, clients, strict=True):
            clear(at, case)
            wait_until_sync(partial(_has_reader, client), timeout_s=READS_S, what="the worker reads again")
            one.send(signal.SIGSTOP)
            add_backlog(at, case)
        clocks = [Clock(at, _pid(one)) for at, one in shards]
        for _, one in shards:
            one.send(signal.SIGCONT)
        while any(client.xlen(KEYS.requests) for client in clients):
            time.sleep(0.01)
        parts = [clock.timing(case.requests) for clock in clocks]
        for client in clients:
            assert_served(client, case)
    began, ended = min(part.span[0] for part in parts), max(part.span[1] for part in parts)
    rate = case.requests * len(parts) / (ended - began)
    return Timing(rate, mean(part.own_us for part in parts), mean(part.server_us for part in parts), (began, ended))


def _has_reader(client: redis.Redis) -> bool:
    return bool(client.xinfo_consumers(KEYS.requests, GROUP))


def _pid(one: RunningWorker) -> int:
    assert one.process is not None
    return one.process.pid


def measure_workers(fleet: Fleet, chunks: int) -> tuple[list[dict[str, Any]], dict[int, Costs]]:
    """Measure ever more workers on one server; return their rows, and what a request takes of one worker."""
    rows: list[dict[str, Any]] = []
    costs: dict[int, Costs] = {}
    with ExitStack() as opened:
        for count, size in product(WORKERS, SIZES):
            fleet.grow(opened, count)
            case = fleet.case(size, count)
            if count == 1:
                time_running(fleet.at, fleet.client, case, fleet.running)  # who is first pays for the memory
            timing, found = fleet.median(partial(measure_costs, fleet, case, chunks))
            costs.setdefault(size, found)
            rows.append(row(size, 1, count, timing))
    return rows, costs


def measure_prefixes(fleet: Fleet, kind: str) -> Iterator[dict[str, Any]]:
    """Measure ever more servers, with a worker each."""
    with ExitStack() as opened:
        shards: list[tuple[Servers, RunningWorker]] = []
        for count in PREFIXES:
            at = opened.enter_context(_another_server(fleet.at, kind, count)) if shards else fleet.at
            shards.append((at, opened.enter_context(worker(at, WORKER_BATCH=str(BATCH)))))
            if count > 1:
                timing, _ = fleet.median(lambda: (time_shards(shards, fleet.case(64)), None))
                yield row(64, count, count, timing)


@contextmanager
def _another_server(at: Servers, kind: str, number: int) -> Iterator[Servers]:
    """Start one more Redis beside the others, on their core."""
    folder = at.folder / f"redis-{number}"
    with RedisServer(folder, binary=redis_binaries()[kind]) as server:
        pin(server.pid, SERVER_CORE)
        yield replace(at, redis_url=server.url, redis_pid=server.pid)


def run(asked: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Measure and reckon; return the rows of each table."""
    with servers(asked.server) as at, redis.Redis.from_url(at.redis_url) as client:
        asyncio.run(fill(at.database_url, asked.chunks))
        fleet = Fleet(at, client, requests=asked.requests, rounds=asked.rounds)
        rows, costs = measure_workers(fleet, asked.chunks)
        rows += measure_prefixes(fleet, asked.server)
    return {
        "scale_out": [*rows, *reckoned_rows(costs[64])],
        "sizing": list(sizing_rows(costs[64], asked.price)),
        "limits": list(limit_rows(costs)),
    }


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="of 64 ids, each time (default: 100,000)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each is measured (default: 3)")
    parser.add_argument("--chunks", type=int, default=ROWS, help="READY chunks (default: a million)")
    parser.add_argument("--price", type=float, default=PRICE, help=f"of a core for an hour (default: {PRICE})")
    parser.add_argument("--keep", action="store_true", help="write the figures of README.md as well")
    asked = parser.parse_args()
    for title, rows in run(asked).items():
        report(title, rows, as_json=asked.json)
        if asked.keep:
            keep(title, rows)


if __name__ == "__main__":
    main()
