"""What browsers share that look at the same: the newest of each kind of event, encoded once."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.desk.answers import encode

_POINT: Final = "point"
_AT: Final = "at_ms"


class Channel:
    """The newest events of what is looked at.

    Attributes:
        watchers: How many browsers look at it.
        turn: Where phases and points were when phases were last shown.
    """

    def __init__(self, series: Callable[[], Mapping[str, Any]]) -> None:
        """Begin without an event.

        Args:
            series: Returns all points so far, for browsers that come, or have missed some.
        """
        self.watchers = 0
        self.turn: tuple[int, int] | None = None
        self._series = series
        self._encoded_series = (-1, b"")
        self._newest: dict[str, tuple[int, bytes]] = {_POINT: (0, b"")}
        self._shown: dict[str, Mapping[str, Any]] = {}
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        numbers = {kind: number for kind, (number, _) in self._newest.items()}
        return f"<Channel: {self.watchers} watch, {numbers}>"

    @property
    def has_shown(self) -> bool:
        """Return whether it has shown anything."""
        return bool(self._shown)

    def show(self, kind: str, document: Mapping[str, Any]) -> None:
        """Show a document to all who watch, if more than its time is new.

        Args:
            kind: The kind of event.
            document: The document.
        """
        compared = {name: value for name, value in document.items() if name != _AT}
        if self._shown.get(kind) != compared:
            self._shown[kind] = compared
            self._put(kind, self._newest.get(kind, (0, b""))[0] + 1, document)

    def show_point(self, number: int, point: Mapping[str, Any]) -> None:
        """Show a point to all who watch, if it is new.

        Args:
            number: How many points there have been.
            point: The newest one.
        """
        if number != self._newest[_POINT][0]:
            self._put(_POINT, number, point)

    def news(self, sent: dict[str, int]) -> bytes:
        """Return the events that a browser has not been sent yet; empty if there are none.

        Args:
            sent: Kind -> number of the newest event that it was sent. It is brought up to date.
        """
        parts = []
        for kind, (number, text) in self._newest.items():
            before = sent.get(kind)
            if number != before:
                is_next = kind != _POINT or (before is not None and number == before + 1)
                parts.append(text if is_next else self._all_points(number))
                sent[kind] = number
        return b"".join(parts)

    async def wait(self, timeout_s: float) -> bool:
        """Wait for an event; return whether one came in time.

        Args:
            timeout_s: Longest wait.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake up all who wait."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _put(self, kind: str, number: int, document: Mapping[str, Any]) -> None:
        self._newest[kind] = number, event(kind, document)
        self.wake()

    def _all_points(self, number: int) -> bytes:
        if self._encoded_series[0] != number:
            self._encoded_series = number, event("series", self._series())
        return self._encoded_series[1]


def event(kind: str, document: Mapping[str, Any]) -> bytes:
    """Write an event as a stream of events holds it."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode(document))


def beat() -> bytes:
    """Write the heartbeat event: the desk is there, and nothing is new."""
    return event("beat", {_AT: time.time_ns() // 1_000_000})
