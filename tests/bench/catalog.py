"""The catalog of a million chunks: load, memory, and the time from commit to effect.

Loading is beside the plain way: a cursor's rows, fetched into Python objects.

    python tests/bench/catalog.py [--json]
"""

import resource
import sys
import time
from pathlib import Path

import anyio
import asyncpg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, fill, report, servers
from worker.adapters.postgres_catalog import PostgresCatalog
from worker.core.events import PostgresLost, PostgresRestored
from worker.feeds.catalog import CatalogFeed
from worker.links import Link
from worker.state import State

ROWS = 1_000_000
CHANGED = 100_000
FAIL = "update audio_chunks set status = 'FAILED' where"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class LoopWatch:
    """Note the longest time for which the event loop did not run."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await anyio.sleep(0.001)
            now = time.perf_counter()
            self.longest_ms = max(self.longest_ms, (now - last) * 1000 - 1)
            last = now


async def effect_s(state: State, connection: asyncpg.Connection, statement: str, expected: int) -> float:
    """Tell the seconds from the return of a commit until the catalog has as many chunks as expected."""
    await connection.execute(statement)
    committed = time.perf_counter()
    while state.catalog is None or len(state.catalog) != expected:
        await anyio.sleep(0.001)
    return time.perf_counter() - committed


async def main() -> None:
    options = arguments(__doc__).parse_args()
    rows = []
    with servers(options.server) as at:
        await fill(at.database_url, ROWS)
        source = PostgresCatalog(at.database_url, None)
        before = peak_mb()
        began = time.perf_counter()
        loaded = await source.load()
        load_s = time.perf_counter() - began
        catalog = loaded.catalog
        rows.append({"what": f"load {ROWS:,} chunks (s)", "value": load_s})
        rows.append({"what": "peak memory above the start (MB)", "value": peak_mb() - before})
        bytes_a_chunk = (catalog.ids.nbytes + catalog.cells.nbytes) / len(catalog)
        rows.append({"what": "memory kept (bytes a chunk)", "value": bytes_a_chunk})
        connection = await asyncpg.connect(at.database_url)
        began = time.perf_counter()
        plain = await connection.fetch("select id, category from audio_chunks where status = 'READY'")
        fetch_s = time.perf_counter() - began
        rows.append({"what": "the same rows by fetch() (s)", "value": fetch_s})
        rows.append({"what": "load / fetch", "value": load_s / fetch_s})
        del plain, loaded, catalog
        rows += await changes(source, connection)
        await connection.close()
    report("catalog", rows, as_json=options.json)


async def changes(source: PostgresCatalog, connection: asyncpg.Connection) -> list[dict[str, object]]:
    state, watch = State(), LoopWatch()
    link = Link(lambda text: PostgresLost(message=text), lambda s: PostgresRestored(down_s=s))
    one = []
    async with anyio.create_task_group() as loops:
        await loops.start(CatalogFeed(source, state, link, refresh_s=600).run)
        loops.start_soon(watch.run)
        await anyio.sleep(0.1)
        watch.longest_ms = 0.0
        for number in range(20):
            chosen = f"id = (select min(id) + {number} from audio_chunks)"
            one.append(await effect_s(state, connection, f"{FAIL} {chosen}", ROWS - number - 1))
        many = f"{FAIL} id in (select id from audio_chunks where status = 'READY' limit {CHANGED})"
        bulk = await effect_s(state, connection, many, ROWS - 20 - CHANGED)
        everything = await effect_s(state, connection, "update audio_chunks set status = 'PROCESSING'", 0)
        loops.cancel_scope.cancel()
    return [
        {"what": "commit to effect, 1 row, median (ms)", "value": sorted(one)[10] * 1000},
        {"what": "commit to effect, 1 row, longest of 20 (ms)", "value": max(one) * 1000},
        {"what": f"commit to effect, {CHANGED:,} rows (ms)", "value": bulk * 1000},
        {"what": "commit to effect, every row (ms)", "value": everything * 1000},
        {"what": "longest the event loop stood still (ms)", "value": watch.longest_ms},
    ]


anyio.run(main)
