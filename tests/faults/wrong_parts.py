"""Parts of a worker as they are often built, and wrong: what the auditors have to see through."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.adapters.redis.client import redis_errors
from worker.adapters.redis.streams import RedisStreams
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.keys import GROUP
from worker.core.stats import Tally
from worker.core.wire import Request, Result, encode_common, ok_template
from worker.ports import Batch, NextRead, Settled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class MultiStreams(RedisStreams):
    """Streams that settle in a transaction. It is atomic for the network only: a failing command stops no other."""

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Write, acknowledge and count; read ahead if it was asked for."""
        with redis_errors("MULTI"):
            await self._connection.call("MULTI")
            for result in batch.results:
                self._connection.send("XADD", _stream(self, result), "*", *result.fields)
                self._connection.send("XACK", self._keys.requests, GROUP, result.entry_id)
                self._connection.send("XDEL", self._keys.requests, result.entry_id)
            for field, growth in batch.growth.items():
                self._connection.send("HINCRBY", self._keys.stats, field, growth)
            await self._connection.call("EXEC")
        return _settled(self, then_read)


class AcknowledgingStreams(RedisStreams):
    """Streams that acknowledge first, then write what nobody else acknowledged: never twice, but perhaps never."""

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Acknowledge, then write; read ahead if it was asked for."""
        for result in batch.results:
            with redis_errors("XACK"):
                if not await self._connection.call("XACK", self._keys.requests, GROUP, result.entry_id):
                    continue
                await self._connection.call("XDEL", self._keys.requests, result.entry_id)
            with redis_errors("XADD"):
                await self._connection.call("XADD", _stream(self, result), "*", *result.fields)
        return _settled(self, then_read)


def _settled(streams: RedisStreams, then_read: NextRead | None) -> Settled:
    """Report a batch as settled, and begin to read what comes next."""
    if then_read is not None:
        streams.read_ahead(*then_read)
    return Settled(at_ms=streams.now_ms())


class UnfencedStreams(RedisStreams):
    """Streams that settle a batch whatever weights it was drawn under."""

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Settle without a look at the weights keys."""
        return await super().settle(batch._replace(marks=()), then_read)


class ForgetfulStreams(RedisStreams):
    """Streams that keep passes in the worker's memory alone."""

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Settle without moving the cursors of sessions."""
        changes = {name: change._replace(expected={}, stored={}) for name, change in batch.sessions.items()}
        return await super().settle(batch._replace(sessions=changes), then_read)


class NaiveDraw:
    """A simple draw, right as it is; its parts can be replaced by wrong ones."""

    def shares(self, snapshots: Snapshots) -> Mapping[str, float]:
        """Return the shares of the global weights."""
        return snapshots.weights[None].weights.shares

    def find(self, edges: Floats, numbers: Floats) -> Integers:
        """Find the category of each number by the ends of the categories' shares."""
        return np.searchsorted(edges, numbers, "right")

    def pick(self, rng: np.random.Generator, ready: int) -> int:
        """Pick one of some chunks."""
        return int(rng.integers(ready))

    def __call__(self, requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        """Answer plain requests."""
        assert snapshots.catalog is not None
        chunks = {name: ids.tolist() for name, ids in snapshots.catalog.segments()}
        weights = dict(sorted(self.shares(snapshots).items()))
        shares = {name: share for name, share in weights.items() if name in chunks}
        edges = np.cumsum(list(shares.values())) / sum(shares.values())
        held, tally = snapshots.weights[None].weights, Tally()
        common = encode_common(
            weights_version=held.version,
            weights_source=held.source,
            catalog_version=snapshots.catalog.version,
            left_out=sorted(weights.keys() - chunks.keys()),
        )
        form, results = ok_template(common), []
        for request in requests:
            assert isinstance(request, Request)
            found = self.find(edges, rng.random(request.terms.size))
            names = [list(shares)[i] for i in found]
            ids = [chunks[name][self.pick(rng, len(chunks[name]))] for name in names]
            counts = Counter(names)
            results.append(
                Result(request.entry_id, request.request_id, None, None, form, (json.dumps(ids), json.dumps(counts)))
            )
            tally.add_requests(None, 1)
            nothing = [0.0] * len(counts)
            tally.add_chunks(None, tuple(counts), list(counts.values()), expected=nothing, variances=nothing)
        return Answers(results, tally, {})


class TrustingDraw(NaiveDraw):
    """A draw that trusts `json.loads` for weights: with NaN, every number is found in the first category."""

    def __init__(self, value: str) -> None:
        self._value = value

    def shares(self, snapshots: Snapshots) -> Mapping[str, float]:
        """Read the weights."""
        del snapshots
        values: dict[str, float] = json.loads(self._value)
        return values


class OffByOneDraw(NaiveDraw):
    """A draw that looks up numbers among the beginnings of the shares instead of their ends."""

    def find(self, edges: Floats, numbers: Floats) -> Integers:
        """Find the category before."""
        return np.maximum(super().find(edges, numbers) - 1, 0)


class BiasedDraw(NaiveDraw):
    """A draw that makes an index out of a byte by its remainder."""

    def pick(self, rng: np.random.Generator, ready: int) -> int:
        """Pick the first chunks more often than the last."""
        return int(rng.integers(64)) % ready


def _stream(streams: RedisStreams, result: Result) -> str:
    keys = streams._keys
    return keys.results if result.reply_to is None else keys.reply(result.reply_to)
