"""How late the event loop runs what is due: whatever blocks it delays every request of the worker.

Theory. The loop goes round: it runs all that is ready, and then waits in its selector. What becomes due while it runs
waits until the round is over. So the longest round is the largest delay, and every round is measured. A wait that ends
later than the selector was told is a delay, too: the system had no core for this process. No timer takes part, so an
idle worker is not woken for it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_RECENT_S: Final = 5.0
_SLICE_S: Final = 1.0


class LoopLag:
    """The largest delay of an interval, and of the last few seconds, in slices of about a second."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._slice_s = 0.0
        self._slice_began = time.monotonic()
        self._recent: deque[tuple[float, float]] = deque()  # when a slice ended, and its largest delay
        self._interval_s = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the running loop while the block runs."""
        selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        select, clock = selector.select, time.monotonic
        returned = clock()

        def timed(timeout: float | None = None) -> Any:
            nonlocal returned
            called = clock()
            late_s = called - returned
            events = select(timeout)
            returned = clock()
            if timeout is not None:
                late_s = max(late_s, returned - called - timeout)
            if late_s > self._slice_s:  # noqa: PLR1730 - each round of the loop comes here
                self._slice_s = late_s
            return events

        selector.select = timed
        try:
            yield
        finally:
            if selector.select is timed:  # else a later measurement goes on through this one
                selector.select = select

    @property
    def recent_ms(self) -> float:
        """Return the largest delay of about the last 5 s, in ms."""
        now = time.monotonic()
        if now >= self._slice_began + _SLICE_S:
            self._end_slice(now)
        return 1000 * max([self._slice_s, *(delay_s for ended, delay_s in self._recent if ended > now - _RECENT_S)])

    def begin_interval(self) -> float:
        """Return the largest delay, in ms, of the interval that ends now, and begin the next one."""
        self._end_slice(time.monotonic())
        ended, self._interval_s = self._interval_s, 0.0
        return 1000 * ended

    def _end_slice(self, now: float) -> None:
        """End the slice, which is part of the interval and of the last few seconds."""
        self._interval_s = max(self._interval_s, self._slice_s)
        self._recent.append((now, self._slice_s))
        while self._recent[0][0] <= now - _RECENT_S:
            self._recent.popleft()
        self._slice_s, self._slice_began = 0.0, now
