"""The time from a weights change to the first draw under the new weights, beside a bare redis-py subscriber.

A change is SET and PUBLISH in one MULTI, as the project's own writers do both in one script. Measured are:

- `in force`: from just before it is sent until the worker has the new weights. The latter is the timestamp of its
  `weights.changed` line (one machine, one clock). Beside it stands the moment at which a subscriber has the message of
  that same PUBLISH. The subscriber is written with redis-py and asyncio, in a process of its own.
- `first result`: from the moment the change is acknowledged until a result drawn under it is read. Idle, by a client
  that asks right then; beside it stands that client's next request, which follows no change. Saturated, by a client
  that looks at the newest result over and over. Any of the requests that keep the worker busy may be the first. Beside
  it stands the subscriber.

Idle, nothing else goes on; changes that a request follows are made apart from the others. Saturated, a producer keeps
more requests waiting than the worker has in hand. The promise is checked on the way: every request added after a change
was acknowledged must be answered under it. `broken` counts those of the `checked` that were not. Idle is the sharper
check: saturated, a request waits its turn, and mostly the notification has come by then. The server has the first core,
the worker the second, the clients none of their own.

    python tests/bench/weights.py [--json] [--changes N]
"""

import argparse
import asyncio
import itertools
import json
import random
import re
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, fill, report, servers, worker
from tests.support.command import RunningWorker
from tests.support.waiting import wait_until
from worker.core.weights.values import parse_weights

ROWS = 1_000_000
REQUESTS, RESULTS, WEIGHTS = "audio:sample:requests", "audio:sample:results", "audio:category:weights"
REPLY_TO = "probes"
SIZE = 64
PROBES = 8
LOOKED_AT = 256
BURST, WAITING = 256, 2048
TARGETS_MS = {"idle": 2.0, "saturated": 10.0}
DONE_S = 300.0
SETTLED_S = 1.0
PAUSE_S = (0.02, 0.04)
END = b"end"

Result = tuple[bytes, dict[bytes, bytes]]


@dataclass(slots=True)
class Seen:
    """What was seen in one situation: when each version was sent (Unix ns), and spans in ns."""

    sent: dict[str, int] = field(default_factory=dict)
    first_result: list[int] = field(default_factory=list)
    plain_request: list[int] = field(default_factory=list)
    checked: int = 0
    broken: int = 0
    rate: float = 0.0

    def check(self, results: Iterable[Result], version: str) -> None:
        """Check the results of requests that were added after a change."""
        for _, fields in results:
            self.checked += 1
            self.broken += fields.get(b"weights_version") != version.encode()


