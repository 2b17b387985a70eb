"""A backlog of requests, left in Redis beforehand: served by workers, or replayed as what a worker would send for it.

The replay is the ceiling. It consists of the commands that a worker sends for such a backlog: reads, and the settling
script with all results. The worker's own code prepares them. A client that does nothing else sends them, two batches
under way.
"""

import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import hiredis
import numpy as np
import redis

from tests.bench.harness import Servers, cpu_s, fill, worker
from tests.support.command import Process, RunningWorker
from tests.support.waiting import wait_until_sync
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.client import connect
from worker.adapters.redis.resp_protocol import Word, pack
from worker.adapters.redis.settling import lay_out
from worker.adapters.redis.settling_scripts import SETTLE
from worker.adapters.redis.streams import RedisStreams
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.keys import GROUP, Keys
from worker.core.weights.in_force import ABSENT, Held, in_force
from worker.core.wire import Decoder, Entry
from worker.ports import Batch, StreamLimits

ROWS = 1_000_000
KEYS = Keys("audio")
BATCH = 256
REPLAY = "replay"
UNDER_WAY = 2
READS_S = 300.0  # it takes about a second; slow machines take longer

Command = Sequence[str | bytes | int]


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked for, how often, and of how many workers.

    Attributes:
        size: Chunk ids in each request.
        encoding: Encoding of the ids.
        requests: Number of requests.
        workers: Number of workers.
        turns: Further fields; requests take them in turn.
        first: What is stored before the first request.
        reply_to: Names of the reply streams that results go to; none: the shared one.
    """

    size: int
    encoding: str
    requests: int
    workers: int = 1
    turns: Sequence[Sequence[bytes]] = ((),)
    first: Sequence[Command] = ()
    reply_to: Sequence[str] = ()

    def fields(self, number: int) -> list[bytes]:
        """Write a request of the backlog."""
        further = self.turns[number % len(self.turns)]
        return [b"size", b"%d" % self.size, b"encoding", self.encoding.encode(), *further]


@dataclass(frozen=True, slots=True)
class Timing:
    """How a backlog was served.

    Attributes:
        rate: Requests a second.
        own_us: CPU time of the workers for each request, in us.
        server_us: CPU time of Redis for each request, in us.
        span: When it began and ended, by `time.perf_counter`.
    """

    rate: float
    own_us: float
    server_us: float
    span: tuple[float, float]


class Clock:
    """A measure of time and CPU from now on."""

    def __init__(self, at: Servers, *pids: int) -> None:
        self._redis_pid, self._pids = at.redis_pid, pids
        self._server_s, self._own_s = cpu_s(at.redis_pid), sum(map(cpu_s, pids))
        self._began = time.perf_counter()

    def timing(self, requests: int) -> Timing:
        ended = time.perf_counter()
        own_s, server_s = sum(map(cpu_s, self._pids)) - self._own_s, cpu_s(self._redis_pid) - self._server_s
        rate = requests / (ended - self._began)
        return Timing(rate, own_s / requests * 1e6, server_s / requests * 1e6, (self._began, ended))


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


def clear(at: Servers, case: Case) -> None:
    """Clear Redis, but for an empty request stream and the commands of `first`."""
    commands = (("FLUSHALL",), ("XGROUP", "CREATE", KEYS.requests, GROUP, "0", "MKSTREAM"), *case.first)
    pipe(at.redis_url, [(b"".join(pack(tuple(words)) for words in commands), len(commands))])


def add_backlog(at: Servers, case: Case) -> None:
    """Add all requests; the ids of their entries can be known beforehand."""
    pipe(at.redis_url, _additions(case))


def _additions(case: Case) -> Iterator[tuple[bytes, int]]:
    for start in range(1, case.requests + 1, 1000):
        numbers = range(start, min(case.requests + 1, start + 1000))
        additions: list[tuple[Word, ...]] = [
            ("XADD", KEYS.requests, f"1-{number}", *case.fields(number)) for number in numbers
        ]
        yield b"".join(map(pack, additions)), len(additions)


def assert_served(client: redis.Redis, case: Case) -> None:
    """Make sure that every request got its result, and none is left."""
    streams = [KEYS.reply(name) for name in case.reply_to] or [KEYS.results]
    assert sum(int(client.xlen(stream)) for stream in streams) == case.requests
    assert client.xlen(KEYS.requests) == 0
    assert client.xpending(KEYS.requests, GROUP)["pending"] == 0


def send_all(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        process.send_signal(number)


def time_workers(at: Servers, client: redis.Redis, case: Case) -> Timing:
    """Serve a backlog by worker processes of its own."""
    with ExitStack() as opened:
        running = [opened.enter_context(worker(at, WORKER_BATCH=str(BATCH))) for _ in range(case.workers)]
        return time_running(at, client, case, running)


def time_running(at: Servers, client: redis.Redis, case: Case, running: Sequence[RunningWorker]) -> Timing:
    """Serve a backlog by workers that run, and start on it together."""
    processes = [one.process for one in running if one.process is not None]
    clear(at, case)
    wait_until_sync(
        lambda: len(client.xinfo_consumers(KEYS.requests, GROUP)) == len(running),
        timeout_s=READS_S,
        what="all workers read again",
    )
    send_all(processes, signal.SIGSTOP)
    try:
        add_backlog(at, case)
        clock = Clock(at, *(process.pid for process in processes))
    finally:
        send_all(processes, signal.SIGCONT)
    while client.xlen(KEYS.requests):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    timing = clock.timing(case.requests)
    assert_served(client, case)
    return timing


def time_ceiling(at: Servers, client: redis.Redis, case: Case, catalog: Catalog) -> Timing:
    """Replay what a worker would send for a backlog."""
    client.script_load(SETTLE.text)
    commands = list(_commands(at, case, catalog))
    clear(at, case)
    add_backlog(at, case)
    clock = Clock(at, os.getpid())
    pipe(at.redis_url, commands)
    timing = clock.timing(case.requests)
    assert_served(client, case)
    return timing


def _commands(at: Servers, case: Case, catalog: Catalog) -> Iterator[tuple[bytes, int]]:
    """Write the commands of a worker that reads and settles a whole backlog."""
    limits = StreamLimits(1_000_000, 3600, 86_400)
    stream = RedisStreams(connect(at.redis_url, timeout_s=5.0), keys=KEYS, consumer=REPLAY, limits=limits)
    weights = in_force(None, None, Held(ABSENT, None))
    snapshots = Snapshots(Derived(catalog), {None: weights}, now_ms=0)
    rng, decoder = np.random.Generator(np.random.SFC64()), Decoder()
    batch = max(1, min(BATCH, 131_072 // case.size))
    for start in range(1, case.requests + 1, batch):
        numbers = range(start, min(case.requests + 1, start + batch))
        requests = [decoder.decode(Entry(f"1-{number}", case.fields(number))) for number in numbers]
        answered = answer(requests, snapshots, rng)
        span = (requests[0].entry_id, requests[-1].entry_id)
        settled = Batch(answered.results, span, weights.marks, answered.tally.fields, {})
        keys, words = lay_out(settled, keys=KEYS, consumer=REPLAY, limits=limits, token=0)
        settle = pack(("EVALSHA", SETTLE.sha, len(keys), *keys, *words))
        yield pack(stream._reader.command(len(numbers), 500)) + settle, 2


async def load_catalog(at: Servers, rows: int) -> Catalog:
    await fill(at.database_url, rows)
    return (await PostgresCatalog(at.database_url).load()).catalog
