"""How late the event loop runs what is due: whatever blocks it delays every request of the worker."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_EVERY_S: Final = 0.1
_RECENT: Final = 50  # calls, of about 5 s


class LoopLag:
    """A timer that compares when it was due with when it was called."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._recent_s: deque[float] = deque(maxlen=_RECENT)
        self._largest_s = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure while the block runs."""
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle

        def call(due: float) -> None:
            nonlocal handle
            late_s = max(0.0, loop.time() - due)
            self._recent_s.append(late_s)
            self._largest_s = max(self._largest_s, late_s)
            handle = arm()

        def arm() -> asyncio.TimerHandle:
            due = loop.time() + _EVERY_S
            return loop.call_at(due, call, due)

        handle = arm()
        try:
            yield
        finally:
            handle.cancel()

    @property
    def recent_ms(self) -> float:
        """Return the largest delay of about the last 5 s, in ms."""
        return 1000 * max(self._recent_s, default=0.0)

    def begin_interval(self) -> float:
        """Return the largest delay, in ms, of the interval that ends now, and begin the next one."""
        ended, self._largest_s = self._largest_s, 0.0
        return 1000 * ended
