"""The notification: messages on the channels named as the weights keys, heard the moment they come.

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
from worker.adapters.redis.replies import misread_as_invalid_response
from worker.core.keys import Keys
from worker.core.weights.values import WRONG_TYPE, is_weights_name, mark_of
from worker.ports import Follow, Notification, Reading

_PING_EVERY_S = 2.0
_PONG_WITHIN_S = 3.0
_MOST_WAITING = 1000


class WeightsListener:
    """Hear of changes over a connection of its own."""

    def __init__(self, client: Client, keys: Keys, reading: DirectConnection, follow: Follow | None) -> None:
        """Take what connects, the names in Redis, the connection that keys are read over, and who takes in values."""
        self._keys = keys
        self._subscription = DirectConnection(client, keys.weights(), on_message=self._on_message)
        self._reading = reading
        self._follow = follow
        self._heard: asyncio.Queue[Notification | Exception] = asyncio.Queue()

    async def listen(self) -> AsyncIterator[Notification]:
        """Subscribe; yield a resync, and then the notifications that nobody took in at once.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        try:
            with redis_errors("subscribing to weights"):
                reply = await self._subscription.call("PSUBSCRIBE", self._keys.weights_pattern)
                self._check(reply, [b"psubscribe", self._keys.weights_pattern.encode(), 1])
            yield Notification(None, resync=True)
            while True:
                if (notification := await self._next()) is not None:
                    yield notification
        finally:
            self._subscription.close()

    async def _next(self) -> Notification | None:
        """Wait for a notification; send a PING now and then, because nothing else reveals a half-open link."""
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

    def _on_message(self, message: Any) -> None:
        """Note the loss of the connection; at a notification, have its key read now."""
        if isinstance(message, Exception):
            self._heard.put_nowait(message)
        elif (notification := self._notification_of(message)) is None:
            return
        elif self._follow is None:
            self._note(notification)
        elif (take_in := self._follow(notification.dataset)) is not None:
            try:
                self._reading.send_with_callback(
                    partial(self._take, notification, take_in), "GET", self._keys.weights(notification.dataset)
                )
            except redis.exceptions.ConnectionError:
                self._note(notification)

    def _take(self, notification: Notification, take_in: Callable[[Reading], bool], reply: Any) -> None:
        """Hand on what the key holds, or note the notification."""
        with misread_as_invalid_response():
            reading = reading_of(reply)
        if reading is None or not take_in(reading):
            self._note(notification)

    def _note(self, notification: Notification) -> None:
        """Let a notification wait until it is asked for; where too many do, one stands for all."""
        if self._heard.qsize() >= _MOST_WAITING:
            while not self._heard.empty():
                self._heard.get_nowait()
            notification = Notification(None, resync=True)
        self._heard.put_nowait(notification)

    def _notification_of(self, message: Sequence[Any]) -> Notification | None:
        with misread_as_invalid_response():
            _, _, channel, _ = message
            name = channel.decode(errors="replace")
        shared = self._keys.weights()
        if name == shared:
            return Notification(None)
        own = name.removeprefix(f"{shared}:")
        return Notification(own) if name != own and is_weights_name(own) else None


def reading_of(reply: Any) -> Reading | None:
    """Read the reply to a GET; None where it is another error than that of a key of another type."""
    if isinstance(reply, BaseException):
        is_refused = isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply)
        return Reading(WRONG_TYPE, None) if is_refused else None
    return Reading(mark_of(reply), reply)
