"""Weights in Redis: the key is the truth, the message on the channel of the same name is the bell."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis_client import Client, redis_errors
from worker.adapters.redis_direct import DirectConnection
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.weights import ABSENT, WRONG_TYPE, mark_of, preset_name
from worker.errors import RedisError
from worker.ports import Bell, Reading

_PING_EVERY_S = 2.0
_PONG_WITHIN_S = 3.0
_HISTORY_MAXLEN = 10_000
_SET: Final = files("worker.adapters").joinpath("weights_set.lua").read_text()


class RedisWeights:
    """Read and write weights, and hear of their changes."""

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
        with redis_errors("GET of weights"):
            await self._reading.open()
            replies = [self._reading.send("GET", self._keys.weights(dataset)) for dataset in datasets]
            return [_reading(reply) for reply in await asyncio.gather(*replies, return_exceptions=True)]

    def close(self) -> None:
        """Close the connection that keys are read over; it is opened again when it is needed."""
        self._reading.close()

    async def store(self, dataset: str | None, value: str, note: Mapping[str, str]) -> str | None:
        """Store weights, note the change in the history and ring the bell, in one step.

        Args:
            dataset: Whose weights; None for the global ones.
            value: The JSON object.
            note: Further fields of the history: who, why.

        Returns:
            The value before; None when there was none.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        fields = [text for pair in {"dataset": dataset or "", **note}.items() for text in pair]
        keys = (self._keys.weights(dataset), self._keys.history)
        with redis_errors("the weights script"):
            before: bytes | None = await self._client.execute_command(
                "EVAL", _SET, len(keys), *keys, value, _HISTORY_MAXLEN, *fields
            )
        return None if before is None else before.decode(errors="replace")

    async def store_quietly(self, dataset: str, value: str) -> None:
        """Store a dataset's weights and ring the bell in one step, without a note in the history.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("the weights script"):
            await self._client.execute_command("EVAL", _SET, 1, self._keys.weights(dataset), value)

    async def remove(self, dataset: str) -> None:
        """Remove a dataset's weights and ring the bell.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.weights(dataset)
        with redis_errors("DEL of weights"):
            await self._client.delete(key)
            await self._client.publish(key, "")

    async def bells(self) -> AsyncIterator[Bell]:
        """Subscribe and yield a bell for each message, and a resync for each (re)subscription.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        pubsub: Any = self._client.pubsub()
        try:
            with redis_errors("PSUBSCRIBE"):
                await pubsub.psubscribe(self._keys.weights_pattern)
            async for message in _listen(pubsub):
                # redis-py subscribes again by itself and says nothing: this confirmation is the only trace.
                if message["type"] == "psubscribe":
                    yield Bell(None, resync=True)
                elif message["type"] == "pmessage" and (bell := self._bell(message["channel"])):
                    yield bell
        finally:
            await pubsub.aclose()

    def _bell(self, channel: bytes) -> Bell | None:
        shared = self._keys.weights()
        name = channel.decode(errors="replace")
        if name == shared:
            return Bell(None)
        own = name.removeprefix(f"{shared}:")
        return Bell(own) if name != own and NAME_PATTERN.fullmatch(own.removeprefix(preset_name(""))) else None


async def _listen(pubsub: Any) -> AsyncIterator[Mapping[str, Any]]:
    """Yield messages; a half-open link never ends a wait by itself, so that a PONG is demanded now and then."""
    pinged_at: float | None = None
    heard_at = time.monotonic()
    while True:
        with redis_errors("a subscription"):
            message = await pubsub.get_message(timeout=_PING_EVERY_S)
        now = time.monotonic()
        if message is not None:
            pinged_at, heard_at = None, now
            yield message
        elif pinged_at is not None and now - pinged_at >= _PONG_WITHIN_S:
            raise RedisError("Redis did not answer PING on the subscription")
        elif pinged_at is None and now - heard_at >= _PING_EVERY_S / 2:
            with redis_errors("PING"):
                await pubsub.ping()
            pinged_at = now


def reading(mark: bytes, value: bytes) -> Reading:
    """Read what a script tells of a key: the mark of what it holds, and its value where it has one."""
    return Reading(mark, None if mark in (ABSENT, WRONG_TYPE) else value)


def _reading(reply: Any) -> Reading:
    if isinstance(reply, BaseException):
        if isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply):
            return Reading(WRONG_TYPE, None)
        raise reply
    return Reading(mark_of(reply), reply)
