"""Send reports of losses over a client's connection, and let none be cut off when the client is closed."""

import asyncio
from collections.abc import Sequence

from worker.adapters.redis.client import Client
from worker.adapters.redis.feedback import add_report
from worker.core.keys import Keys


class ReportSender:
    """Sends reports one after the other, each once.

    Where no answer comes nobody knows whether a report was stored, and it is not sent again.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._sending: set[asyncio.Task[str]] = set()
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        """Show how many reports are on their way."""
        return f"<ReportSender: {len(self._sending)} on their way>"

    def submit(self, words: Sequence[str | int]) -> "asyncio.Task[str]":
        """Send a report, and return the future of its entry.

        Args:
            words: Its fields and values in turn.
        """
        task = asyncio.create_task(self._add(words))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def send(self, words: Sequence[str | int]) -> str:
        """Send a report, and return its entry.

        Args:
            words: Its fields and values in turn.

        Raises:
            RefusedError: Redis refused it, and will again.
            RedisError: Redis did not answer.
        """
        return await self.submit(words)

    async def finish(self, timeout_s: float) -> None:
        """Wait until all reports are stored, or refused.

        Args:
            timeout_s: At most this long; those that are still on their way then are cancelled.
        """
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=timeout_s)
            for task in late:
                task.cancel()

    async def _add(self, words: Sequence[str | int]) -> str:
        async with self._turn:  # each in a hurry of its own would take a connection of its own
            return await add_report(self._client, self._keys, words)
