"""The catalog of a million and of ten million chunks: time to ready, memory, changes, and what the event loop feels.

Each part is measured in a process of its own, so that peak memory means something. Beside it stands the plain way, in a
process of its own too. It fetches the same rows as Python objects into a dict. For each notification it fetches again
the rows that are named. It is measured with a million rows only, as more of them would not fit everywhere. The event
loop's longest standstill is shown beside that of an idle loop in another process. The latter is what the machine itself
takes away. A change takes effect when as many chunks are READY here as there. `every row` makes those READY that were
FAILED before, and gives each another category.

    python tests/bench/catalog.py [--rows N]... [--json]
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import asyncpg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, arguments, fill, report, servers
from tests.bench.stillness import Watch, longest_ms, quiet_loop
from tests.support.tasks import endless
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.core.keys import CATALOG_CHANNEL
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

ROWS = (1_000_000, 10_000_000)
READY_TARGETS_S = {1_000_000: 2.0, 10_000_000: 20.0}
BYTES_TARGET, STILL_TARGET_MS = 8.0, 20.0
PEAK_TARGETS_MB = {10_000_000: 200.0}
HOST_WORKERS = 4
PLAIN_ROWS = 1_000_000
CHANGES, CHANGED = 20, 100_000
REFRESHES = 3
PAUSE_S = 0.4
FAIL = "update audio_chunks set status = 'FAILED' where"
TURN = "update audio_chunks set status = 'READY', category = ($1::text[])[1 + (id + 1) % cardinality($1::text[])]"

READY = "select id, category from audio_chunks where status = 'READY'"

Figures = dict[str, float]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "linux" else 1024 * 1024)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def watched(measure: Callable[[str, int], Awaitable[Figures]], url: str, rows: int) -> Figures:
    """Measure on a watched loop, beside an idle one; standstills are those of the spans that it returns."""
    watch = Watch()
    with quiet_loop() as end_quiet:
        found: Figures = anyio.run(measure, url, rows, backend_options={"loop_factory": watch.loop})
        quiet = end_quiet()
    for name in [name for name in found if name.endswith(" began")]:
        of = name.removesuffix(" began")
        span = found.pop(name), found.pop(f"{of} ended")
        found |= {f"{of} still": longest_ms(watch.spans, *span), f"{of} quiet": longest_ms(quiet, *span)}
    return found


async def measure_load(url: str, _rows: int) -> Figures:
    """Load once, as a worker does at its start."""
    source, before = PostgresCatalog(url), peak_mb()
    began = time.perf_counter()
    catalog = (await source.load()).catalog
    ended = time.perf_counter()
    kept = catalog.ids.nbytes + catalog.bounds.nbytes
    figures = {"s": ended - began, "peak MB": peak_mb() - before, "bytes a chunk": kept / len(catalog)}
    return {"load began": began, "load ended": ended, **figures}


async def hold(url: str, _rows: int) -> Figures:
    """Load once, and return the memory that stays with the process."""
    source, before, began = PostgresCatalog(url), resident_mb(), time.perf_counter()
    catalog = (await source.load()).catalog
    return {"s": time.perf_counter() - began, "MB": resident_mb() - before, "chunks": len(catalog)}


def measure_host(url: str, rows: int) -> Figures:
    """Start several workers' loads at once on this machine, each in a process of its own."""
    with ProcessPoolExecutor(HOST_WORKERS, mp_context=get_context("spawn")) as pool:
        found = [one.result() for one in [pool.submit(watched, hold, url, rows) for _ in range(HOST_WORKERS)]]
    return {"s": max(one["s"] for one in found), "MB": sum(one["MB"] for one in found)}


async def measure_refresh(url: str, _rows: int) -> Figures:
    """Compare a catalog that is what PostgreSQL has, as a worker does every so often."""
    source = PostgresCatalog(url)
    catalog = (await source.load()).catalog
    before, taken = peak_mb(), []
    for _ in range(REFRESHES):
        began = time.perf_counter()
        assert await source.holds(catalog)
        taken.append(time.perf_counter() - began)
    return {"s": statistics.median(taken), "peak MB": peak_mb() - before}


