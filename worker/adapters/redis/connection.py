"""One connection to Redis that carries many commands at once, for the few commands that every batch needs.

redis-py opens the connection: URL, TLS, login, database, Sentinel, Cluster. Then `RespProtocol` takes over its
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
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, cast

import redis.exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection

from worker.adapters.redis.client import Client
from worker.adapters.redis.moving_slots import Patient, follow
from worker.adapters.redis.replies import MISREAD, misread
from worker.adapters.redis.resp_protocol import Callback, Command, RespProtocol, Word


class DirectConnection:
    """One connection to the server that holds a key; it opens when it is needed.

    Attributes:
        is_of_cluster: Whether the server is a node of a cluster. While a slot is moved, commands may be sent again.
    """

    def __init__(self, client: Client, key: str, *, on_message: Callback | None = None) -> None:
        """Connect later, at the first `open` or `call`.

        Args:
            client: Knows how to reach the server, and how long to wait for a reply. A blocking read has to end sooner.
            key: A key that will be used. In a cluster it decides the node.
            on_message: Receives each message of a subscribed pattern, and the error when the connection closes.
        """
        self._client = client
        self.is_of_cluster = isinstance(client, RedisCluster)  # asked for each command, which would take a microsecond
        self._key = key
        self._on_message = on_message
        self._protocol: RespProtocol | None = None
        self._followed: Exception | None = None
        self._opening = asyncio.Lock()
        self._closing = _ClosingIfMisread(self)

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
        if self.is_open:
            return
        async with self._opening:
            if not self.is_open:
                self._protocol = RespProtocol(await self._connect(), self._on_message)

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
        self.send_with_callback(partial(resolve, reply), *words)
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
        protocol = self._open_protocol()
        if self.is_of_cluster:
            callback = Patient(protocol, callback, words)
        protocol.send(callback, words)

    def send_all(self, commands: Iterable[Command]) -> None:
        """Send several commands in one packet, which takes less of both sides than a packet each.

        Args:
            commands: Each with its callback, see `send_with_callback`.

        Raises:
            redis.exceptions.ConnectionError: It is not connected.
        """
        protocol = self._open_protocol()
        if self.is_of_cluster:
            commands = [(Patient(protocol, callback, words), words) for callback, words in commands]
        protocol.send_all(commands)

    async def call(self, *words: Word) -> Any:
        """Connect where needed, send a command and wait for its reply.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, did not answer in time, or refused.
            OSError: The server could not be reached.
        """
        if not self.is_open:
            await self.open()
        return await self.send(*words)

    def closing_if_misread(self) -> AbstractContextManager[None]:
        """Close the connection if a reply cannot be read as what it should be.

        Raises:
            redis.exceptions.InvalidResponse: It cannot be read.
        """
        return self._closing

    def close(self, error: Exception | None = None) -> None:
        """Close the connection; it may be opened again.

        Args:
            error: Given to every command that waits for its reply; None: "the connection was closed here".
        """
        if self._protocol is not None:
            self._protocol.close(error or redis.exceptions.ConnectionError("the connection was closed here"))

    def _open_protocol(self) -> RespProtocol:
        """Return the protocol of the open connection."""
        if self._protocol is None or not self._protocol.is_open:
            raise redis.exceptions.ConnectionError("the connection is closed")
        return self._protocol

    async def _connect(self) -> AbstractConnection:
        """Open a connection of redis-py that belongs to none of its pools."""
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


class _ClosingIfMisread:
    """Reads of a connection's replies. It is entered for each of them; a generator would take a microsecond."""

    def __init__(self, connection: DirectConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        """Begin to read a reply."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """Close the connection if the reply was misread."""
        if not isinstance(error, (*MISREAD, redis.exceptions.InvalidResponse)):
            return
        invalid = misread(error)
        self._connection.close(
            redis.exceptions.ConnectionError(f"the connection was closed: an earlier reply was wrong: {invalid}")
        )
        if invalid is not error:
            raise invalid from error


def resolve(reply: asyncio.Future[Any], answer: Any) -> None:
    """Set the result of a future, unless it was cancelled meanwhile."""
    if reply.done():
        return
    if isinstance(answer, Exception):
        reply.set_exception(answer)
        reply.exception()  # marks it as seen: a read ahead may have no reader (any more)
    else:
        reply.set_result(answer)
