"""Many workers start at once on one PostgreSQL: what that asks of the server, with turns to read and without.

Each loader is the catalog's part of a worker: it connects, listens and loads. All begin at the same moment, in a few
processes. Without turns, every one of them reads at once. A session of its own samples pg_stat_activity.

    python tests/bench/cold_start.py [--loaders N] [--rows N] [--rounds N] [--json]
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import asyncpg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, fill, report, servers
from tests.support.tasks import endless
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.turns import READERS
from worker.service.availability import Availability
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

PROCESSES = 5
SAMPLE_S = 0.02
SAMPLED = """
select count(*) as sessions, count(*) filter (where state = 'active' and query ilike 'copy%') as readers
from pg_stat_activity where application_name = 'sampling-worker'"""


class Counted(Availability):
    """An availability that counts failures: each is a connection that the server refused."""

    def __init__(self) -> None:
        whole = postgres_availability()
        super().__init__(whole._make_lost, whole._make_restored)
        self.failures = 0

    async def failed(self, loop: str, message: str) -> None:
        self.failures += 1
        await super().failed(loop, message)


class Loaded(NamedTuple):
    """When a loader was ready, in seconds after the start, and how often it had failed."""

    ready_s: float
    failures: int


class Load(NamedTuple):
    """What the server was asked for at most, at the same time."""

    sessions: int
    readers: int


async def start_one(url: str, readers: int) -> Loaded:
    """Start the catalog's part of a worker, and wait until it is ready."""
    current, availability = CurrentSnapshots(), Counted()
    feed = CatalogFeed(PostgresCatalog(url, readers=readers), current, availability, refresh_s=3600)
    began = time.perf_counter()
    async with anyio.create_task_group() as loops:
        await loops.start(endless, feed.run)
        while current.catalog is None:
            await anyio.sleep(0.01)
        ready_s = time.perf_counter() - began
        loops.cancel_scope.cancel()
    return Loaded(ready_s, availability.failures)


async def start_some(url: str, readers: int, count: int) -> list[Loaded]:
    return list(await asyncio.gather(*(start_one(url, readers) for _ in range(count))))


def keep_barrier(barrier: Barrier) -> None:
    """Keep what all processes wait at, before they start."""
    globals()["BARRIER"] = barrier


def process(url: str, readers: int, count: int) -> list[Loaded]:
    globals()["BARRIER"].wait()
    return asyncio.run(start_some(url, readers, count))


async def watch(url: str, futures: Sequence[Future[list[Loaded]]]) -> Load:
    """Sample the server's sessions until all loaders are ready."""
    connection = await asyncpg.connect(url)
    sessions = readers = 0
    while not all(future.done() for future in futures):
        row = await connection.fetchrow(SAMPLED)
        assert row is not None
        sessions, readers = max(sessions, row["sessions"]), max(readers, row["readers"])
        await asyncio.sleep(SAMPLE_S)
    await connection.close()
    return Load(sessions, readers)


def measure(url: str, loaders: int, readers: int) -> dict[str, Any]:
    """Start all loaders at one moment."""
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=keep_barrier, initargs=(barrier,)) as pool:
        shares = [len(range(i, loaders, PROCESSES)) for i in range(PROCESSES)]
        futures = [pool.submit(process, url, readers, share) for share in shares]
        load = asyncio.run(watch(url, futures))
        loaded = [one for future in futures for one in future.result()]
    ready = sorted(one.ready_s for one in loaded)
    return {
        "reading at once": load.readers,
        "sessions": load.sessions,
        "refused": sum(one.failures for one in loaded),
        "first ready s": ready[0],
        "median ready s": statistics.median(ready),
        "last ready s": ready[-1],
    }


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--loaders", type=int, default=50, help="workers that start at once (default: 50)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="READY chunks (default: a million)")
    parser.add_argument("--rounds", type=int, default=2, help="times that both take their turn (default: 2)")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    with servers(options.server) as at:
        asyncio.run(fill(at.database_url, options.rows))
        rows = [
            {"round": number, "turns": name, **measure(at.database_url, options.loaders, readers)}
            for number in range(1, options.rounds + 1)
            for name, readers in (("none", options.loaders), (f"{READERS} at once", READERS))
        ]
    report("cold_start", rows, as_json=options.json)


if __name__ == "__main__":
    main()
