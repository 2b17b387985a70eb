"""A client of one connection, for what a worker asks every second, whether or not there is anything to do.

A command takes a fifth of the time that redis-py takes for it. An idle worker does little else than to ask.
"""

from typing import Any

from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.resp_protocol import Word


class LightClient:
    """Sends single commands over a connection that others use, too."""

    def __init__(self, connection: DirectConnection) -> None:
        """Take a connection."""
        self._connection = connection

    async def execute_command(self, *words: Word) -> Any:
        """Send a command and return its reply.

        Raises:
            redis.exceptions.RedisError: The server could not be reached, did not answer in time, or refused.
            OSError: The server could not be reached.
        """
        return await self._connection.call(*words)

    async def aclose(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        self._connection.close()
