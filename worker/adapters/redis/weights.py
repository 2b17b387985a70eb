"""Weights in Redis: the key is the truth, the message on the channel of the same name is the bell."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Any, Final

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.weights_listener import RedisBells, reading_of
from worker.core.keys import Keys
from worker.core.weights.in_force import ABSENT, WRONG_TYPE
from worker.ports import Bell, Follow, Reading

_SET: Final = files("worker.adapters.redis").joinpath("scripts", "weights_set.lua").read_text()


class RedisWeights:
    """Read weights, and hear of their changes; `worker.adapters.redis.weights_writer` makes those that people see."""

    def __init__(self, client: Client, keys: Keys) -> None:
        """Take a connection and the names in Redis."""
        self._client = client
        self._keys = keys
        self._reading = DirectConnection(client, keys.weights())

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        """Read the keys of some datasets; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("reading the weights"):
            await self._reading.open()
            replies = [self._reading.send("GET", self._keys.weights(dataset)) for dataset in datasets]
            found = await asyncio.gather(*replies, return_exceptions=True)
            with self._reading.closing_if_misread():
                return [_read(reply) for reply in found]

    def close(self) -> None:
        """Close the connection that keys are read over; it is opened again when it is needed."""
        self._reading.close()

    async def store_quietly(self, dataset: str | None, value: str) -> None:
        """Store weights and ring the bell in one step, without a note in the history.

        Args:
            dataset: Whose weights; None for the global ones.
            value: The JSON object.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("storing weights"):
            await self._client.execute_command("EVAL", _SET, 1, self._keys.weights(dataset), value)

    async def remove(self, dataset: str) -> None:
        """Remove a dataset's weights and ring the bell.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.weights(dataset)
        with redis_errors("removing weights"):
            await self._client.delete(key)
            await self._client.publish(key, "")

    def bells(self, follow: Follow | None = None) -> AsyncIterator[Bell]:
        """Subscribe and yield a bell for each message, and a resync for each (re)subscription.

        Args:
            follow: Is asked at each bell who takes in what the key holds; only what nobody takes in is yielded then.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        return RedisBells(self._client, self._keys, self._reading, follow).listen()


def reading(mark: bytes, value: bytes) -> Reading:
    """Read what a script tells of a key: the mark of what it holds, and its value where it has one."""
    return Reading(mark, None if mark in (ABSENT, WRONG_TYPE) else value)


def _read(reply: Any) -> Reading:
    found = reading_of(reply)
    if found is None:
        raise reply
    return found
