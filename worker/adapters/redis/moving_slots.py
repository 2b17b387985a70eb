"""What a connection does while a slot of a cluster is moved, and afterwards.

Theory:

- A slot that is moved key by key has its keys on two nodes for a while. The old node answers ASK to a command if it has
  none of the command's keys. It answers TRYAGAIN if it has some of them.
- One script settles all that a request needs, and all its keys must be on one node. So nothing can be answered until
  they are together again, whichever node is asked.
- ASK would lead the script to the new node before all keys are there. The script looks at weights and at bounds of
  rules that are not among its KEYS. One that has not come yet looks like one that was never set. Then a batch could be
  drawn under weights that are not in force any more. So a command is never sent after its keys: it waits for them.
- A command that got one of these answers did nothing, so it can be sent again. It is sent every few milliseconds, to
  the old node. Once the slot is handed over, the old node answers MOVED, and names the new one. This closes the
  connection, and the next one is opened there.
- A slot that Valkey 9 moves (CLUSTER MIGRATESLOTS) is on one node at any time. A client sees nothing of the move but
  MOVED.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import redis.exceptions
from redis.asyncio import RedisCluster

from worker.adapters.redis.resp_protocol import Word

_AGAIN_S: Final = 0.005
_SPLIT: Final = (redis.exceptions.AskError, redis.exceptions.TryAgainError)
_GONE: Final = "non local key"  # a key that a script reads without naming it is on the other node


class Sender(Protocol):
    """Sends commands over one open connection.

    Attributes:
        is_open: Whether it is open.
        end: What closed it.
        timeout_s: Longest wait for a reply, in seconds.
    """

    is_open: bool
    end: Exception | None
    timeout_s: float

    def send(self, callback: Callable[[Any], None], words: tuple[Word, ...]) -> None:
        """Send a command; call back with its reply, or with the error in its place."""


class Patient:
    """Receives the reply to a command; sends the command again while its keys are on two nodes."""

    def __init__(self, sender: Sender, callback: Callable[[Any], None], words: tuple[Word, ...]) -> None:
        """Begin the time in which it may be sent again: that of a reply.

        Args:
            sender: Sends it.
            callback: Receives the reply that counts.
            words: The command.
        """
        self._sender = sender
        self._callback = callback
        self._words = words
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + sender.timeout_s

    def __call__(self, answer: Any) -> None:
        """Hand the reply on, or wait."""
        if _is_split(answer) and self._loop.time() < self._until:
            self._loop.call_later(_AGAIN_S, self._send_again)
        else:
            self._callback(answer)

    def _send_again(self) -> None:
        if self._sender.is_open:
            self._sender.send(self, self._words)
        else:
            self._callback(self._sender.end)


async def follow(cluster: RedisCluster, end: Exception | None) -> None:
    """Learn where slots are, after a connection has closed.

    Args:
        cluster: The client that knows.
        end: What closed the connection.

    Raises:
        redis.exceptions.RedisError: No node says where slots are.
    """
    if isinstance(end, redis.exceptions.MovedError):
        await cluster.nodes_manager.move_slot(end)
    else:
        await cluster.nodes_manager.initialize()


def _is_split(answer: Any) -> bool:
    if not isinstance(answer, redis.exceptions.ResponseError) or isinstance(answer, redis.exceptions.MovedError):
        return False
    return isinstance(answer, _SPLIT) or _GONE in str(answer)