class Desk:
    """A client that changes weights, asks for samples and reads results."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._numbers = itertools.count(1)
        self._last: bytes = b"0"

    async def change(self, seen: Seen) -> str:
        """Set weights that were never set before; return their version once that is acknowledged."""
        text = json.dumps({"voice": next(self._numbers), "music": 1000})
        weights = parse_weights(text.encode(), "redis")
        assert weights is not None
        pipeline = self.client.pipeline(transaction=True)
        pipeline.set(WEIGHTS, text)
        pipeline.publish(WEIGHTS, weights.version)
        seen.sent[weights.version] = time.time_ns()
        await pipeline.execute()
        return weights.version

    async def ask(self, count: int) -> list[bytes]:
        """Add requests and return their ids."""
        pipeline = self.client.pipeline(transaction=False)
        for _ in range(count):
            pipeline.xadd(REQUESTS, {"size": SIZE, "reply_to": REPLY_TO})
        return list(await pipeline.execute())

    async def results(self, count: int) -> list[Result]:
        """Read the next results of requests that were asked for here."""
        found: list[Result] = []
        while len(found) < count:
            reply: Any = await self.client.xread({f"{RESULTS}:{REPLY_TO}": self._last}, block=int(DONE_S * 1000))
            found += reply[0][1]
            self._last = found[-1][0]
        return found

    async def result(self) -> Result:
        """Ask for one sample and read it."""
        await self.ask(1)
        return (await self.results(1))[0]

    async def wait_for_newest(self, version: str) -> int:
        """Wait until the newest result on the shared stream is of this version; return when that was read."""
        while True:
            newest: Any = await self.client.xrevrange(RESULTS, count=1)
            if newest and newest[0][1].get(b"weights_version") == version.encode():
                return time.perf_counter_ns()

    async def results_of_later(self, since: bytes, entry_id: bytes) -> list[Result]:
        """Read some results on the shared stream from an id on, as far as their requests came after an entry."""
        found: Any = await self.client.xrange(RESULTS, min=since, count=LOOKED_AT)
        return [one for one in found if _order(one[1][b"entry_id"]) > _order(entry_id)]

    async def shared_results(self) -> int:
        """Count the results that were ever written to the shared stream."""
        if not await self.client.exists(RESULTS):
            return 0
        about: Any = await self.client.xinfo_stream(RESULTS)
        return int(about["entries-added"])


def _order(entry_id: bytes) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split(b"-")))


async def change_alone(desk: Desk, seen: Seen) -> None:
    """Change the weights, and leave the worker to it."""
    await desk.change(seen)


async def change_and_ask(desk: Desk, seen: Seen) -> None:
    """Change the weights and ask right after, until a result is drawn under them; then ask once more."""
    version = await desk.change(seen)
    began = time.perf_counter_ns()
    while (result := await desk.result())[1].get(b"weights_version") != version.encode():
        seen.check([result], version)
    asked_again = time.perf_counter_ns()
    again = await desk.result()
    seen.first_result.append(asked_again - began)
    seen.plain_request.append(time.perf_counter_ns() - asked_again)
    seen.check([result, again], version)


async def change_amid(desk: Desk, seen: Seen) -> None:
    """Change the weights while others keep the worker busy; check requests that were added right after."""
    version = await desk.change(seen)
    began = time.perf_counter_ns()
    read_at, asked = await asyncio.gather(desk.wait_for_newest(version), desk.ask(PROBES))
    seen.first_result.append(read_at - began)
    probes = await desk.results(PROBES)
    seen.check(probes, version)
    seen.check(await desk.results_of_later(probes[0][0], asked[0]), version)


async def repeat(change: Callable[[Desk, Seen], Awaitable[None]], desk: Desk, count: int) -> Seen:
    """Make changes of one kind, with random pauses; note the rate of results on the shared stream."""
    seen = Seen()
    began, before = time.perf_counter(), await desk.shared_results()
    for _ in range(count):
        await asyncio.sleep(random.uniform(*PAUSE_S))
        async with asyncio.timeout(DONE_S):
            await change(desk, seen)
    seen.rate = (await desk.shared_results() - before) / (time.perf_counter() - began)
    return seen


class Producer(threading.Thread):
    """A producer that keeps a worker busy: it adds a burst of requests whenever few wait to be read."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        at = urlsplit(url)
        self._link = socket.create_connection((str(at.hostname), at.port or 0), timeout=DONE_S)
        self._is_ended = threading.Event()

    def run(self) -> None:
        burst, look = _packed("XADD", REQUESTS, "*", "size", str(SIZE)) * BURST, _packed("XINFO", "GROUPS", REQUESTS)
        waiting = 0
        while not self._is_ended.is_set():
            is_enough = waiting >= WAITING
            if is_enough:
                time.sleep(0.0005)
            self._link.sendall(look if is_enough else burst + look)
            waiting = self._read_waiting()

    def stop(self) -> None:
        self._is_ended.set()
        self.join()
        self._link.close()

    def _read_waiting(self) -> int:
        """Read the replies to a burst, and from the last of them how many requests wait; Redis may not know it: 0."""
        reply = b""
        while (lag := re.search(rb"\$3\r\nlag\r\n(?::(\d+)|\$-1|_)\r\n", reply)) is None:
            received = self._link.recv(1 << 16)
            assert received, "the server closed the producer's connection"
            reply = reply[-64:] + received
        return int(lag[1] or 0)


def _packed(*words: str) -> bytes:
    return "".join((f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words))).encode()


@asynccontextmanager
async def producing(url: str) -> AsyncIterator[None]:
    """Keep the worker busy."""
    producer = Producer(url)
    producer.start()
    try:
        await asyncio.sleep(SETTLED_S)
        yield
    finally:
        await asyncio.to_thread(producer.stop)


def subscribe(url: str, pipe: Connection) -> None:
    """Run the reference: print when it has subscribed, and at the end when each message came (Unix ns)."""
    pipe.send(asyncio.run(_hear(url, pipe)))


