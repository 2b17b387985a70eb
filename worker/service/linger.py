"""Linger: wait for company before a read, while requests come faster than batches of one are worth.

Theory. A batch costs a + b n, and a is many times b. Requests that come alone each pay a. So the worker may wait a few
milliseconds before it reads again, and answers together what has come meanwhile. Producers of Kafka wait in the same
way (`linger.ms`). Nothing is gained where nothing else comes, or where clients wait for their answers before they ask
again: then waiting holds up the very requests that it waits for. So it is tried, and judged by the rate:

    off      reads wait for nothing. Once the rate promises company within the longest wait, it is tried.
    trying   reads wait, for a window of requests. At nearly the same rate as before, it goes on.
             At a lower one, clients wait for us: it is given up, and tried again after a rest that doubles each time.
    on       reads wait, until the rate falls by a quarter: there are fewer clients, or others that wait for us.
             It also ends now and then, to be tried anew.

A window is so many requests that chance alone rarely makes two rates differ by a quarter. Each has a standard deviation
of 6 % if requests come independently of each other.
"""

from enum import Enum
from typing import Final

_WINDOW: Final = 300  # requests
_KEPT: Final = 0.75  # of a rate: below that, it is another one
_WORTH: Final = 1.0  # further requests within the longest wait, from which on it is tried
_FIRST_REST_S: Final = 1.0
_LONGEST_REST_S: Final = 60.0
_ANEW_S: Final = 30.0


class _State(Enum):
    OFF = "off"
    TRYING = "trying"
    ON = "on"


class Linger:
    """Decides how long to wait before each read. All times are monotonic, in seconds."""

    def __init__(self, longest_s: float) -> None:
        """Begin without waiting.

        Args:
            longest_s: The longest wait; 0: never wait.
        """
        self._longest_s = longest_s
        self._state = _State.OFF
        self._count = 0
        self._began: float | None = None
        self._read_at = 0.0
        self._rate = 0.0  # before it was tried
        self._rest_s = _FIRST_REST_S
        self._next_try = 0.0

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Linger {self._state.value}, at most {self._longest_s:g} s>"

    def wait_s(self, now: float) -> float:
        """Return how long to wait before the next read, >= 0; the time since the last read returned counts.

        Args:
            now: The time.
        """
        return 0.0 if self._state is _State.OFF else max(0.0, self._read_at + self._longest_s - now)

    def note(self, count: int, now: float) -> None:
        """Note that a read has returned.

        Args:
            count: With so many requests.
            now: When.
        """
        self._read_at = now
        if self._longest_s == 0:
            return
        if self._began is None:
            self._began = now  # the requests of this read came before
            return
        self._count += count
        took_s = now - self._began
        is_slower = self._state is not _State.OFF and took_s * self._rate * _KEPT > _WINDOW
        if self._count >= _WINDOW or is_slower:
            self._judge(self._count / took_s if took_s > 0 else float("inf"), now)
            self._count, self._began = 0, now

    def _judge(self, rate: float, now: float) -> None:
        """Go on by the rate of a window, in requests a second."""
        if self._state is _State.OFF:
            if rate * self._longest_s >= _WORTH and now >= self._next_try:
                self._state, self._rate = _State.TRYING, rate
        elif self._state is _State.TRYING:
            if rate >= self._rate * _KEPT:
                self._state, self._rest_s, self._next_try = _State.ON, _FIRST_REST_S, now + _ANEW_S
            else:
                self._state, self._next_try = _State.OFF, now + self._rest_s
                self._rest_s = min(_LONGEST_REST_S, 2 * self._rest_s)
        elif rate < self._rate * _KEPT or now >= self._next_try:
            self._state, self._next_try = _State.OFF, now
