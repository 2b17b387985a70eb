"""What shows in Redis of the workers: their states, their names in the group, and what waits for them."""

from importlib.resources import files
from typing import Final

from worker.adapters.redis.client import Client, redis_refusals
from worker.adapters.redis.replies import closing_if_misread
from worker.core.keys import GROUP, Keys
from worker.errors import GroupMissingError
from worker.ports import Backlog

_FORGET_CONSUMERS: Final = files("worker.adapters.redis").joinpath("scripts", "forget_consumers.lua").read_text()


class RedisPresence:
    """Show one worker, count what waits, and remove names of workers that are gone."""

    def __init__(self, client: Client, keys: Keys, consumer: str) -> None:
        """Take what connects, the names in Redis, and the worker's name in the group."""
        self._client = client
        self._keys = keys
        self._consumer = consumer

    async def backlog(self) -> Backlog:
        """Count what waits: entries not delivered yet, and pending ones.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer, or the group is gone.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command("XINFO GROUPS", self._keys.requests)
        pipeline.xlen(self._keys.requests)
        with redis_refusals("XINFO GROUPS"):
            reply = await pipeline.execute()
            async with closing_if_misread(self._client):
                groups, length = reply
                for group in groups:
                    about = dict(zip(group[0::2], group[1::2], strict=True))
                    if about[b"name"] == GROUP.encode():
                        pending, lag = int(about[b"pending"]), about.get(b"lag")
                        # Unknown for a while after entries were deleted; as answered ones are, the rest is all.
                        return Backlog(max(0, length - pending) if lag is None else int(lag), pending)
        raise GroupMissingError(f"the consumer group {GROUP} is gone")

    async def show(self, document: str, *, ttl_s: int) -> bytes | None:
        """Store this worker's state for some seconds.

        Returns:
            What stood there before; None where nothing did, or it cannot be read.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer.
        """
        key = self._keys.worker(self._consumer)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(key)
        pipeline.set(key, document, ex=ttl_s)
        with redis_refusals("SET of the worker's state"):
            before, stored = await pipeline.execute(raise_on_error=False)
            if isinstance(stored, Exception):
                raise stored
            async with closing_if_misread(self._client):
                if stored is not True:
                    raise TypeError("SET says OK")
        return before if isinstance(before, bytes) else None

    async def remove_presence(self) -> None:
        """Remove this worker's state: it has ended in order.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer.
        """
        with redis_refusals("DEL of the worker's state"):
            await self._client.delete(self._keys.worker(self._consumer))

    async def forget_consumers(self, idle_ms: int) -> int:
        """Remove consumers that hold nothing, have asked for nothing for so long and show no state; tell how many.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing, or another type stands there.
            RedisError: Redis did not answer.
        """
        with redis_refusals("the script that forgets consumers"):
            words = (self._keys.requests, GROUP, idle_ms, self._keys.worker(""))
            reply = await self._client.execute_command("EVAL", _FORGET_CONSUMERS, 1, *words)
            async with closing_if_misread(self._client):
                return int(reply)
