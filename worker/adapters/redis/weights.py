"""Weights in Redis: the key is the truth; a message on the channel of the same name only notifies of a change."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.replies import closing_if_misread, gathered, misread_as_invalid_response, text_of
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.weights.history import Authorship, read_digits
from worker.core.weights.in_force import WRONG_TYPE, mark_of
from worker.ports import Follower, Notification, Reading

_SET: Final = read_script("weights_set.lua")
_AUTHORS: Final = read_script("history_authors.lua")
_MOST_ENTRIES = 256  # of the history, read at once


class RedisWeights:
    """Reads weights, and listens for their changes.

    All readings go over one connection, and each gets a number when it is sent. Redis answers a connection in the order
    of its commands. So a reading with a higher number is never older than one with a lower number.
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
            try:
                return await self._read_now(datasets)
            except redis.exceptions.MovedError:
                return await self._read_now(datasets)  # a connection that is opened after MOVED leads to the new node

    async def _read_now(self, datasets: Sequence[str | None]) -> list[Reading]:
        await self._connection.open()
        order = next(self._orders)
        replies = [self._connection.send("GET", self._keys.weights(dataset)) for dataset in datasets]
        found = await gathered(replies)
        with self._connection.closing_if_misread():
            return [_read(reply, order) for reply in found]

    async def now_ms(self) -> int:
        """Return the Unix time in ms by the clock of the server that holds the weights; any role may ask for it.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("TIME"):
            await self._connection.open()
            reply = await self._connection.send("TIME")
            with self._connection.closing_if_misread():
                seconds, microseconds = map(int, reply)
        return seconds * 1000 + microseconds // 1000

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

    async def authorships(
        self, after: str, newest_of: Sequence[str | None] = (), *, most: int = _MOST_ENTRIES
    ) -> list[Authorship]:
        """Read who made the changes of weights, by the history, the newest first.

        Args:
            after: Read all entries after this one.
            newest_of: Of each of these weights names that is not among them, read the newest entry before, too.
            most: Most entries to look at.

        Raises:
            RefusedError: Redis refused.
            RedisError: Redis did not answer.
        """
        names = [name or "" for name in newest_of]
        with redis_refusals(f"reading {self._keys.history}"):
            found: Any = await self._client.execute_command(
                "EVAL", _AUTHORS, 1, self._keys.history, most, after, *names
            )
            async with closing_if_misread(self._client):
                return [_read_authorship([text_of(word) for word in entry]) for entry in found]

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
        """Remove a dataset's weights and notify workers in one step.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("removing weights"):
            await self._client.execute_command("EVAL", _SET, 1, self._keys.weights(dataset))

    def notifications(self, follower: Follower | None = None) -> AsyncIterator[Notification]:
        """Subscribe; yield a resync for each subscription, and a notification for each message.

        Args:
            follower: Gets the keys of the datasets that it follows read at once. Only what it does not accept is
                yielded then.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        from worker.adapters.redis.weights_listener import WeightsListener  # noqa: PLC0415 - verbs that only read or write

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


def _read_authorship(words: Sequence[str]) -> Authorship:
    """Read one entry as the script writes it."""
    entry, name, mark, who, reason, until = words
    return Authorship(entry, name or None, mark.encode(), who, reason, read_digits(until))
