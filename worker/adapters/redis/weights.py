"""Weights in Redis: the key is the truth; a message on the channel of the same name only notifies of a change."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.replies import misread_as_invalid_response
from worker.adapters.redis.weights_listener import WeightsListener
from worker.core.keys import Keys
from worker.core.weights.in_force import WRONG_TYPE, mark_of
from worker.ports import Follower, Notification, Reading

_SET: Final = files("worker.adapters.redis").joinpath("scripts", "weights_set.lua").read_text()


class RedisWeights:
    """Reads weights, and listens for their changes.

    All readings go over one connection, and each gets a number when it is sent. Redis answers a connection in the order
    of its commands, so a reading with a higher number is never older than one with a lower number.
    `worker.adapters.redis.weights_writer` makes the changes that people see.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._connection = DirectConnection(client, keys.weights())
        self._orders = itertools.count(1)

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        """Read the keys of some datasets; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("reading the weights"):
            await self._connection.open()
            order = next(self._orders)
            replies = [self._connection.send("GET", self._keys.weights(dataset)) for dataset in datasets]
            found = await asyncio.gather(*replies, return_exceptions=True)
            with self._connection.closing_if_misread():
                return [_read(reply, order) for reply in found]

    def read_at_once(self, dataset: str | None, callback: Callable[[Reading | None], None]) -> None:
        """Read a key now, and call back in the moment its value comes.

        Args:
            dataset: Whose key; None for the global one.
            callback: Receives the reading; None: Redis did not answer, or refused. It must not raise.

        Raises:
            redis.exceptions.ConnectionError: The connection for readings is closed.
        """
        order = next(self._orders)

        def receive(reply: Any) -> None:
            with misread_as_invalid_response():
                reading = _try_to_read(reply, order)
            callback(reading)

        self._connection.send_with_callback(receive, "GET", self._keys.weights(dataset))

    def close(self) -> None:
        """Close the connection that keys are read over; it is opened again when it is needed."""
        self._connection.close()

    async def store_quietly(self, dataset: str | None, value: str) -> None:
        """Store weights and notify workers in one step, without an entry in the history.

        Args:
            dataset: Whose weights; None for the global ones.
            value: The JSON object.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("storing weights"):
            await self._client.execute_command("EVAL", _SET, 1, self._keys.weights(dataset), value)

    async def remove(self, dataset: str) -> None:
        """Remove a dataset's weights and notify workers.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.weights(dataset)
        with redis_errors("removing weights"):
            await self._client.delete(key)
            await self._client.publish(key, "")

    def notifications(self, follower: Follower | None = None) -> AsyncIterator[Notification]:
        """Subscribe; yield a resync for each subscription, and a notification for each message.

        Args:
            follower: Gets the keys of the datasets that it follows read at once. Only what it does not accept is
                yielded then.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        return WeightsListener(self._client, self._keys, self.read_at_once, follower).listen()


def _try_to_read(reply: Any, order: int) -> Reading | None:
    """Read the reply to a GET; None for any error but that of a key of another type."""
    if isinstance(reply, BaseException):
        is_other_type = isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply)
        return Reading(WRONG_TYPE, None, order) if is_other_type else None
    return Reading(mark_of(reply), reply, order)


def _read(reply: Any, order: int) -> Reading:
    reading = _try_to_read(reply, order)
    if reading is None:
        raise reply
    return reading
