"""One connection to Redis that carries many commands at once, for the few commands that every batch needs.

redis-py opens the connection: URL, TLS, login, database, Sentinel, Cluster. Then `_RespProtocol` takes over its
transport and speaks RESP itself. This takes a fraction of the time that redis-py takes for a command.

Theory:

- Redis answers the commands of one connection in the order in which they were sent. So a reply belongs to the oldest
  command that has none yet. No reply names its command.
- Therefore one reply that goes astray makes every later reply the answer to another command. Whatever may have led
  to that closes the connection: text that is not RESP, a reply to no command, a reply that its reader cannot read
  (`closing_if_misread`). A connection is never mended, it is opened anew.
- It also closes when nothing can come any more: the server closed it, or the oldest reply is overdue (a half-open
  link never says so).
- And it closes when the server says that another server is the master now (`_ELSEWHERE`). The next `open` asks
  Sentinel or the cluster again, or goes where the server said.
- While a slot is moved, its keys are on two nodes, and commands are put off; see `worker.adapters.redis.moving_slots`.
- Closing gives its error to every command that waits. It never cancels them: a task group would take a cancelled
  task for one that has ended.
- What a command did before its connection closed is not known. Only the callers know which commands can be repeated.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import hiredis
import redis.exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection

from worker.adapters.redis.client import Client
from worker.adapters.redis.connection_class import name_server
from worker.adapters.redis.moving_slots import Patient, follow
from worker.adapters.redis.packing import Word, pack
from worker.adapters.redis.replies import misread_as_invalid_response

Callback = Callable[[Any], None]
"""Receives a reply, or the error in its place. It must not raise."""
_NEVER_S = 1e9
_LEAST_BYTES_A_S = 32_768  # of a usable link: a long command gets more time
# Errors that mean: this server is no longer the master, or has lost its replicas.
_ELSEWHERE = (redis.exceptions.ReadOnlyError, redis.exceptions.MovedError, redis.exceptions.ClusterDownError)
_LEFT = "NOREPLICAS"


class DirectConnection:
    """One connection to the server that holds a key; it opens when it is needed."""

    def __init__(self, client: Client, key: str, *, on_message: Callback | None = None) -> None:
        """Connect later, at the first `open` or `call`.

        Args:
            client: Knows how to reach the server, and how long to wait for a reply. A blocking read has to end sooner.
            key: A key that will be used. In a cluster it decides the node.
            on_message: Receives each message of a subscribed pattern, and the error when the connection closes.
        """
        self._client = client
        self._is_cluster = isinstance(client, RedisCluster)  # asked for each command, which would take a microsecond
        self._key = key
        self._on_message = on_message
        self._protocol: _RespProtocol | None = None
        self._followed: Exception | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        """Show where it leads to and how many commands wait."""
        if self._protocol is None:
            return f"<DirectConnection for {self._key}, not opened yet>"
        return f"<DirectConnection for {self._key}, {self._protocol!r}>"

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._protocol is not None and self._protocol.is_open

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the server, as Sentinel or the cluster named it last; None before the first connection."""
        return self._protocol.address if self._protocol is not None else None

    @property
    def sent_bytes(self) -> int:
        """Bytes of the commands sent since it was opened."""
        return self._protocol.sent_bytes if self._protocol is not None else 0

    async def open(self) -> None:
        """Connect, unless it is connected.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, or refused the login.
            OSError: The server could not be reached.
        """
        async with self._opening:
            if not self.is_open:
                self._protocol = _RespProtocol(await self._connect(), self._on_message)

    def send(self, *words: Word) -> asyncio.Future[Any]:
        """Send a command now.

        Args:
            words: The command's name, a word each, and its arguments.

        Returns:
            Its reply. Awaiting it raises the server's refusal, or the loss of the connection.

        Raises:
            redis.exceptions.ConnectionError: It is not connected.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send_with_callback(partial(_resolve, reply), *words)
        return reply

    def send_with_callback(self, callback: Callback, *words: Word) -> None:
        """Send a command now; call back in the moment its reply comes.

        Lower latency than a future, whose reader runs in the next turn of the event loop.

        Args:
            callback: Receives the reply, or the error in its place. It must not raise.
            words: The command's name, a word each, and its arguments.

        Raises:
            redis.exceptions.ConnectionError: It is not connected.
        """
        if self._protocol is None or not self._protocol.is_open:
            raise redis.exceptions.ConnectionError("the connection is closed")
        if self._is_cluster:
            callback = Patient(self._protocol, callback, words)
        self._protocol.send(callback, words)

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
        """Close the connection if a reply cannot be read as what it should be.

        Raises:
            redis.exceptions.InvalidResponse: It cannot be read.
        """
        try:
            with misread_as_invalid_response():
                yield
        except redis.exceptions.InvalidResponse as error:
            self.close(
                redis.exceptions.ConnectionError(f"the connection was closed: an earlier reply was wrong: {error}")
            )
            raise

    def close(self, error: Exception | None = None) -> None:
        """Close the connection; it may be opened again.

        Args:
            error: Given to every command that waits for its reply; None: "the connection was closed here".
        """
        if self._protocol is not None:
            self._protocol.close(error or redis.exceptions.ConnectionError("the connection was closed here"))

    async def _connect(self) -> AbstractConnection:
        """Have redis-py open a connection that belongs to none of its pools."""
        connection: AbstractConnection
        if isinstance(self._client, RedisCluster):
            await self._client.initialize()
            if self._protocol is not None:  # the last one may have closed because the cluster has changed
                end = self._protocol.end
                # A node that was named in vain is not tried again.
                await follow(self._client, None if end is self._followed else end)
                self._followed = end
            node = cast("Any", self._client.get_node_from_key(self._key))
            connection = node.connection_class(**node.connection_kwargs)
        else:
            connection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection


class _RespProtocol(asyncio.Protocol):
    """The protocol of one open connection: matches replies to commands, each within its time.

    Attributes:
        end: What closed it; None while it is open.
        timeout_s: Longest wait for a reply, in seconds.
    """

    def __init__(self, connection: AbstractConnection, on_message: Callback | None) -> None:
        self._on_message = on_message
        self._server: str = getattr(connection, "server", "")
        self.address = (str(getattr(connection, "host", "")), int(getattr(connection, "port", 0)))
        parser: Any = connection._parser  # noqa: SLF001 - knows the exceptions of redis-py by their codes
        self._replies = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse, replyError=parser.parse_error, notEnoughData=...
        )
        self._waiting: deque[tuple[Callback, float]] = deque()
        self.sent_bytes = 0
        self.timeout_s: float = connection.socket_timeout or _NEVER_S
        self._received_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # There is no public way to the transport. The writer would close it if nobody held the writer.
        self._writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001
        connection._reader = connection._writer = None  # noqa: SLF001 - the transport is ours now
        self._transport = cast("asyncio.Transport", self._writer.transport)
        self._transport.set_protocol(self)
        self.is_open = not self._transport.is_closing()
        self.end: Exception | None = None

    def __repr__(self) -> str:
        host, port = self.address
        return f"{'open' if self.is_open else 'closed'} to {host}:{port}, {len(self._waiting)} waiting"

    def send(self, callback: Callback, words: tuple[Word, ...]) -> None:
        """Send a command and note who waits for its reply."""
        command = pack(words)
        self.sent_bytes += len(command)
        self._waiting.append((callback, self._loop.time() + self.timeout_s + len(command) / _LEAST_BYTES_A_S))
        if self._timer is None:
            self._timer = self._loop.call_later(self.timeout_s, self._close_if_overdue)
        self._transport.write(command)

    def close(self, error: Exception) -> None:
        """Close the connection; give this error to every command that waits."""
        name_server(error, self._server)
        was_open, self.is_open, self.end = self.is_open, False, error
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            callback, _ = self._waiting.popleft()
            callback(error)
        if was_open and self._on_message is not None:
            self._on_message(error)

    def data_received(self, data: bytes) -> None:
        """Hand each complete reply to the oldest command that waits."""
        self._received_at = self._loop.time()
        try:
            self._replies.feed(data)
            while (answer := self._replies.gets()) is not ...:
                if self._on_message is not None and isinstance(answer, list) and answer[:1] == [b"pmessage"]:
                    self._on_message(answer)
                elif not self._waiting:
                    self.close(redis.exceptions.ConnectionError("the server sent a reply that nobody asked for"))
                    return
                else:
                    if isinstance(answer, Exception):
                        name_server(answer, self._server)
                    callback, _ = self._waiting.popleft()
                    callback(answer)
                    if isinstance(answer, Exception) and _is_elsewhere(answer):
                        self.close(answer)  # whatever the command was: the next `open` looks for the master
                        return
        except redis.exceptions.InvalidResponse as error:
            self.close(redis.exceptions.ConnectionError(f"the server does not speak RESP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Close, as no reply will come any more."""
        self.close(redis.exceptions.ConnectionError(f"the connection was lost: {exc or 'closed by the server'}"))

    def _close_if_overdue(self) -> None:
        """Close if the oldest reply is overdue: nothing else reveals a half-open link."""
        self._timer = None
        if not self._waiting:
            return
        # While parts of a long reply come in, it is not overdue.
        overdue_at = max(self._waiting[0][1], self._received_at + self.timeout_s)
        if overdue_at <= self._loop.time():
            self.close(redis.exceptions.TimeoutError(f"no reply within {self.timeout_s} s"))
        else:
            self._timer = self._loop.call_at(overdue_at, self._close_if_overdue)


def _is_elsewhere(refusal: Exception) -> bool:
    return isinstance(refusal, _ELSEWHERE) or str(refusal).startswith(_LEFT)


def _resolve(reply: asyncio.Future[Any], answer: Any) -> None:
    """Set the result of a future, unless it was cancelled meanwhile."""
    if reply.done():
        return
    if isinstance(answer, Exception):
        reply.set_exception(answer)
        reply.exception()  # marks it as seen: a read ahead may have no reader (any more)
    else:
        reply.set_result(answer)
