"""A client of one connection, for what a worker asks every second, whether or not there is anything to do.

A command takes a fifth of the time that redis-py takes for it. An idle worker does little else than to ask.

Loops that wake at a tick ask in the same turn of the event loop. What they ask goes in one packet, and Redis answers it
in one. So the server wakes once a tick, and the worker wakes once for all replies.
"""

import asyncio
from functools import partial
from typing import Any

import redis.exceptions

from worker.adapters.redis.connection import DirectConnection, resolve
from worker.adapters.redis.resp_protocol import Word


class LightClient:
    """Sends single commands over a connection that others use, too."""

    def __init__(self, connection: DirectConnection) -> None:
        """Take a connection."""
        self._connection = connection
        self._gathered: list[tuple[asyncio.Future[Any], tuple[Word, ...]]] = []

    async def execute_command(self, *words: Word) -> Any:
        """Send a command, together with what others ask in this turn of the event loop, and return its reply.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, did not answer in time, or refused.
            OSError: The server could not be reached.
        """
        if not self._connection.is_open:
            await self._connection.open()
        return await self.send(*words)

    def send(self, *words: Word) -> asyncio.Future[Any]:
        """Send a command, together with what others ask in this turn of the event loop.

        Returns:
            Its reply, or the error in its place: also that the connection is closed.
        """
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._send)
        reply: asyncio.Future[Any] = loop.create_future()
        self._gathered.append((reply, words))
        return reply

    async def aclose(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        self._connection.close()

    def _send(self) -> None:
        commands = [(partial(resolve, reply), words) for reply, words in self._gathered]
        self._gathered.clear()
        try:
            self._connection.send_all(commands)
        except redis.exceptions.ConnectionError as error:  # it closed in this turn
            for tell, _ in commands:
                tell(error)
