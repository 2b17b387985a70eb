"""Notifications: messages on the channels named as the weights keys, followed in the moment they come.

A message says no more than that a key may have changed. The key is read over another connection, and the callback that
receives its value puts it in force. Under load each turn of the event loop takes milliseconds, which this saves.
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
from worker.core.weights.in_force import is_weights_name
from worker.ports import Follower, Notification, Reading
from worker.ticks import tick_within

_PING_EVERY_S = 2.0
_PONG_WITHIN_S = 3.0
_MOST_WAITING = 1000
_RESYNC = Notification(None, resync=True)
ReadAtOnce = Callable[[str | None, Callable[[Reading | None], None]], None]


class WeightsListener:
    """A subscription to all weights keys, over a connection of its own."""

    def __init__(self, client: Client, keys: Keys, read_at_once: ReadAtOnce, follower: Follower | None) -> None:
        """Subscribe later, when `listen` runs.

        Args:
            client: Opens the connection.
            keys: Names in Redis.
            read_at_once: See `worker.adapters.redis.weights.RedisWeights.read_at_once`.
            follower: Who wants readings at once; None: every notification is yielded.
        """
        self._keys = keys
        self._subscription = DirectConnection(client, keys.weights(), on_message=self._receive)
        self._read_at_once = read_at_once
        self._follower = follower
        self._waiting: asyncio.Queue[Notification | Exception] = asyncio.Queue()

    async def listen(self) -> AsyncIterator[Notification]:
        """Subscribe; yield a resync, then each notification that the follower did not accept.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        try:
            with redis_errors("subscribing to weights"):
                reply = await self._subscription.call("PSUBSCRIBE", self._keys.weights_pattern)
                self._check(reply, [b"psubscribe", self._keys.weights_pattern.encode(), 1])
            yield _RESYNC
            while True:
                if (notification := await self._next()) is not None:
                    yield notification
        finally:
            self._subscription.close()

    async def _next(self) -> Notification | None:
        """Wait for a notification; send a PING now and then, because nothing else reveals a half-open link."""
        try:
            async with asyncio.timeout_at(tick_within(_PING_EVERY_S)):
                received = await self._waiting.get()
        except TimeoutError:
            with redis_errors("PING on the subscription"):
                async with asyncio.timeout(_PONG_WITHIN_S):
                    reply = await self._subscription.send("PING")
                self._check(reply, [b"pong", b""])
            return None
        if isinstance(received, Exception):
            with redis_errors("a subscription"):
                raise received
        return received

    def _check(self, reply: Any, wanted: Sequence[bytes | int]) -> None:
        """Close the subscription if a command's reply is not the only one that it can have."""
        with self._subscription.closing_if_misread():
            if reply != wanted:
                raise ValueError("another one was expected")

    def _receive(self, message: Any) -> None:
        """Read the key of a message at once, or queue its notification; queue the loss of the connection."""
        if isinstance(message, Exception):
            self._waiting.put_nowait(message)
        elif (notification := self._notification(message)) is None:
            return
        elif self._follower is None:
            self._queue(notification)
        elif self._follower.follows(notification.dataset):
            try:
                self._read_at_once(notification.dataset, partial(self._hand_on, self._follower, notification))
            except redis.exceptions.ConnectionError:
                self._queue(notification)

    def _hand_on(self, follower: Follower, notification: Notification, reading: Reading | None) -> None:
        """Hand a reading to the follower; queue the notification if there is none, or it is not accepted."""
        if reading is None or not follower.accept(notification.dataset, reading):
            self._queue(notification)

    def _queue(self, notification: Notification) -> None:
        """Let a notification wait for `listen`; if too many wait, a resync replaces them all."""
        if self._waiting.qsize() >= _MOST_WAITING:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            notification = _RESYNC
        self._waiting.put_nowait(notification)

    def _notification(self, message: Sequence[Any]) -> Notification | None:
        """Read a message; None if its channel is not named as a weights key."""
        with misread_as_invalid_response():
            _, _, channel, _ = message
            name = channel.decode(errors="replace")
        shared = self._keys.weights()
        if name == shared:
            return Notification(None)
        own = name.removeprefix(f"{shared}:")
        return Notification(own) if name != own and is_weights_name(own) else None
