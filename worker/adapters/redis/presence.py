"""What Redis shows of the workers: their states, their names in the group, and the backlog.

Theory. An answered request leaves the stream in the step that answers it. One that is taken back leaves it, too. So
each entry of the stream is either pending (in hand) or waiting. XLEN less the pending entries is exactly the number of
waiting ones. The `lag` of XINFO GROUPS is not used. Taking back an entry that nobody has read makes it nil for a while,
and wrong after that: on Redis 7.0 for ever, on Valkey 9.1 until the next entry is read.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.light_client import LightClient
from worker.adapters.redis.replies import closing_if_misread
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import GROUP, Keys
from worker.ports import Backlog

if TYPE_CHECKING:
    import asyncio

_JUST_S: Final = 0.1
_FORGET_CONSUMERS: Final = read_script("forget_consumers.lua")
_WORKERS_READ: Final = read_script("workers_read.lua")


async def read_backlog(client: Client, keys: Keys) -> Backlog:
    """Count the entries that were not delivered yet, and those that are pending.

    Args:
        client: A connection.
        keys: Names in Redis.

    Raises:
        GroupMissingError: There is no group.
        RefusedError: Redis will refuse it again: a right is missing.
        RedisError: Redis did not answer.
    """
    pipeline = client.pipeline(transaction=False)
    for command in _backlog_commands(keys):
        pipeline.execute_command(*command)
    with redis_refusals("XLEN or XPENDING"):
        reply = await pipeline.execute()
        async with closing_if_misread(client):
            return _read_backlog(*reply)


def _backlog_commands(keys: Keys) -> tuple[tuple[str, ...], ...]:
    return ("XLEN", keys.requests), ("XPENDING", keys.requests, GROUP)


def _read_backlog(length: int, summary: Any) -> Backlog:
    """Read the replies to the commands above."""
    pending, oldest, *_ = summary
    # An entry in hand that a stranger deleted stays pending until its worker misses it.
    waiting = max(0, length - pending)
    return Backlog(waiting, pending, None if oldest is None else int(oldest.partition(b"-")[0]))


def _pairs(reply: Any) -> Iterator[tuple[bytes, bytes]]:
    """Read names and states that follow each other.

    Raises:
        TypeError: The reply is another one.
    """
    if not isinstance(reply, list) or not all(isinstance(word, bytes) for word in reply):
        raise TypeError("the script returns strings")
    yield from zip(reply[0::2], reply[1::2], strict=True)


class RedisPresence:
    """Shows one worker, counts what waits, and removes the names of workers that are gone.

    Attributes:
        light_client: Sends commands over the same connection.
    """

    def __init__(self, connection: DirectConnection, keys: Keys, consumer: str) -> None:
        """Connect later.

        Args:
            connection: Carries the commands. It takes a fifth of the time that redis-py takes, and there are some each
                second, also while nothing else is to do.
            keys: Names in Redis.
            consumer: This worker's name in the group.
        """
        self._connection = connection
        self.light_client = LightClient(connection)
        self._asked: tuple[float, asyncio.Future[Any] | None] = (0.0, None)  # whether anything is pending, and when
        self._keys = keys
        self._consumer = consumer

    async def backlog(self) -> Backlog:
        """Count the entries that were not delivered yet, and those that are pending.

        Raises:
            GroupMissingError: There is no group.
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer.
        """
        with redis_refusals("XLEN or XPENDING"):
            await self._connection.open()
            sent = [self._connection.send(*command) for command in _backlog_commands(self._keys)]
            reply = [await one for one in sent]
            with self._connection.closing_if_misread():
                return _read_backlog(*reply)

    async def is_any_pending(self, *, now: bool = False) -> bool:
        """Return whether any entry is pending, for whichever consumer.

        Args:
            now: Whether to ask anew, although `show` has just asked.

        Raises:
            GroupMissingError: There is no group.
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("XPENDING"):
            asked_at, asked = self._asked
            reply: Any = None
            if asked is not None and not now and time.monotonic() <= asked_at + _JUST_S:
                with suppress(redis.exceptions.RedisError):  # such as that of a group which is there by now
                    reply = await asked
            if reply is None:
                reply = await self._connection.call("XPENDING", self._keys.requests, GROUP)
            with self._connection.closing_if_misread():
                pending, _, _, _ = reply
                return int(pending) > 0

    async def show(self, document: str, *, ttl_s: int) -> bytes | None:
        """Store this worker's state for some seconds, and ask in the same packet whether anything is pending.

        Returns:
            What stood there before; None if nothing did, or it cannot be read.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer.
        """
        key = self._keys.worker(self._consumer)
        with redis_refusals("SET of the worker's state"):
            await self._connection.open()
            self._asked = time.monotonic(), self.light_client.send("XPENDING", self._keys.requests, GROUP)
            try:
                found = await self.light_client.execute_command("SET", key, document, "EX", ttl_s, "GET")
            except redis.exceptions.ResponseError:  # what stands there is of another type, or may not be read
                await self._overwrite(key, document, ttl_s)
                return None
            with self._connection.closing_if_misread():
                if found is not None and not isinstance(found, bytes):
                    raise TypeError("SET with GET says what stood there")
                return found

    async def _overwrite(self, key: str, document: str, ttl_s: int) -> None:
        done = await self._connection.call("SET", key, document, "EX", ttl_s)
        with self._connection.closing_if_misread():
            if done != b"OK":
                raise TypeError("SET says OK")

    async def other_workers(self) -> dict[str, bytes]:
        """Read the states of the other live workers, by consumer.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing, or another type stands there.
            RedisError: Redis did not answer.
        """
        with redis_refusals("the script that reads workers"):
            words = (self._keys.requests, GROUP, self._keys.worker(""))
            reply = await self._connection.call("EVAL", _WORKERS_READ, 1, *words)
            with self._connection.closing_if_misread():
                found = {name.decode(errors="backslashreplace"): state for name, state in _pairs(reply)}
        found.pop(self._consumer, None)
        return found

    async def remove_presence(self) -> None:
        """Remove this worker's state, because it has ended in order.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing.
            RedisError: Redis did not answer.
        """
        with redis_refusals("DEL of the worker's state"):
            await self._connection.call("DEL", self._keys.worker(self._consumer))

    async def forget_consumers(self, idle_ms: int) -> int:
        """Remove consumers that hold nothing, were idle for so long and show no state; return how many.

        Raises:
            RefusedError: Redis will refuse it again: a right is missing, or another type stands there.
            RedisError: Redis did not answer.
        """
        with redis_refusals("the script that forgets consumers"):
            words = (self._keys.requests, GROUP, idle_ms, self._keys.worker(""))
            reply = await self._connection.call("EVAL", _FORGET_CONSUMERS, 1, *words)
            with self._connection.closing_if_misread():
                return int(reply)