async def measure_plain_load(url: str, _rows: int) -> Figures:
    """Load once in the plain way."""
    plain, before = PlainCatalog(), peak_mb()
    began = time.perf_counter()
    async with connected(url) as connection:
        await plain.load(connection)
    ended = time.perf_counter()
    return {"load began": began, "load ended": ended, "s": ended - began, "peak MB": peak_mb() - before}


class PlainCatalog:
    """A dict of what is READY, which fetches again whatever is notified."""

    def __init__(self) -> None:
        self.categories: dict[int, str] = {}
        self._payloads: asyncio.Queue[str] = asyncio.Queue()

    async def load(self, connection: Connection) -> None:
        self.categories = dict(map(tuple, await connection.fetch(READY)))

    async def run(self, connection: Connection) -> None:
        """Listen for ever."""
        await connection.add_listener(CATALOG_CHANNEL, lambda *heard: self._payloads.put_nowait(str(heard[-1])))
        await self.load(connection)
        while True:
            payload = await self._payloads.get()
            if payload == "*":
                await self.load(connection)
                continue
            named = [int(text) for text in payload.split(",")]
            found = await connection.fetch(f"{READY} and id = any($1)", named)
            for chunk in named:
                self.categories.pop(chunk, None)
            self.categories.update((chunk, category) for chunk, category in found)


class Library:
    """A library: it changes what is READY, and waits for the effect."""

    def __init__(self, writer: Connection, count_ready: Callable[[], int]) -> None:
        self._writer = writer
        self._count_ready = count_ready

    async def change(self, statement: str, *values: object, expected: int) -> float:
        """Return the ms from the return of a commit until as many chunks are READY here."""
        await self._writer.execute(statement, *values)
        committed = time.perf_counter()
        while self._count_ready() != expected:
            await anyio.sleep(0.001)
        return (time.perf_counter() - committed) * 1000


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def measure_changes(url: str, rows: int) -> Figures:
    """Keep a catalog fresh, as a worker does, and change the library under it."""
    state = CurrentSnapshots()
    availability = postgres_availability()
    async with connected(url) as writer, anyio.create_task_group() as loops:
        await loops.start(endless, CatalogFeed(PostgresCatalog(url), state, availability, refresh_s=3600).run)
        found = await change_all(Library(writer, lambda: len(state.catalog or ())), rows)
        loops.cancel_scope.cancel()
    return found


async def measure_plain_changes(url: str, rows: int) -> Figures:
    """Keep a dict fresh in the plain way, and change the library under it."""
    plain = PlainCatalog()
    async with connected(url) as writer, connected(url) as reader, anyio.create_task_group() as loops:
        loops.start_soon(plain.run, reader)
        while len(plain.categories) != rows:
            await anyio.sleep(0.01)
        found = await change_all(Library(writer, lambda: len(plain.categories)), rows)
        loops.cancel_scope.cancel()
    return found


async def change_all(library: Library, rows: int) -> Figures:
    """Change one row alone, rows one after the other, many rows, and every row."""
    before, left = peak_mb(), rows
    found: Figures = {"some began": time.perf_counter()}
    for name, pause_s in (("alone", PAUSE_S), ("in a row", 0.0)):
        taken = []
        for _ in range(CHANGES):
            await anyio.sleep(pause_s)
            left -= 1
            taken.append(await library.change(f"{FAIL} id = {rows - left}", expected=left))
        found |= {f"{name} median": statistics.median(taken), f"{name} longest": max(taken)}
    left -= CHANGED
    found["many"] = await library.change(f"{FAIL} id between 1001 and {1000 + CHANGED}", expected=left)
    found["some ended"] = found["all began"] = time.perf_counter()
    found["every"] = await library.change(TURN, list(CATEGORIES), expected=rows)
    return {**found, "all ended": time.perf_counter(), "peak MB": peak_mb() - before}


