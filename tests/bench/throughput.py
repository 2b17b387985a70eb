"""Requests a second of one worker with a prefilled backlog, beside a loop that draws nothing.

The reference reads the same requests from the same server and writes results of the same size through redis-py's
pipeline (MULTI: XADD and XACK), as a plain Redis Streams consumer would; it neither draws nor checks weights.

    python tests/bench/throughput.py [--json]
"""

import sys
import time
from pathlib import Path
from typing import Any

import anyio
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, fill, report, servers, worker

ROWS = 1_000_000
CASES = ((1, "json", 60_000), (64, "json", 60_000), (1024, "json", 12_000), (1024, "packed", 12_000))
BATCH = 256
REQUESTS, RESULTS, GROUP = "audio:sample:requests", "audio:sample:results", "samplers"


async def prefill(client: Redis, size: int, encoding: str, count: int) -> None:
    await client.delete(RESULTS)
    for start in range(0, count, 5000):
        pipeline = client.pipeline(transaction=False)
        for _ in range(start, min(count, start + 5000)):
            pipeline.xadd(REQUESTS, {"size": size, "encoding": encoding})
        await pipeline.execute()


async def time_worker(at: Servers, client: Redis, size: int, encoding: str, count: int) -> tuple[float, float]:
    """Tell requests a second, and the bytes of a result's ids."""
    await prefill(client, size, encoding, count)
    with worker(at) as running:
        began = running.events("worker.ready")[0]
        while await client.xlen(RESULTS) < count:
            await anyio.sleep(0.01)
        ends: Any = [await client.xrange(RESULTS, count=1), await client.xrevrange(RESULTS, count=1)]
    first, last = ends[0][0], ends[1][0]
    assert began["chunks"] == ROWS
    seconds = (int(last[0].split(b"-")[0]) - int(first[0].split(b"-")[0])) / 1000
    return (count - BATCH) / seconds, float(len(first[1][b"chunk_ids"]))


async def time_reference(client: Redis, size: int, encoding: str, count: int, payload: bytes) -> float:
    """Tell requests a second of a plain consumer that writes `payload` as every result."""
    await prefill(client, size, encoding, count)
    began, done = time.perf_counter(), 0
    while done < count:
        reply: Any = await client.xreadgroup(GROUP, "reference", {REQUESTS: ">"}, count=BATCH)
        entries = reply[0][1]
        pipeline = client.pipeline(transaction=True)
        for entry_id, _ in entries:
            pipeline.xadd(RESULTS, {"entry_id": entry_id, "status": "ok", "chunk_ids": payload})
        pipeline.xack(REQUESTS, GROUP, *[entry_id for entry_id, _ in entries])
        await pipeline.execute()
        done += len(entries)
    await client.xtrim(REQUESTS, maxlen=0)
    return count / (time.perf_counter() - began)


async def main() -> None:
    rows = []
    with servers() as at:
        await fill(at.database_url, ROWS)
        client = Redis.from_url(at.redis_url)
        for size, encoding, count in CASES:
            rate, length = await time_worker(at, client, size, encoding, count)
            reference = await time_reference(client, size, encoding, count, b"x" * int(length))
            rows.append(
                {
                    "size": size,
                    "encoding": encoding,
                    "requests/s": rate,
                    "chunk ids/s": rate * size,
                    "reference requests/s": reference,
                    "ratio": rate / reference,
                }
            )
        await client.aclose()
    report("throughput", rows)


anyio.run(main)
