"""The training job's side of the streams: add requests, receive results on a reply stream of one's own."""

import secrets
import time
from collections.abc import Iterable, Sequence

import anyio

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.clock import redis_now_ms
from worker.core.keys import GROUP, Keys
from worker.core.wire import Reply, decode_any, encode_request

Words = Sequence[str | int]
_BLOCK_MS = 500
_PAGE = 1000


class RedisRequests:
    """Send sample requests and collect their results."""

    def __init__(self, client: Client, keys: Keys, name: str, *, packed: bool = False) -> None:
        """Take a connection, the names in Redis, what the reply stream's name begins with, and how ids come."""
        self._packed = packed
        self._client = client
        self._keys = keys
        self._reply_to = f"{name}-{secrets.token_hex(6)}"
        self._last_id = b"0-0"
        self._unanswered: set[str] = set()

    async def add(self, requests: Iterable[Words]) -> list[str]:
        """Add requests in one round trip.

        Args:
            requests: Fields and values of each in turn, from `encode_request`, without `reply_to`.

        Returns:
            The ids of their stream entries.

        Raises:
            RedisError: Redis did not answer; the requests may have been added all the same.
        """
        pipeline = self._client.pipeline(transaction=False)
        own = encode_request(reply_to=self._reply_to)
        for words in requests:
            pipeline.execute_command("XADD", self._keys.requests, "*", *words, *own)
        with redis_errors("adding a request"):
            ids = [entry_id.decode() for entry_id in await pipeline.execute()]
        self._unanswered.update(ids)
        return ids

    async def receive(self, block_ms: int = _BLOCK_MS) -> list[Reply]:
        """Receive results that have come since the last call.

        Args:
            block_ms: Wait this long for the first.

        Raises:
            RedisError: Redis did not answer.
        """
        command = ("XREAD", "COUNT", _PAGE, "BLOCK", block_ms, "STREAMS", self._keys.reply(self._reply_to))
        with redis_errors(f"reading results in {self._keys.reply(self._reply_to)}"):
            reply = await self._client.execute_command(*command, self._last_id)
        if not reply:
            return []
        records = reply[0][1]
        self._last_id = records[-1][0]
        found = [decode_any(words, packed=self._packed) for _, words in records]
        results = [reply for reply in found if reply is not None]
        self._unanswered.difference_update(result.entry_id for result in results)
        return results

    async def sample(self, requests: Sequence[Words], *, timeout_s: float) -> dict[str, Reply]:
        """Add requests and wait for their results; nobody works on those that are late, by the clock of Redis.

        Args:
            requests: Fields and values of each in turn, from `encode_request`, without `reply_to`.
            timeout_s: Longest wait.

        Returns:
            Entry id -> result, in the order of the requests; those that did not come in time are missing.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        now_ms = await redis_now_ms(self._client, self._keys.requests)
        own = encode_request(expires_at=now_ms + round(timeout_s * 1000))
        ids = await self.add((*own, *words) for words in requests)
        found: dict[str, Reply] = {}
        deadline = time.monotonic() + timeout_s
        while len(found) < len(ids) and time.monotonic() < deadline:
            for result in await self.receive():
                found[result.entry_id] = result
        return {entry_id: found[entry_id] for entry_id in ids if entry_id in found}

    async def withdraw(self) -> None:
        """Take back the requests that are not answered: no result of them is written or counted any more.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ids = sorted(self._unanswered)
        with anyio.CancelScope(shield=True), redis_errors("taking requests back"):
            for start in range(0, len(ids), _PAGE):
                part = ids[start : start + _PAGE]
                await self._client.execute_command("XACK", self._keys.requests, GROUP, *part)
                await self._client.execute_command("XDEL", self._keys.requests, *part)
        self._unanswered.clear()

    async def close(self) -> None:
        """Remove the reply stream.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with anyio.CancelScope(shield=True), redis_errors("removing the reply stream"):
            await self._client.delete(self._keys.reply(self._reply_to))
