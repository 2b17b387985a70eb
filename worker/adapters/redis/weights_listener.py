"""The bell: messages on the channels named as the weights keys, heard the moment they come.

A message says that a key may have changed and no more; what it holds is read over another connection, and is handed
on by the callback that receives it: while much else is to be done, each turn of the event loop takes milliseconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.replies import telling_misread
from worker.core.keys import Keys
from worker.core.weights.in_force import WRONG_TYPE, is_weights_name, mark_of
from worker.ports import Bell, Follow, Reading

_PING_EVERY_S = 2.0
_PONG_WITHIN_S = 3.0
_MOST_WAITING = 1000


class RedisBells:
    """Hear of changes over a connection of its own."""

    def __init__(self, client: Client, keys: Keys, reading: DirectConnection, follow: Follow | None) -> None:
        """Take what connects, the names in Redis, the connection that keys are read over, and who takes in values."""
        self._keys = keys
        self._subscription = DirectConnection(client, keys.weights(), hear=self._hear)
        self._reading = reading
        self._follow = follow
        self._heard: asyncio.Queue[Bell | Exception] = asyncio.Queue()

    async def listen(self) -> AsyncIterator[Bell]:
        """Subscribe; yield a resync, and then the bells that nobody took in at once.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        try:
            with redis_errors("subscribing to weights"):
                reply = await self._subscription.call("PSUBSCRIBE", self._keys.weights_pattern)
                self._check(reply, [b"psubscribe", self._keys.weights_pattern.encode(), 1])
            yield Bell(None, resync=True)
            while True:
                if (bell := await self._next()) is not None:
                    yield bell
        finally:
            self._subscription.close()

    async def _next(self) -> Bell | None:
        """Wait for a bell, but not for ever: a half-open link never says anything, unless a PONG is demanded."""
        try:
            async with asyncio.timeout(_PING_EVERY_S):
                heard = await self._heard.get()
        except TimeoutError:
            with redis_errors("PING on the subscription"):
                async with asyncio.timeout(_PONG_WITHIN_S):
                    reply = await self._subscription.send("PING")
                self._check(reply, [b"pong", b""])
            return None
        if isinstance(heard, Exception):
            with redis_errors("a subscription"):
                raise heard
        return heard

    def _check(self, reply: Any, wanted: Sequence[bytes | int]) -> None:
        """Close the subscription where a reply is another than the only one that there is to a command."""
        with self._subscription.closing_if_misread():
            if reply != wanted:
                raise ValueError("another one was expected")

    def _hear(self, message: Any) -> None:
        """Note the loss of the connection; at a bell, have its key read now."""
        if isinstance(message, Exception):
            self._heard.put_nowait(message)
        elif (bell := self._bell(message)) is None:
            return
        elif self._follow is None:
            self._note(bell)
        elif (take_in := self._follow(bell.dataset)) is not None:
            try:
                self._reading.ask(partial(self._take, bell, take_in), "GET", self._keys.weights(bell.dataset))
            except redis.exceptions.ConnectionError:
                self._note(bell)

    def _take(self, bell: Bell, take_in: Callable[[Reading], bool], reply: Any) -> None:
        """Hand on what the key holds, or note the bell."""
        with telling_misread():
            reading = reading_of(reply)
        if reading is None or not take_in(reading):
            self._note(bell)

    def _note(self, bell: Bell) -> None:
        """Let a bell wait until it is asked for; where too many do, one stands for all."""
        if self._heard.qsize() >= _MOST_WAITING:
            while not self._heard.empty():
                self._heard.get_nowait()
            bell = Bell(None, resync=True)
        self._heard.put_nowait(bell)

    def _bell(self, message: Sequence[Any]) -> Bell | None:
        with telling_misread():
            _, _, channel, _ = message
            name = channel.decode(errors="replace")
        shared = self._keys.weights()
        if name == shared:
            return Bell(None)
        own = name.removeprefix(f"{shared}:")
        return Bell(own) if name != own and is_weights_name(own) else None


def reading_of(reply: Any) -> Reading | None:
    """Read the reply to a GET; None where it is another error than that of a key of another type."""
    if isinstance(reply, BaseException):
        is_refused = isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply)
        return Reading(WRONG_TYPE, None) if is_refused else None
    return Reading(mark_of(reply), reply)
