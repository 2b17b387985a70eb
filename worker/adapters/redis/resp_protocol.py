"""The protocol of one open connection to Redis: RESP, each reply given to the command that it answers."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import hiredis
import redis.exceptions
from redis.asyncio.connection import AbstractConnection

from worker.adapters.redis.connection_class import name_server

Word = str | bytes | int
Callback = Callable[[Any], None]
"""Receives a reply, or the error in its place. It must not raise."""
Command = tuple[Callback, tuple[Word, ...]]
"""Who waits for the reply to a command, and the command."""
pack: Callable[[tuple[Word, ...]], bytes] = cast("Any", hiredis.pack_command)  # its stub knows one word
"""Encodes a command in RESP."""
_NEVER_S = 1e9
_LEAST_BYTES_A_S = 32_768  # of a usable link: a long command gets more time
# Errors that mean: this server is no longer the master, or has lost its replicas.
_ELSEWHERE = (redis.exceptions.ReadOnlyError, redis.exceptions.MovedError, redis.exceptions.ClusterDownError)
_LEFT = "NOREPLICAS"


class RespProtocol(asyncio.Protocol):
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
        """Show where it leads to and how many commands wait."""
        host, port = self.address
        return f"{'open' if self.is_open else 'closed'} to {host}:{port}, {len(self._waiting)} waiting"

    def send(self, callback: Callback, words: tuple[Word, ...]) -> None:
        """Send a command and note who waits for its reply."""
        self._transport.write(self._note(callback, words))

    def send_all(self, commands: Iterable[Command]) -> None:
        """Send several commands in one packet, and note who waits for their replies."""
        self._transport.write(b"".join([self._note(*command) for command in commands]))

    def _note(self, callback: Callback, words: tuple[Word, ...]) -> bytes:
        """Note who waits for the reply to a command; return the command as it is sent."""
        command = pack(words)
        self.sent_bytes += len(command)
        self._waiting.append((callback, self._loop.time() + self.timeout_s + len(command) / _LEAST_BYTES_A_S))
        if self._timer is None:
            self._timer = self._loop.call_later(self.timeout_s, self._close_if_overdue)
        return command

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
