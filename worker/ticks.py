"""Ticks that all loops of a process share: an idle worker wakes at them, once for all loops that look every so often.

Waking costs more than most looks: the system, the event loop and cold caches take a tenth of a millisecond. Loops that
each look at a moment of their own wake a worker dozens of times a second for nothing. So a loop does not sleep for a
time, but until the last tick within that time. It never looks later than it would, and at first once a little earlier.

There are two ticks a second. A loop that sleeps for a second or longer wakes at every other tick at most.

Redis ends a read that waits in vain when it next has anything to do. That is up to a tenth of a second late. So such a
read ends just before a tick. Then Redis says so together with its replies to what the worker asks at the tick.
"""

import asyncio
import math
import random
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio

_TICK_S: Final = 0.5
_LONG_S: Final = 1.0
_BEFORE_S: Final = 0.005
_IDLE_AFTER_S: Final = 5.0
_PHASE_S: Final = random.random() * _LONG_S  # noqa: S311 - so that workers of one machine do not ask at the same moment


class Idleness:
    """Whether nobody has asked this worker for anything in the last few seconds. Then some looks are further apart.

    Attributes:
        ended: Is called when somebody asks again.
    """

    def __init__(self) -> None:
        """Begin idle."""
        self.ended: Callable[[], None] = lambda: None
        self._begins_at = -math.inf

    @property
    def holds(self) -> bool:
        """Return whether it is idle now."""
        return time.monotonic() >= self._begins_at

    def note_requests(self) -> None:
        """Record that requests have come."""
        was_idle, self._begins_at = self.holds, time.monotonic() + _IDLE_AFTER_S
        if was_idle:
            self.ended()


def tick_within(seconds: float) -> float:
    """Return the last tick within a time from now, on the clock of `time.monotonic` and of the event loop.

    Args:
        seconds: The longest wait; if it is shorter than the time between two ticks, its end is returned.
    """
    end = time.monotonic() + seconds
    if seconds < _TICK_S:
        return end
    apart_s = _TICK_S if seconds < _LONG_S else _LONG_S
    return _PHASE_S + apart_s * math.floor((end - _PHASE_S) / apart_s)


def before_tick_within(seconds: float) -> float:
    """Return the moment just before a tick, the last one within a time from now, on the clock of `time.monotonic`.

    Args:
        seconds: The longest wait; if it is shorter than the time between two ticks, its end is returned.
    """
    return tick_within(seconds + _BEFORE_S) - _BEFORE_S


async def wait_until(event: "anyio.Event | asyncio.Event", deadline: float) -> None:
    """Wait for an event; set it at a deadline. A cancel scope with a deadline takes several times as long.

    Args:
        event: What is waited for, of the running loop.
        deadline: On the clock of `time.monotonic`.
    """
    timers = _timers.setdefault(asyncio.get_running_loop(), {})
    timer = timers.get(deadline) or _Timer(timers, deadline)
    timer.events.append(event)
    try:
        await event.wait()
    finally:
        timer.leave(event)


async def sleep_to_tick(seconds: float) -> None:
    """Sleep until the last tick within a time from now.

    Args:
        seconds: The longest sleep; see `tick_within`.
    """
    await wait_until(asyncio.Event(), tick_within(seconds))


class _Timer:
    """A timer for all that wait until one moment, mostly a tick: to set one takes long."""

    def __init__(self, timers: "dict[float, _Timer]", deadline: float) -> None:
        self.events: list[anyio.Event | asyncio.Event] = []
        self._timers, self._deadline = timers, deadline
        self._handle = asyncio.get_running_loop().call_at(deadline, self._end)
        timers[deadline] = self

    def leave(self, event: "anyio.Event | asyncio.Event") -> None:
        """Stop waiting; a timer that nothing waits for is cancelled."""
        if event in self.events:
            self.events.remove(event)
            if not self.events:
                self._handle.cancel()
                del self._timers[self._deadline]

    def _end(self) -> None:
        del self._timers[self._deadline]
        events, self.events = self.events, []
        for event in events:
            event.set()


_timers: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, _Timer]]" = WeakKeyDictionary()
