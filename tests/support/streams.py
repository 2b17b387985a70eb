"""Add requests, make results, and look at streams field by field."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from worker.adapters.redis.client import Client, connect
from worker.adapters.redis.streams import RedisStreams
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import GROUP, Keys
from worker.core.wire import Entry, Result, Template
from worker.ports import Batch, StreamLimits

ROOMY = StreamLimits(results_maxlen=100_000, reply_ttl_s=600, session_ttl_s=900)
LARGEST_ID = "18446744073709551615-18446744073709551615"
TIMEOUT_S = 5.0


class Desk:
    """A view of the streams of one prefix, and a source of consumers of them.

    Attributes:
        client: For whatever a test does to the server.
        keys: The names in Redis.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        self.client: Any = client
        self.keys = keys
        self._opened: list[RedisStreams | RedisWeights] = []

    def consumer(self, name: str, limits: StreamLimits = ROOMY) -> RedisStreams:
        """Return the adapter of a consumer."""
        consumer = RedisStreams(self.client, keys=self.keys, consumer=name, limits=limits)
        self._opened.append(consumer)
        return consumer

    def weights(self) -> RedisWeights:
        """Return the adapter of the weights."""
        weights = RedisWeights(self.client, self.keys)
        self._opened.append(weights)
        return weights

    def writer(self) -> RedisWeightsWriter:
        """Return the adapter that changes weights."""
        return RedisWeightsWriter(self.client, self.keys)

    def close(self) -> None:
        """Close what its adapters opened."""
        for adapter in self._opened:
            adapter.close()

    async def add(self, *requests: Mapping[str, Any]) -> list[str]:
        """Add requests and return the ids of their entries."""
        pipeline = self.client.pipeline(transaction=False)
        for fields in requests:
            pipeline.xadd(self.keys.requests, fields)
        return [entry_id.decode() for entry_id in await pipeline.execute()]

    async def add_many(self, count: int) -> list[str]:
        """Add plain requests and return the ids of their entries."""
        return await self.add(*({"size": 1} for _ in range(count)))

    async def words(self, key: str) -> list[tuple[bytes, ...]]:
        """Return the fields and values of a stream's records as they stand there, repeated ones included."""
        return [tuple(words) for _, words in await self.client.execute_command("XRANGE", key, "-", "+")]

    async def ids(self, key: str) -> list[str]:
        """Return the ids of a stream's records."""
        return [entry_id.decode() for entry_id, _ in await self.client.execute_command("XRANGE", key, "-", "+")]

    async def records(self, key: str) -> list[dict[str, str]]:
        """Return a stream's records as text."""
        texts = [[word.decode() for word in words] for words in await self.words(key)]
        return [dict(zip(words[0::2], words[1::2], strict=True)) for words in texts]

    async def results(self, reply_to: str | None = None) -> list[dict[str, str]]:
        """Return the records of a result stream as text."""
        return await self.records(self.keys.results if reply_to is None else self.keys.reply(reply_to))

    async def dead(self) -> list[dict[str, str]]:
        """Return the dead letters as text."""
        return await self.records(self.keys.dead)

    async def counts(self) -> dict[str, int]:
        """Return the stats hash."""
        fields = await self.client.hgetall(self.keys.stats)
        return {name.decode(): int(count) for name, count in fields.items()}

    async def pending(self) -> int:
        """Count what is pending, over all consumers."""
        summary = await self.client.execute_command("XPENDING", self.keys.requests, GROUP)
        return int(summary[0])


@asynccontextmanager
async def desk_at(url: str, prefix: str) -> AsyncIterator[Desk]:
    """Open a desk."""
    async with connect(url, timeout_s=TIMEOUT_S) as client:
        desk = Desk(client, Keys(prefix))
        try:
            yield desk
        finally:
            desk.close()


def result_of(entry: Entry | str, reply_to: str | None = None, *extra: str) -> Result:
    """Make an ok result."""
    entry_id = entry if isinstance(entry, str) else entry.id
    template = Template(("request_id", None, "entry_id", None, "status", "ok", *extra))
    return Result(entry_id, entry_id, reply_to, None, template)


def batch_of(results: Iterable[Result], **parts: Any) -> Batch:
    """Make a batch of results; `marks`, `growth`, `dead` and `mixtures` where a test wants them."""
    results = tuple(results)
    ids = sorted((result.entry_id for result in results), key=_id_order)
    return Batch(results, (ids[0], ids[-1]), **{"marks": (), "growth": {}, "dead": {}, **parts})


def _id_order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
