"""Speak RESP by hand over a connection that redis-py opens, for the few commands that every batch needs.

redis-py connects: URL, TLS, login, database, Sentinel, Cluster. From then on replies are parsed by hiredis in the event
loop's own callbacks, with as many commands under way as the caller likes: a fraction of the time that redis-py takes
for each. Commands are joined here: hiredis copies every word twice, which long results feel.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import hiredis
import redis.exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection

from worker.adapters.redis.client import Client
from worker.adapters.redis.replies import telling_misread

Word = str | bytes | int
Told = Callable[[Any], None]
"""Is told a reply, or the error that stands for it."""
_NEVER_S = 1e9
_LEAST_BYTES_A_S = 32_768  # of a link that is worth waiting for: a long command has longer to pass
# It is not, or no longer, the server to speak to, be it that it says so or that its replicas have left it.
_ELSEWHERE = (redis.exceptions.ReadOnlyError, redis.exceptions.MovedError, redis.exceptions.ClusterDownError)
_LEFT = "NOREPLICAS"
_SHORT = 1024
_HEADS = [b"\r\n$%d\r\n" % length for length in range(_SHORT)]  # of an argument, after the one before


class DirectConnection:
    """Hold one connection to the server that serves a key, opened when it is needed."""

    def __init__(self, client: Client, key: str, *, hear: Told | None = None) -> None:
        """Take what connects.

        Args:
            client: Knows how to reach the server, and how long to wait for a reply; a blocking read has to end before.
            key: A key that will be used: in a cluster, it tells the node.
            hear: Is told each message of a pattern subscribed to, and the error of a connection that was lost.
        """
        self._client = client
        self._key = key
        self._hear = hear
        self._link: _Link | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Tell whether commands can be sent."""
        return self._link is not None and self._link.is_open

    @property
    def place(self) -> tuple[str, int] | None:
        """Tell where it leads to, as Sentinel or the cluster named it last; None before the first connection."""
        return self._link.place if self._link is not None else None

    @property
    def sent_bytes(self) -> int:
        """Count the bytes of the commands that were sent since it was opened."""
        return self._link.sent_bytes if self._link is not None else 0

    async def open(self) -> None:
        """Connect, unless it is connected.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, or refused the login.
            OSError: The server could not be reached.
        """
        async with self._opening:
            if not self.is_open:
                self._link = _Link(await self._connect(), self._hear)

    def send(self, *words: Word) -> asyncio.Future[Any]:
        """Send a command now.

        Args:
            words: The command's name, a word each, and its arguments.

        Returns:
            Its reply; awaiting it raises what the server refused, or the loss of the connection.

        Raises:
            redis.exceptions.ConnectionError: It is not connected.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ask(partial(_resolve, reply), *words)
        return reply

    def ask(self, told: Told, *words: Word) -> None:
        """Send a command now, and have its reply told the moment it comes: a future's reader has to wait his turn.

        Args:
            told: Is told; it must not raise.
            words: The command's name, a word each, and its arguments.

        Raises:
            redis.exceptions.ConnectionError: It is not connected.
        """
        if self._link is None or not self._link.is_open:
            raise redis.exceptions.ConnectionError("the connection is closed")
        self._link.ask(told, words)

    async def call(self, *words: Word) -> Any:
        """Connect where needed, send a command and wait for its reply.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, did not answer in time, or refused.
            OSError: The server could not be reached.
        """
        if not self.is_open:
            await self.open()
        return await self.send(*words)

    @contextmanager
    def closing_if_misread(self) -> Iterator[None]:
        """Close the connection where a reply cannot be read for what it should be.

        Raises:
            redis.exceptions.InvalidResponse: It cannot be read.
        """
        try:
            with telling_misread():
                yield
        except redis.exceptions.InvalidResponse as error:
            self.close(
                redis.exceptions.ConnectionError(f"the connection was closed: an earlier reply was wrong: {error}")
            )
            raise

    def close(self, error: Exception | None = None) -> None:
        """Close the connection; it may be opened again.

        Args:
            error: Is told as every reply still to come; None: that the connection was closed here.
        """
        if self._link is not None:
            self._link.close(error or redis.exceptions.ConnectionError("the connection was closed here"))

    async def _connect(self) -> AbstractConnection:
        """Have redis-py make a connection of its own kind, which none of its pools knows."""
        connection: AbstractConnection
        if isinstance(self._client, RedisCluster):
            await self._client.initialize()
            if self._link is not None:  # what was known of the cluster may be why that one ended
                await self._client.nodes_manager.initialize()
            node = cast("Any", self._client.get_node_from_key(self._key))
            connection = node.connection_class(**node.connection_kwargs)
        else:
            connection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection


class _Link(asyncio.Protocol):
    """Match replies to commands on one connection; none of them waits for ever."""

    def __init__(self, connection: AbstractConnection, hear: Told | None) -> None:
        self._hear = hear
        self.place = (str(getattr(connection, "host", "")), int(getattr(connection, "port", 0)))
        parser: Any = connection._parser  # noqa: SLF001 - knows the exceptions of redis-py by their codes
        self._replies = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse, replyError=parser.parse_error, notEnoughData=...
        )
        self._waiting: deque[tuple[Told, float]] = deque()
        self.sent_bytes = 0
        self._timeout_s: float = connection.socket_timeout or _NEVER_S
        self._heard_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        # There is no public way to the transport. The writer would close it if nobody held the writer.
        self._writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001
        connection._reader = connection._writer = None  # noqa: SLF001 - the transport is ours now
        self._transport = cast("asyncio.Transport", self._writer.transport)
        self._transport.set_protocol(self)
        self.is_open = not self._transport.is_closing()

    def ask(self, told: Told, words: tuple[Word, ...]) -> None:
        """Send a command; have its reply told."""
        command = pack(words)
        self.sent_bytes += len(command)
        self._waiting.append((told, self._loop.time() + self._timeout_s + len(command) / _LEAST_BYTES_A_S))
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._timeout_s, self._look_at_the_clock)
        self._transport.write(command)

    def close(self, error: Exception) -> None:
        """Close the connection; every reply still to come is this error.

        It is never a cancellation: a task that is told one is taken for ended, by its task group too.
        """
        was_open, self.is_open = self.is_open, False
        self._transport.abort()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._waiting:
            told, _ = self._waiting.popleft()
            told(error)
        if was_open and self._hear is not None:
            self._hear(error)

    def data_received(self, data: bytes) -> None:
        """Tell the replies that are complete to those who wait for them."""
        self._heard_at = self._loop.time()
        try:
            self._replies.feed(data)
            while (answer := self._replies.gets()) is not ...:
                if self._hear is not None and isinstance(answer, list) and answer[:1] == [b"pmessage"]:
                    self._hear(answer)
                elif not self._waiting:
                    self.close(redis.exceptions.ConnectionError("the server sent a reply that nobody asked for"))
                    return
                else:
                    told, _ = self._waiting.popleft()
                    told(answer)
                    if isinstance(answer, Exception) and _is_elsewhere(answer):
                        self.close(answer)  # so that the next is looked for anew, whoever asked
                        return
        except redis.exceptions.InvalidResponse as error:
            self.close(redis.exceptions.ConnectionError(f"the server does not speak RESP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that no reply will come."""
        self.close(redis.exceptions.ConnectionError(f"the connection was lost: {exc or 'closed by the server'}"))

    def _look_at_the_clock(self) -> None:
        """Give up on the connection where the oldest reply is overdue: a half-open link never says anything."""
        self._alarm = None
        if not self._waiting:
            return
        # A long reply that is coming in is no silence.
        overdue_at = max(self._waiting[0][1], self._heard_at + self._timeout_s)
        if overdue_at <= self._loop.time():
            self.close(redis.exceptions.TimeoutError(f"no reply within {self._timeout_s} s"))
        else:
            self._alarm = self._loop.call_at(overdue_at, self._look_at_the_clock)


def pack(words: Sequence[Word]) -> bytes:
    """Write a command as Redis reads it.

    Args:
        words: The command's name, a word each, and its arguments.
    """
    parts = [b"*%d" % len(words)]
    for word in words:
        raw = word if type(word) is bytes else word.encode() if type(word) is str else str(word).encode()
        length = len(raw)
        parts += (_HEADS[length] if length < _SHORT else b"\r\n$%d\r\n" % length, raw)
    parts.append(b"\r\n")
    return b"".join(parts)


def _is_elsewhere(refusal: Exception) -> bool:
    return isinstance(refusal, _ELSEWHERE) or str(refusal).startswith(_LEFT)


def _resolve(reply: asyncio.Future[Any], answer: Any) -> None:
    """Hand a reply to whoever waits for it, if somebody still does."""
    if reply.done():
        return
    if isinstance(answer, Exception):
        reply.set_exception(answer)
        reply.exception()  # a reply that was asked for ahead may have nobody who waits for it yet, or any more
    else:
        reply.set_result(answer)
