"""The serving side of a worker without PostgreSQL: wired by the composition root, and run in a test."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import redis.exceptions

from tests.support.streams import ROOMY, TIMEOUT_S, Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect
from worker.adapters.redis.streams import RedisStreams
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw.answer import answer
from worker.core.keys import Keys
from worker.ports import StreamLimits
from worker.service.consumer import RequestLimits
from worker.service.settler import Draw
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import Serving, ServingOptions, wire_serving

DONE_S = 60.0
_NEVER_S = 3600.0
_FIRST_ID = {"voice": 1_000, "music": 2_000, "documentary": 3_000}


def small_catalog(chunks: int = 50) -> Catalog:
    """Build a catalog of `chunks` (up to 1,000) chunks in each of three categories, told apart by their thousands."""
    ids = np.concatenate([np.arange(first, first + chunks) for first in _FIRST_ID.values()])
    return build_catalog(ids, np.repeat(np.arange(len(_FIRST_ID)), chunks), tuple(_FIRST_ID))


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a worker under test differs from an ordinary one; by default nothing happens by the clock."""

    consumer: str = "one"
    idle_ms: int = 3_600_000
    max_deliveries: int = 5
    batch: int = 256
    max_size: int = 65_536
    refresh_s: float = _NEVER_S
    draw: Draw = answer
    catalog: Catalog | None = field(default_factory=small_catalog)
    limits: StreamLimits = ROOMY
    streams: type[RedisStreams] = RedisStreams

    @property
    def options(self) -> ServingOptions:
        """Return what the composition root needs."""
        return ServingOptions(
            self.consumer,
            self.limits,
            RequestLimits(self.batch, self.max_size),
            idle_ms=self.idle_ms,
            max_deliveries=self.max_deliveries,
            refresh_s=self.refresh_s,
            draw=self.draw,
            streams=self.streams,
        )


@asynccontextmanager
async def wired(url: str, prefix: str, wiring: Wiring | None = None) -> AsyncIterator[Serving]:
    """Wire a worker and close its connections at the end; nothing runs yet."""
    wiring = wiring or Wiring()
    clients = [connect(url, timeout_s=TIMEOUT_S) for _ in range(2)]
    parts = wire_serving(clients, Keys(prefix), wiring.options, CurrentSnapshots(wiring.catalog))
    try:
        yield parts
    finally:
        parts.stream.close()
        parts.weights.close()
        for client in clients:
            await client.aclose()


@asynccontextmanager
async def running(parts: Serving) -> AsyncIterator[Serving]:
    """Run a wired worker; stop it in order at the end, and fail where it had ended by itself."""
    feed = asyncio.create_task(parts.weights.run())
    serving = asyncio.create_task(parts.consumer.run())
    try:
        yield parts
    finally:
        ends = {"the feed": feed.done(), "the consumer": serving.done() and not parts.consumer.is_stopping}
        ended = [name for name, has_ended in ends.items() if has_ended]
        parts.consumer.stop()
        is_done = await _has_ended(serving, parts)
        bugs = [one for one in await end(serving, feed) if isinstance(one, Exception)]
        assert is_done, "the consumer did not stop"
        assert not bugs, bugs
        assert not ended, f"{' and '.join(ended)} had ended by itself"


async def _has_ended(serving: asyncio.Task[None], parts: Serving) -> bool:
    """Wait for the end of a consumer, waking up a read that waits for requests."""
    deadline = asyncio.get_running_loop().time() + DONE_S
    client: Any = parts.stream._connection._client
    while not serving.done() and asyncio.get_running_loop().time() < deadline:
        with suppress(redis.exceptions.RedisError, OSError):
            blocked = [one["id"] for one in await client.client_list() if "b" in one["flags"]]
            for number in blocked:
                await client.client_unblock(number)
        await asyncio.wait({serving}, timeout=0.02)
    return serving.done()


@asynccontextmanager
async def serving(url: str, prefix: str, wiring: Wiring | None = None) -> AsyncIterator[Serving]:
    """Wire a worker and run it."""
    async with wired(url, prefix, wiring) as parts, running(parts):
        yield parts


async def answers(desk: Desk, ids: Iterable[str], reply_to: str | None = None) -> dict[str, dict[str, str]]:
    """Wait for the results of some entries, check that each has exactly one, and return them by entry."""
    wanted = set(ids)
    found: list[dict[str, str]] = []

    async def are_there() -> bool:
        found[:] = [result for result in await desk.results(reply_to) if result["entry_id"] in wanted]
        return wanted <= {result["entry_id"] for result in found}

    await wait_until(are_there, timeout_s=DONE_S, what=f"{len(wanted)} requests are answered")
    assert len(found) == len(wanted), "some entries have more than one result"
    return {result["entry_id"]: result for result in found}


async def settled(desk: Desk) -> None:
    """Wait until nothing is pending and nothing waits."""

    async def is_quiet() -> bool:
        return not await desk.client.xlen(desk.keys.requests) and not await desk.pending()

    await wait_until(is_quiet, timeout_s=DONE_S, what="every request is settled")


def categories_of(result: Mapping[str, Any]) -> set[str]:
    """Return the categories of a result's chunks by their ids."""
    names = {first // 1000: name for name, first in _FIRST_ID.items()}
    return {names[int(chunk) // 1000] for chunk in result["chunk_ids"].strip("[]").split(",")}
