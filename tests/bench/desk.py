"""Measure what a desk takes while browsers watch it, of the worker, of Redis and of itself.

A job asks for 100 samples of 64 ids a second throughout. First nobody watches, then 50 streams are read; and again. The
worker's CPU with them stands beside that without them.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, Servers, arguments, cpu_s, fill, report, servers, worker
from tests.support.desks import RunningDesk, running_desk
from worker.client import SampleClient

BROWSERS = 50
RATE = 100.0
SIZE = 64
WARM_S = 3.0


@contextmanager
def load(url: str) -> Iterator[None]:
    """Ask for samples at a steady rate during the block."""
    ended = threading.Event()

    def ask() -> None:
        with SampleClient(url) as client:
            due = time.monotonic()
            while not ended.is_set():
                client.sample(size=SIZE)
                due = max(due + 1 / RATE, time.monotonic() - 1)
                ended.wait(max(0.0, due - time.monotonic()))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


async def watch(desk: RunningDesk, browsers: int, seconds: float) -> int:
    """Read some streams for some seconds; return how many bytes came."""
    came = 0

    async def read() -> None:
        nonlocal came
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(f"GET /api/events HTTP/1.1\r\nHost: {desk.host}\r\n\r\n".encode())
        try:
            while part := await reader.read(1 << 16):
                came += len(part)
        finally:
            writer.close()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
            for _ in range(browsers):
                tasks.create_task(read())
            await asyncio.sleep(seconds)
    return came


def measure(pids: dict[str, int], desk: RunningDesk, browsers: int, seconds: float) -> dict[str, float]:
    """Return the part of a core that each process takes, in per cent, and what each browser gets."""
    found: dict[str, float] = {}

    async def run() -> None:
        watching = asyncio.create_task(watch(desk, browsers, seconds + 2 * WARM_S))
        await asyncio.sleep(WARM_S)
        before, began = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        found.update({name: 100 * (cpu_s(pid) - before[name]) / took for name, pid in pids.items()})
        found["kB/s"] = await watching / (seconds + 2 * WARM_S) / max(browsers, 1) / 1000

    asyncio.run(run())
    return found


def compare(at: Servers, categories: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure with and without browsers, in turns."""
    names = CATEGORIES if categories == len(CATEGORIES) else [f"category-{number:05}" for number in range(categories)]
    asyncio.run(fill(at.database_url, 200_000, names))
    with ExitStack() as running:
        own = running.enter_context(worker(at, WORKER_PREFIX="audio"))
        desk = running.enter_context(running_desk({"REDIS_URL": at.redis_url}, at.folder))
        desk.post("/api/weights", {"weights": {name: 1 + number % 7 for number, name in enumerate(names)}})
        running.enter_context(load(at.redis_url))
        assert own.process is not None
        pids = {"worker": own.process.pid, "redis": at.redis_pid, "desk": desk.process.pid}
        without, with_ = [], []
        for _ in range(rounds):
            without.append(measure(pids, desk, 0, seconds))
            with_.append(measure(pids, desk, BROWSERS, seconds))
    row: dict[str, Any] = {"categories": categories, "browsers": BROWSERS}
    for name in ("worker", "redis", "desk"):
        row[f"{name} %"] = round(median(one[name] for one in without), 2)
        row[f"{name} % watched"] = round(median(one[name] for one in with_), 2)
    row["kB/s a browser"] = round(median(one["kB/s"] for one in with_), 1)
    return row


def main() -> None:
    """Measure few and many categories."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="time of each measurement (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind (default: 3)")
    given = parser.parse_args()
    rows = []
    for categories in (len(CATEGORIES), 10_000):
        with servers(given.server) as at:
            rows.append(compare(at, categories, given.seconds, given.rounds))
    report("desk", rows, as_json=given.json)


if __name__ == "__main__":
    main()
