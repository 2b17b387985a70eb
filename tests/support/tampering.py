"""What a broken proxy or a confused server does to replies: other ones, torn ones, some twice, in another order.

A link is inspected reply by reply. A reply may be slipped in, doubled or left out. After that, each later reply on the
link comes to another command than its own, until somebody notices.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.support.nonsense import NONSENSE

_CRLF: Final = b"\r\n"
_REMEMBERED: Final = 20
_LONGEST_REMEMBERED: Final = 10_000


class Torn(Exception):  # noqa: N818 - it is an order and no error
    """An order to close a link once something has been passed on.

    Attributes:
        words: What.
    """

    def __init__(self, words: bytes) -> None:
        self.words = words


class Stream:
    """A parser that cuts the bytes of one link into replies; an incomplete reply waits."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, and return the replies that are complete."""
        self._rest += data
        replies, at = [], 0
        while (end := _end_of_reply(self._rest, at)) is not None:
            replies.append(self._rest[at:end])
            at = end
        self._rest = self._rest[at:]
        return replies


class Tamperer:
    """A tamperer that changes one reply in so many at random; equal seeds give equal changes.

    Attributes:
        done: What was done, and how often.
        every: One reply in so many is tampered with; 0: none.
    """

    def __init__(self, seed: int, *, every: int, kinds: tuple[str, ...] = ()) -> None:
        self.done: Counter[str] = Counter()
        self.every = every
        self._chance = random.Random(seed)
        self._streams: dict[object, Stream] = {}
        self._earlier: list[bytes] = []
        self._kinds = {kind: act for kind, act in _KINDS.items() if not kinds or kind in kinds}

    def pass_on(self, link: object, data: bytes) -> bytes:
        """Take what the server said over a link; return what the client is told.

        Raises:
            Torn: The link is to be closed after that.
        """
        told = b""
        replies = self._streams.setdefault(link, Stream()).feed(data)
        while replies:
            reply = replies.pop(0)
            if not self.every or self._chance.random() * self.every >= 1:
                told += reply
            else:
                kind = self._chance.choice(sorted(self._kinds))
                self.done[kind] += 1
                told += self._kinds[kind](self, reply, replies)
                if kind == "truncated":
                    raise Torn(told)
            self._remember(reply)
        return told

    def _remember(self, reply: bytes) -> None:
        if len(reply) <= _LONGEST_REMEMBERED:
            self._earlier = [*self._earlier[1 - _REMEMBERED :], reply]

    def _nonsense(self) -> bytes:
        return self._chance.choice(NONSENSE)

    def _earlier_one(self) -> bytes:
        return self._chance.choice(self._earlier or [b"+OK\r\n"])

    def _swap(self, reply: bytes, replies: list[bytes]) -> bytes:
        """Let the next one pass first; where there is none, an earlier one comes in its place."""
        return replies.pop(0) + reply if replies else self._earlier_one()

    def _garbage(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(1, 40))

    def _truncate(self, reply: bytes) -> bytes:
        return reply[: self._chance.randrange(len(reply))]


_KINDS: Final[dict[str, Callable[[Tamperer, bytes, list[bytes]], bytes]]] = {
    "replaced": lambda tamperer, _, __: tamperer._nonsense(),
    "replaced by an earlier one": lambda tamperer, _, __: tamperer._earlier_one(),
    "nonsense before it": lambda tamperer, reply, _: tamperer._nonsense() + reply,
    "an earlier one before it": lambda tamperer, reply, _: tamperer._earlier_one() + reply,
    "doubled": lambda _, reply, __: reply + reply,
    "swapped": lambda tamperer, reply, replies: tamperer._swap(reply, replies),
    "left out": lambda _, __, ___: b"",
    "truncated": lambda tamperer, reply, _: tamperer._truncate(reply),
    "garbage in it": lambda tamperer, reply, _: tamperer._truncate(reply) + tamperer._garbage(),
}
KINDS: Final = tuple(_KINDS)


def _end_of_reply(data: bytes, at: int) -> int | None:
    """Find where a reply ends that begins at a place; None where it is not complete."""
    left = 1
    while left:
        end = data.find(_CRLF, at)
        if end < 0:
            return None
        kind, words = data[at : at + 1], data[at + 1 : end]
        at = end + len(_CRLF)
        if kind == b"$" and int(words) >= 0:
            at += int(words) + len(_CRLF)
            if at > len(data):
                return None
        left += max(0, int(words)) - 1 if kind == b"*" else -1
    return at
