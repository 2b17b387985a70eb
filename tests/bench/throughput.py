"""Requests a second with a prefilled backlog, beside what the server can carry.

The ceiling: the very commands that a worker sends for such a backlog (reads, and the settling script with all results),
made ready beforehand by the worker's own code and replayed, two batches under way, by a client that does nothing but
send them and take the replies. Redis has a core for itself; the workers share the other one, and so does the replay.

    python tests/bench/throughput.py [--quick] [--json] [--server redis7]
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import hiredis
import numpy as np
import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import WORKER_CORE, Servers, arguments, cpu_s, fill, pack, pin, report, servers, worker
from worker.adapters.postgres_catalog import PostgresCatalog
from worker.adapters.redis_client import connect
from worker.adapters.redis_streams import _SETTLE, _SETTLE_SHA, RedisStreams
from worker.core.answer import answer
from worker.core.catalog import Catalog
from worker.core.keys import GROUP, Keys
from worker.core.prepare import Snapshots
from worker.core.weights import ABSENT, Held, in_force
from worker.core.wire import Decoder, Entry
from worker.ports import Batch, StreamLimits

ROWS = 1_000_000
KEYS = Keys("audio")
BATCH = 256
REPLAY = "replay"
UNDER_WAY = 2


@dataclass(frozen=True, slots=True)
class Case:
    """Say what is asked for, how often, and of how many workers."""

    size: int
    encoding: str
    requests: int
    workers: int = 1

    @property
    def fields(self) -> list[bytes]:
        return [b"size", str(self.size).encode(), b"encoding", self.encoding.encode()]


CASES = (
    Case(1, "json", 400_000),
    Case(8, "json", 400_000),
    Case(64, "json", 300_000),
    Case(64, "packed", 300_000),
    Case(1024, "json", 60_000),
    Case(1024, "packed", 60_000),
    Case(65_536, "json", 600),
    Case(65_536, "packed", 600),
    Case(64, "json", 300_000, workers=2),
    Case(64, "json", 300_000, workers=4),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Hold how a backlog was served.

    Attributes:
        rate: Requests a second.
        own_us: CPU a request of those who serve.
        server_us: CPU a request of Redis.
    """

    rate: float
    own_us: float
    server_us: float


class Clock:
    """Measure time and CPU from now on."""

    def __init__(self, at: Servers, *pids: int) -> None:
        self._redis_pid, self._pids = at.redis_pid, pids
        self._server_s, self._own_s = cpu_s(at.redis_pid), sum(map(cpu_s, pids))
        self._began = time.perf_counter()

    def timing(self, requests: int) -> Timing:
        seconds = time.perf_counter() - self._began
        own_s, server_s = sum(map(cpu_s, self._pids)) - self._own_s, cpu_s(self._redis_pid) - self._server_s
        return Timing(requests / seconds, own_s / requests * 1e6, server_s / requests * 1e6)


def pipe(url: str, parts: Iterable[tuple[bytes, int]]) -> None:
    """Send parts of a pipeline, two of them under way at a time.

    Args:
        url: The server's.
        parts: Packed commands, and how many of them.
    """
    reader = hiredis.Reader()
    waiting: deque[int] = deque()
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def take_replies() -> None:
            left = waiting.popleft()
            while left:
                reply = reader.gets()
                if reply is False:
                    reader.feed(link.recv(1 << 20))
                    continue
                if isinstance(reply, Exception):
                    raise reply
                left -= 1

        for packed, commands in parts:
            if len(waiting) == UNDER_WAY:
                take_replies()
            link.sendall(packed)
            waiting.append(commands)
        while waiting:
            take_replies()


def prefill(at: Servers, case: Case) -> None:
    """Leave nothing in Redis but a backlog whose entries have ids that can be known beforehand."""
    create = pack("XGROUP", "CREATE", KEYS.requests, GROUP, "0", "MKSTREAM")
    pipe(at.redis_url, [(pack("FLUSHALL") + create, 2)])
    pipe(at.redis_url, _additions(case))


def _additions(case: Case) -> Iterator[tuple[bytes, int]]:
    for start in range(1, case.requests + 1, 1000):
        numbers = range(start, min(case.requests + 1, start + 1000))
        packed = [pack("XADD", KEYS.requests, f"1-{number}", *case.fields) for number in numbers]
        yield b"".join(packed), len(packed)


