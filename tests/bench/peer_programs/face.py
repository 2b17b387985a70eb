"""The command line of the programs: enqueue a backlog, check its results, time single requests.

python -m tests.bench.peer_programs.NAME enqueue|check|trip COUNT
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tests.bench.peer_programs.job import Request, Result, is_good

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
RESULTS_URL = REDIS_URL.removesuffix("/0") + "/1"
"""Where those keep results that write one key each, so that the bench can count them."""

SIZE = 64
WARM_UP = 20


class Client(Protocol):
    """Stand on the side of those that send requests, by what the queue offers for it."""

    async def enqueue(self, requests: Sequence[Request]) -> None:
        """Send requests and wait for none."""

    def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        """Yield the results of a backlog; the ids are for queues that can only be asked for one result."""

    async def answer(self, request: Request) -> Result:
        """Send one request and wait for its result."""


def main(opened: AbstractAsyncContextManager[Client]) -> None:
    """Do what the command line says and print what came of it as JSON."""
    mode, count = sys.argv[1:]
    print(json.dumps(asyncio.run(_run(opened, mode, int(count)))))


async def _run(opened: AbstractAsyncContextManager[Client], mode: str, count: int) -> object:
    requests = [Request(request_id=f"{mode}-{number}", size=SIZE) for number in range(count)]
    async with opened as client:
        if mode == "enqueue":
            await client.enqueue(requests)
            return len(requests)
        if mode == "check":
            return await _count_good(client, [f"enqueue-{number}" for number in range(count)])
        await _time(client, [Request(request_id=f"warm-up-{number}", size=SIZE) for number in range(WARM_UP)])
        return await _time(client, requests)


async def _count_good(client: Client, request_ids: Sequence[str]) -> int:
    """Count the requests that have a result as asked for."""
    missing = set(request_ids)
    async for result in client.results(request_ids):
        if is_good(result, SIZE):
            missing.discard(result["request_id"])
    return len(request_ids) - len(missing)


async def _time(client: Client, requests: Sequence[Request]) -> list[float]:
    """Send requests one after the other and return what each took, in ms."""
    took = []
    for request in requests:
        began = time.perf_counter()
        result = await client.answer(request)
        took.append((time.perf_counter() - began) * 1000)
        if result["request_id"] != request["request_id"]:
            raise ValueError(f"{result['request_id']} came in answer to {request['request_id']}")
    return took
