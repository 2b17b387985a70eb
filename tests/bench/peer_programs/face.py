"""The command line of the programs: enqueue a backlog, check its results, time requests one by one or as they come.

python -m tests.bench.peer_programs.NAME enqueue|check|trip COUNT
python -m tests.bench.peer_programs.NAME steady RATE SECONDS SEED...

`steady` warms up, says `"ready"` and waits for a line. Then it starts each request when it is due, whatever the
answers. It times each request from when it is due until its result is there. It prints the times in ms, or null where
the queue is late.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from tests.bench.peer_programs.job import Request, Result, is_good

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
RESULTS_URL = REDIS_URL.removesuffix("/0") + "/1"
"""Where those keep results that write one key each, so that the bench can count them."""

SIZE = 64
WARM_UP = 20
WARM_UP_S = 1.0
READ_MS = 100
MOST_AT_ONCE = 64
"""So many requests are under way at most: clients open a connection for each, and redis-py allows itself 100."""

LATEST_S = 0.5
"""A queue keeps up if every result is there so long after the last request was due."""

Answer = Callable[[Request], Awaitable[Result]]
"""Sends one request and waits for its result."""

Read = Callable[[], Awaitable[Sequence[Result]]]
"""Waits for new results in a stream, for up to `READ_MS`."""


class Client(Protocol):
    """A client of a queue, by what the queue offers to those that send requests."""

    async def enqueue(self, requests: Sequence[Request]) -> None:
        """Send requests and wait for none."""

    def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        """Yield the results of a backlog; the ids are for queues that can only be asked for one result."""

    async def answer(self, request: Request) -> Result:
        """Send one request and wait for its result."""

    def answering(self) -> AbstractAsyncContextManager[Answer]:
        """Open what can wait for the results of many requests at once."""


def main(opened: AbstractAsyncContextManager[Client]) -> None:
    """Run the command line and print its outcome as JSON."""
    mode, *words = sys.argv[1:]
    told = _run_steady(opened, *words) if mode == "steady" else _run(opened, mode, int(words[0]))
    print(json.dumps(asyncio.run(told)))


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
        _assert_answers(result, request)
    return took


def _assert_answers(result: Result, request: Request) -> None:
    if result["request_id"] != request["request_id"]:
        raise ValueError(f"{result['request_id']} came in answer to {request['request_id']}")


async def _run_steady(opened: AbstractAsyncContextManager[Client], rate: str, seconds: str, *seeds: str) -> object:
    due = due_times(float(rate), float(seconds), [int(seed) for seed in seeds])
    async with opened as client, client.answering() as answer:
        await answer(Request(request_id="first", size=SIZE))  # a worker may still be starting
        await _ask_steadily(answer, "begin", due_times(float(rate), WARM_UP_S, [0]))
        print(json.dumps("ready"), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return await _ask_steadily(answer, "steady", due)


async def _ask_steadily(answer: Answer, name: str, due: Sequence[float]) -> list[float] | None:
    """Start requests when they are due, in s from now, and return what each took from then, in ms; None if late."""
    took, under_way = [0.0] * len(due), asyncio.Semaphore(MOST_AT_ONCE)
    began = time.perf_counter()

    async def ask(number: int) -> None:
        request = Request(request_id=f"{name}-{number}", size=SIZE)
        async with under_way:
            result = await answer(request)
        took[number] = (time.perf_counter() - began - due[number]) * 1000
        _assert_answers(result, request)

    try:
        async with asyncio.timeout(due[-1] + LATEST_S), asyncio.TaskGroup() as tasks:
            async for number in _when_due(began, due):
                tasks.create_task(ask(number))
    except TimeoutError:
        return None
    return took


async def _when_due(began: float, due: Sequence[float]) -> AsyncIterator[int]:
    """Yield numbers when they are due. A thread looks at the clock, for timers of an event loop are 1 ms late."""
    loop, numbers = asyncio.get_running_loop(), asyncio.Queue[int]()

    def pace() -> None:
        for number, at in enumerate(due):
            time.sleep(max(0.0, began + at - time.perf_counter()))
            loop.call_soon_threadsafe(numbers.put_nowait, number)

    pacing = asyncio.create_task(asyncio.to_thread(pace))
    for _ in due:
        yield await numbers.get()
    await pacing


def due_times(rate: float, seconds: float, seeds: Sequence[int]) -> list[float]:
    """Return when requests are due, in s: one Poisson process for each seed, which share the rate."""
    return sorted(at for seed in seeds for at in _arrivals(rate / len(seeds), seconds, seed))


def _arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield when requests are due, in s: the Poisson process of `latency.c`.

    Source: Steele, Lea and Flood 2014, splitmix64.
    """
    due, ones = 0.0, (1 << 64) - 1
    for _ in range(int(rate * seconds)):
        yield due
        seed = (seed + 0x9E3779B97F4A7C15) & ones
        mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & ones
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & ones
        due -= math.log((((mixed ^ (mixed >> 31)) >> 11) + 1) / 2**53) / rate


@asynccontextmanager
async def answering_by_stream(send: Callable[[Request], Awaitable[object]], read: Read) -> AsyncIterator[Answer]:
    """Hand the results of one stream to those that wait for them."""
    waiting, is_over = dict[str, asyncio.Future[Result]](), False

    async def take() -> None:
        while not is_over:  # redis-py may swallow a cancellation
            for result in await read():
                if result["request_id"] in waiting:  # else it came late
                    waiting.pop(result["request_id"]).set_result(result)

    async def answer(request: Request) -> Result:
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting[request["request_id"]] = result
        try:
            await send(request)
            return await result
        finally:
            waiting.pop(request["request_id"], None)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take())
        try:
            yield answer
        finally:
            is_over = True
