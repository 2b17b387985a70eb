"""What the worker replaces: SQL for each sample, on 100,000 READY chunks, beside the worker in the same run.

Statements run one after the other on one connection of asyncpg's, prepared. The worker is asked the same way, one
request at a time through redis-py (`one by one`). It is also measured with a prefilled backlog, for which one
connection of SQL has no counterpart. `ours/this` compares chunk ids a second: one by one, and with the backlog.

The ids that a statement returned show whether it is biased, against independent uniform draws: `p of blocks`:
chi-square of 20 equal ranges of ids; `p of categories`: the same of categories, against the weights where there are
some; `distinct`: different ids, as a share of what one would get; `step`: mean distance of ids that follow each other,
as a share of what it would be (neighbours: 0). A statement is `biased` by one of three signs: a p below 1e-6, fewer
than 0.9 of the distinct ids, or a step that is 5 standard errors off. Rows are stored in the order of their ids, as in
a library that only grows.

    python tests/bench/sql.py [--json] [--seconds S] [--server redis7]
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import numpy as np
import redis.asyncio
import scipy

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, Servers, arguments, fill, report, servers, worker
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync

ROWS = 100_000
BLOCKS = 20
BACKLOG = 50_000
LOOKED_AT = 5_000
DONE_S = 600.0
SURE = 1e-6
STEP_ERROR = 0.775
"""The mean distance of n successive uniform numbers has a standard error: the mean times this over the root of n."""

WEIGHTS = {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1, "custom": 0.0}
WEIGHTS_KEY, REQUESTS, RESULTS = "audio:category:weights", "audio:sample:requests", "audio:sample:results"
READY = "where status = 'READY'"
TABLE = "select id from audio_chunks"

Ask = Callable[[], Awaitable[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to ask for samples, and the shares that categories should have."""

    name: str
    size: int
    statement: str
    shares: Sequence[float] = (1 / len(CATEGORIES),) * len(CATEGORIES)
    by_weights: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What was returned, in how many requests and seconds."""

    ids: Sequence[int]
    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        """Return chunk ids a second."""
        return len(self.ids) / self.seconds


SHARES = tuple(WEIGHTS[category] for category in CATEGORIES)
WAYS = (
    Way("order by random()", 1, f"{TABLE} {READY} order by random() limit 1"),
    Way("order by random()", 64, f"{TABLE} {READY} order by random() limit 64"),
    Way(
        "GET weights, category, order by random()",
        1,
        f"{TABLE} {READY} and category = $1 order by random() limit 1",
        SHARES,
        by_weights=True,
    ),
    Way("tablesample system (1)", 1, f"{TABLE} tablesample system (1) {READY} limit 1"),
    Way("tablesample system (1)", 64, f"{TABLE} tablesample system (1) {READY} limit 64"),
    Way("tablesample system (1), shuffled", 64, f"{TABLE} tablesample system (1) {READY} order by random() limit 64"),
    Way("tablesample bernoulli (1)", 1, f"{TABLE} tablesample bernoulli (1) {READY} limit 1"),
    Way("tablesample bernoulli (1)", 64, f"{TABLE} tablesample bernoulli (1) {READY} limit 64"),
    Way(
        "tablesample bernoulli (1), shuffled",
        64,
        f"{TABLE} tablesample bernoulli (1) {READY} order by random() limit 64",
    ),
)
SYSTEM_ROWS = (
    Way("tablesample system_rows", 1, f"{TABLE} tablesample system_rows (1) {READY}"),
    Way("tablesample system_rows", 64, f"{TABLE} tablesample system_rows (64) {READY}"),
)


async def ask_for(seconds: float, ask: Ask) -> Asked:
    """Ask again and again for some time."""
    for _ in range(3):
        await ask()
    ids: list[int] = []
    requests, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        ids += await ask()
        requests += 1
    return Asked(ids, requests, took)


async def prepare(way: Way, connection: asyncpg.Connection, client: redis.asyncio.Redis) -> Ask:
    """Make ready what one request does."""
    prepared = await connection.prepare(way.statement)

    async def ask() -> Sequence[int]:
        return [row[0] for row in await prepared.fetch()]

    async def ask_by_weights() -> Sequence[int]:
        weights = json.loads(await client.get(WEIGHTS_KEY) or "{}")
        (category,) = random.choices(list(weights), list(weights.values()))
        return [row[0] for row in await prepared.fetch(category)]

    return ask_by_weights if way.by_weights else ask


def bias(ids: Sequence[int], shares: Sequence[float]) -> dict[str, Any]:
    """Measure how far ids are from independent draws; the category of an id is known by its number."""
    drawn = np.array(ids)
    count = len(drawn)
    blocks = np.bincount((drawn - 1) * BLOCKS // ROWS, minlength=BLOCKS)
    categories = np.bincount(drawn % len(CATEGORIES), minlength=len(CATEGORIES))
    p_blocks = float(scipy.stats.chisquare(blocks).pvalue)
    p_categories = p_of_categories(categories, np.array(shares))
    in_category = ROWS / len(CATEGORIES)
    expected = in_category * -np.expm1(count * np.log1p(-np.array(shares) / in_category)).sum()
    distinct = len(np.unique(drawn)) / float(expected)
    step = float(np.abs(np.diff(drawn)).mean()) / (ROWS / 3)
    is_off = abs(step - 1) > 5 * STEP_ERROR / count**0.5
    biased = min(p_blocks, p_categories) < SURE or distinct < 0.9 or is_off
    return {
        "p of blocks": p_blocks,
        "p of categories": p_categories,
        "distinct": distinct,
        "step": step,
        "biased": "yes" if biased else "no",
    }


def p_of_categories(counts: np.ndarray[Any, Any], shares: np.ndarray[Any, Any]) -> float:
    """Return the probability of counts at least this far from the shares; 0 if a share is 0 and its count is not."""
    if counts[shares == 0].any():
        return 0.0
    weighted = shares > 0
    return float(scipy.stats.chisquare(counts[weighted], counts.sum() * shares[weighted]).pvalue)


async def one_by_one(at: Servers, size: int, seconds: float) -> Asked:
    """Ask our worker for one request at a time."""
    last: Any = "0"
    async with redis.asyncio.Redis.from_url(at.redis_url, protocol=2, socket_timeout=10) as client:

        async def ask() -> Sequence[int]:
            nonlocal last
            await client.xadd(REQUESTS, {"size": size, "reply_to": f"one-{size}"})
            reply: Any = await client.xread({f"{RESULTS}:one-{size}": last}, block=5000)
            last, fields = reply[0][1][0]
            return ids_of(fields)

        return await ask_for(seconds, ask)


def with_backlog(at: Servers, size: int) -> Asked:
    """Serve a backlog by our worker, timed from its first results to its last; the newest results are looked at."""
    with connect(at.redis_url) as client:
        client.delete(REQUESTS, RESULTS)
        for _ in range(0, BACKLOG, 1000):
            pipeline = client.pipeline(transaction=False)
            for _ in range(1000):
                pipeline.xadd(REQUESTS, {"size": size})
            pipeline.execute()
        with worker(at):
            wait_until_sync(lambda: client.xlen(RESULTS), timeout_s=DONE_S, what="the first result is there")
            before, began = int(client.xlen(RESULTS)), time.perf_counter()
            wait_until_sync(lambda: client.xlen(RESULTS) == BACKLOG, timeout_s=DONE_S, what="every result is there")
            took = time.perf_counter() - began
        entries: Any = client.xrevrange(RESULTS, count=LOOKED_AT)
    ids = [chunk for _, fields in entries for chunk in ids_of(fields)]
    return Asked(ids, len(entries), took * len(entries) / (BACKLOG - before))


def ids_of(fields: dict[bytes, bytes]) -> list[int]:
    ids: list[int] = json.loads(fields[b"chunk_ids"])
    return ids


async def measure_ours(at: Servers, seconds: float) -> dict[tuple[str, int], Asked]:
    """Ask our worker for both sizes in both ways."""
    measured = {}
    with worker(at):
        for size in (1, 64):
            measured["one by one", size] = await one_by_one(at, size, seconds)
    for size in (1, 64):
        measured["backlog", size] = await anyio.to_thread.run_sync(with_backlog, at, size)
    return measured


async def measure_sql(at: Servers, seconds: float) -> dict[Way, Asked]:
    """Time every statement that the server knows."""
    measured = {}
    connection = await asyncpg.connect(at.database_url)
    async with redis.asyncio.Redis.from_url(at.redis_url) as client:
        for way in WAYS + (SYSTEM_ROWS if await has_system_rows(connection) else ()):
            measured[way] = await ask_for(seconds, await prepare(way, connection, client))
    await connection.close()
    return measured


async def has_system_rows(connection: asyncpg.Connection) -> bool:
    """Create the extension where the server has it."""
    offered = await connection.fetchval("select count(*) from pg_available_extensions where name = 'tsm_system_rows'")
    if offered:
        await connection.execute("create extension if not exists tsm_system_rows")
    return bool(offered)


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything, and make the rows."""
    with servers(options.server) as at:
        await fill(at.database_url, ROWS)
        with connect(at.redis_url) as client:
            client.set(WEIGHTS_KEY, json.dumps(WEIGHTS))
        sql = await measure_sql(at, options.seconds)
        ours = await measure_ours(at, options.seconds)
    rows = [row(way.name, (way.size, asked), ours, way.shares) for way, asked in sql.items()]
    if SYSTEM_ROWS[0] not in sql:
        sys.stderr.write("tablesample system_rows is left out: this server does not have tsm_system_rows\n")
    return rows + [row(f"ours, {how}", (size, asked), ours, SHARES) for (how, size), asked in ours.items()]


def row(
    name: str, measured: tuple[int, Asked], ours: dict[tuple[str, int], Asked], shares: Sequence[float]
) -> dict[str, Any]:
    size, asked = measured
    return {
        "what": name,
        "size": size,
        "requests/s": asked.requests / asked.seconds,
        "chunk ids/s": asked.rate,
        "ours/this, one by one": ours["one by one", size].rate / asked.rate,
        "ours/this, backlog": ours["backlog", size].rate / asked.rate,
        **bias(asked.ids, shares),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each statement (default: 3)")
    options = parser.parse_args()
    report("sql", anyio.run(run, options), as_json=options.json)


if __name__ == "__main__":
    main()
