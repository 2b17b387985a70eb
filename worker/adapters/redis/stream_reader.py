"""Reads new requests over a connection of its own, as a blocked read holds up every command behind it.

Theory. A read that is sent before anybody waits for it is *ahead*: entries may have been delivered that nobody has seen
yet. There is at most one. While requests come one by one, the settling of each can be sent over this connection. The
next read is sent right behind it. Then a request takes one packet to the server instead of two, and only one connection
wakes the worker. No read may be blocked at that moment, so only the lane whose turn it is to read does this.
"""

import asyncio
from functools import partial
from typing import Any

from worker.adapters.redis.connection import DirectConnection, resolve
from worker.adapters.redis.replies import read_entries, read_records
from worker.adapters.redis.resp_protocol import Word
from worker.core.keys import GROUP, Keys
from worker.core.wire import Entry
from worker.ports import NextRead


class StreamReader:
    """Reads the entries that were never delivered.

    Attributes:
        connection: The connection for reading.
    """

    def __init__(self, connection: DirectConnection, keys: Keys, consumer: str) -> None:
        """Connect later.

        Args:
            connection: To the server that holds the stream; nothing else uses it while a read is in progress.
            keys: Names in Redis.
            consumer: This worker's name in the group.
        """
        self.connection = connection
        self._requests = keys.requests.encode()
        self._begin = ("XREADGROUP", "GROUP", GROUP, consumer, "COUNT")
        self._end = ("STREAMS", keys.requests, ">")
        self._ahead: asyncio.Future[Any] | None = None

    @property
    def is_ahead(self) -> bool:
        """Whether a read is under way that nobody waits for."""
        return self._ahead is not None

    @property
    def can_carry(self) -> bool:
        """Whether a settling can be sent with a read behind it.

        While a slot of a cluster is moved, a settling may have to be sent again. Then it would wait for the read.
        """
        return self._ahead is None and not self.connection.is_of_cluster

    def forget(self) -> None:
        """Forget a read that is under way."""
        self._ahead = None

    def read_ahead(self, count: int, block_ms: int) -> None:
        """Ask for new entries that the next `read` returns; no-op while disconnected.

        Args:
            count: At most this many.
            block_ms: Let Redis wait this long for the first; below the time-out of the client.
        """
        if self._ahead is None and self.connection.is_open:
            self._ahead = self.connection.send(*self.command(count, block_ms))

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Read entries; those that were asked for ahead, if there are any.

        Args:
            count: At most this many.
            block_ms: Let Redis wait this long for the first; below the time-out of the client.

        Raises:
            redis.exceptions.RedisError: Redis did not answer; entries may have been delivered all the same.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            ahead = self.connection.send(*self.command(count, block_ms))
        reply = await ahead
        with self.connection.closing_if_misread():
            return read_entries(read_records(reply, self._requests))

    def send_before_read(self, command: tuple[Word, ...], wanted: NextRead) -> asyncio.Future[Any]:
        """Send a command with a read right behind it, which is ahead from then on.

        Args:
            command: What to send first, see `can_carry`.
            wanted: What to read.

        Returns:
            The reply to the command, see `DirectConnection.send`.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        ahead: asyncio.Future[Any] = loop.create_future()
        read = self.command(*wanted)
        self.connection.send_all(((partial(resolve, reply), command), (partial(resolve, ahead), read)))
        self._ahead = ahead
        return reply

    def command(self, count: int, block_ms: int) -> tuple[Word, ...]:
        """Return the command that reads."""
        return (*self._begin, count, "BLOCK", block_ms, *self._end)