def apart(measure: Callable[[str, int], Awaitable[Figures]], url: str, rows: int) -> Figures:
    """Measure in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(watched, measure, url, rows).result()


def row(rows: int, what: str, value: float, *, target: float | None = None, plain: float | None) -> dict[str, Any]:
    """Make a row; beside it what it should be, and what it is in the plain way."""
    return {
        "rows": rows,
        "what": what,
        "value": value,
        "target": "-" if target is None else target,
        "plain": "-" if plain is None else plain,
        "ratio": value / plain if plain else "-",
    }


def still_row(rows: int, what: str, name: str, found: Figures) -> dict[str, Any]:
    what = f"{what}: longest the event loop stood still (ms), plain: a quiet one"
    return row(rows, what, found[f"{name} still"], target=STILL_TARGET_MS, plain=found[f"{name} quiet"])


def load_rows(rows: int, load: Figures, plain: Figures) -> Iterator[dict[str, Any]]:
    """Make the rows about loading."""
    yield row(rows, "load: time to ready (s)", load["s"], target=READY_TARGETS_S.get(rows), plain=plain.get("s"))
    what, target = "load: peak memory above the start (MB)", PEAK_TARGETS_MB.get(rows)
    yield row(rows, what, load["peak MB"], target=target, plain=plain.get("peak MB"))
    yield row(rows, "kept (bytes a chunk)", load["bytes a chunk"], target=BYTES_TARGET, plain=None)
    yield still_row(rows, "load", "load", load)


def change_rows(rows: int, found: Figures, plain: Figures) -> Iterator[dict[str, Any]]:
    """Make the rows about changes."""
    kinds = {
        "alone median": "1 row alone, median",
        "alone longest": f"1 row alone, longest of {CHANGES}",
        "in a row median": "1 row after the other, median",
        "in a row longest": f"1 row after the other, longest of {CHANGES}",
        "many": f"{CHANGED:,} rows",
        "every": "every row",
    }
    for name, what in kinds.items():
        yield row(rows, f"commit to effect, {what} (ms)", found[name], plain=plain.get(name))
    yield row(rows, "changes: peak memory above that before (MB)", found["peak MB"], plain=plain.get("peak MB"))
    yield still_row(rows, f"changes of 1 to {CHANGED:,} rows", "some", found)
    yield still_row(rows, "change of every row", "all", found)


def measure_all(url: str, rows: int) -> Iterator[dict[str, Any]]:
    """Fill the library and measure everything."""
    asyncio.run(fill(url, rows))
    is_plain_too = rows <= PLAIN_ROWS
    plain = apart(measure_plain_load, url, rows) if is_plain_too else {}
    yield from load_rows(rows, apart(measure_load, url, rows), plain)
    if sys.platform == "linux":
        host = measure_host(url, rows)
        yield row(rows, f"{HOST_WORKERS} workers at once: the last is ready (s)", host["s"], plain=None)
        yield row(rows, f"{HOST_WORKERS} workers: memory they keep, together (MB)", host["MB"], plain=None)
    refresh = apart(measure_refresh, url, rows)
    yield row(rows, "refresh of an unchanged catalog (s)", refresh["s"], plain=plain.get("s"))
    yield row(rows, "refresh: peak memory above that before (MB)", refresh["peak MB"], plain=plain.get("peak MB"))
    found = apart(measure_changes, url, rows)
    yield from change_rows(rows, found, apart(measure_plain_changes, url, rows) if is_plain_too else {})


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, action="append", help=f"chunks; may be repeated (default: {ROWS})")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    with servers(options.server) as at:
        rows = [line for count in options.rows or ROWS for line in measure_all(at.database_url, count)]
    report("catalog", rows, as_json=options.json)


if __name__ == "__main__":
    main()