def results(client: redis.Redis) -> int:
    return int(client.xlen(KEYS.results))


def send_all(processes: Iterable[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in processes:
        process.send_signal(number)


def time_workers(at: Servers, client: redis.Redis, case: Case) -> Timing:
    """Serve a backlog by worker processes, which start on it together."""
    with ExitStack() as opened:
        running = [opened.enter_context(worker(at, WORKER_BATCH=str(BATCH))) for _ in range(case.workers)]
        processes = [one.process for one in running if one.process is not None]
        send_all(processes, signal.SIGSTOP)
        opened.callback(send_all, processes, signal.SIGCONT)
        prefill(at, case)
        clock = Clock(at, *(process.pid for process in processes))
        send_all(processes, signal.SIGCONT)
        while results(client) < case.requests:
            time.sleep(0.01)
        timing = clock.timing(case.requests)
        assert results(client) == case.requests
        assert client.xpending(KEYS.requests, GROUP)["pending"] == 0
        return timing


def time_ceiling(at: Servers, client: redis.Redis, case: Case, catalog: Catalog) -> Timing:
    """Replay what a worker would send for a backlog."""
    client.script_load(_SETTLE)
    commands = list(_commands(at, case, catalog))
    prefill(at, case)
    clock = Clock(at, os.getpid())
    pipe(at.redis_url, commands)
    timing = clock.timing(case.requests)
    assert results(client) == case.requests
    assert client.xpending(KEYS.requests, GROUP)["pending"] == 0
    return timing


def _commands(at: Servers, case: Case, catalog: Catalog) -> Iterator[tuple[bytes, int]]:
    """Write the commands of a worker that reads and settles a whole backlog."""
    stream = RedisStreams(
        connect(at.redis_url, timeout_s=5.0), keys=KEYS, consumer=REPLAY, limits=StreamLimits(1_000_000, 3600)
    )
    weights = in_force(None, None, Held(ABSENT, None))
    snapshots = Snapshots(catalog, {None: weights}, now_ms=0)
    rng, decoder = np.random.Generator(np.random.SFC64()), Decoder()
    batch = max(1, min(BATCH, 131_072 // case.size))
    for start in range(1, case.requests + 1, batch):
        numbers = range(start, min(case.requests + 1, start + batch))
        requests = [decoder.decode(Entry(f"1-{number}", case.fields)) for number in numbers]
        answered = answer(requests, snapshots, rng)
        span = (requests[0].entry_id, requests[-1].entry_id)
        keys, words = stream._arguments(Batch(answered.results, span, weights.marks, answered.tally.fields, {}))
        settle = pack("EVALSHA", _SETTLE_SHA, len(keys), *keys, *words)
        yield pack(*stream._read_command(len(numbers), 500)) + settle, 2


async def load_catalog(at: Servers) -> Catalog:
    await fill(at.database_url, ROWS)
    return (await PostgresCatalog(at.database_url).load()).catalog


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, one worker")
    parser.add_argument("--size", type=int, help="this size alone")
    options = parser.parse_args()
    pin(os.getpid(), WORKER_CORE)
    rows = []
    with servers(options.server) as at, redis.Redis.from_url(at.redis_url) as client:
        catalog = asyncio.run(load_catalog(at))
        for case in _cases(options):
            served = time_workers(at, client, case)
            ceiling = time_ceiling(at, client, case, catalog)
            rows.append(
                {
                    "size": case.size,
                    "encoding": case.encoding,
                    "workers": case.workers,
                    "requests/s": served.rate,
                    "chunk ids/s": served.rate * case.size,
                    "ceiling requests/s": ceiling.rate,
                    "ratio": served.rate / ceiling.rate,
                    "worker us/request": served.own_us,
                    "server us/request": served.server_us,
                    "ceiling server us/request": ceiling.server_us,
                }
            )
    report("throughput", rows, as_json=options.json)


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    for case in CASES:
        if options.size not in (None, case.size):
            continue
        if not options.quick:
            yield case
        elif case.workers == 1:
            yield replace(case, requests=max(200, case.requests // 10))


main()
