"""How often something is read: the dearer it is, the more rarely."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_REST: Final = 50.0  # times as long as reading took: so that it takes at most 2 % of the time


class Pace:
    """The time at which something is due again."""

    def __init__(self, least_s: float) -> None:
        """Begin with what is due at once.

        Args:
            least_s: Shortest pause between two readings, in seconds.
        """
        self._least_s = least_s
        self._due_s = 0.0
        self.pause_s = least_s
        """How long it is read no more after a reading, in seconds."""

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Pace, every {self.pause_s:.1f} s>"

    @property
    def is_due(self) -> bool:
        """Return whether it is to be read now."""
        return time.monotonic() >= self._due_s

    def hurry(self) -> None:
        """Let it be due at once."""
        self._due_s = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Read in the block; a reading that fails is one, too."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(time.monotonic() - began)

    def took(self, seconds: float) -> None:
        """Note that it was read now, and how long that took."""
        self.pause_s = max(self._least_s, _REST * seconds)
        self._due_s = time.monotonic() + self.pause_s