async def _hear(url: str, pipe: Connection) -> dict[str, int]:
    heard: dict[str, int] = {}
    async with Redis.from_url(url) as client, client.pubsub() as subscription:
        await subscription.subscribe(WEIGHTS)
        async for message in subscription.listen():
            now = time.time_ns()
            if message["type"] == "subscribe":
                pipe.send(None)
            elif message["data"] == END:
                break
            else:
                heard[message["data"].decode()] = now
    return heard


@asynccontextmanager
async def subscriber(url: str, client: Redis, heard: dict[str, int]) -> AsyncIterator[None]:
    """Run the reference in a process of its own; what it heard is in `heard` at the end."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=subscribe, args=(url, theirs), daemon=True)
    process.start()
    try:
        await asyncio.to_thread(ours.recv)
        yield
        await client.publish(WEIGHTS, END)
        heard.update(await asyncio.to_thread(ours.recv))
    finally:
        process.kill()
        process.join()


def changed_at(running: RunningWorker) -> dict[str, int]:
    """Return when the worker had each version in force (Unix ns)."""
    return {
        line["version"]: round(datetime.fromisoformat(line["timestamp"]).timestamp() * 1e6) * 1000
        for line in running.events("weights.changed")
    }


def spans(sent: Mapping[str, int], come: Mapping[str, int]) -> list[int]:
    """Return how long each change took; one that was overtaken on its way took until a later one was there."""
    there, found = 0, []
    for version, at in reversed(list(sent.items())):
        there = come.get(version, there)
        found.append(there - at)
    return found


def row(what: str, target_ms: float, measured: Sequence[int], reference: tuple[str, Sequence[int]]) -> dict[str, Any]:
    """Make a row of spans in ns; the reference has a name."""
    name, beside = reference
    p50, p99, longest = (np.percentile(measured, (50, 99, 100)) / 1e6).tolist()
    beside_p50, beside_p99 = (np.percentile(beside, (50, 99)) / 1e6).tolist()
    return {
        "what": what,
        "p50 ms": p50,
        "p99 ms": p99,
        "max ms": longest,
        "target p99": target_ms,
        "reference": name,
        "its p50": beside_p50,
        "its p99": beside_p99,
        "ratio p50": p50 / beside_p50,
        "ratio p99": p99 / beside_p99,
    }


def rows_of(name: str, seen: Seen, in_force: Mapping[str, int], heard: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Make the rows of one situation."""
    target, subscribed = TARGETS_MS[name.partition(",")[0]], ("subscriber", spans(seen.sent, heard))
    proof = {"requests/s": round(seen.rate), "checked": seen.checked, "broken": seen.broken}
    yield row(f"{name}: in force", target, spans(seen.sent, in_force), subscribed) | proof
    if seen.first_result:
        reference = ("next request", seen.plain_request) if seen.plain_request else subscribed
        yield row(f"{name}: first result", target, seen.first_result, reference) | proof


async def measure(at: Servers, running: RunningWorker, changes: int) -> list[dict[str, Any]]:
    """Make all changes and return the rows of what was measured."""
    heard: dict[str, int] = {}
    async with Redis.from_url(at.redis_url) as client:
        desk = Desk(client)
        async with subscriber(at.redis_url, client, heard):
            situations = {
                "idle": await repeat(change_alone, desk, changes),
                "idle, asked": await repeat(change_and_ask, desk, changes),
            }
            async with producing(at.redis_url):
                situations["saturated"] = await repeat(change_amid, desk, changes)
    last = next(reversed(situations["saturated"].sent))
    await wait_until(lambda: last in changed_at(running), timeout_s=DONE_S, what="the last change is in force")
    in_force = changed_at(running)
    return [line for name, seen in situations.items() for line in rows_of(name, seen, in_force, heard)]


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--changes", type=int, default=300, help="changes of each kind (default: 300)")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    with servers(options.server) as at:
        asyncio.run(fill(at.database_url, ROWS))
        with worker(at, WORKER_RESULTS_MAXLEN="100000") as running:
            rows = asyncio.run(measure(at, running, options.changes))
    report("weights", rows, as_json=options.json)


if __name__ == "__main__":
    main()
