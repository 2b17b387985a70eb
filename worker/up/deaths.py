"""When to give up on a process that is started again each time it dies."""

import time
from typing import Final

from worker.errors import DependencyError

_SOON_S: Final = 60.0
_MOST: Final = 5


class Deaths:
    """The deaths of one process in the last minute."""

    def __init__(self) -> None:
        self._at: list[float] = []

    def note(self, how: str) -> None:
        """Note a death.

        Args:
            how: What died, and what is known of it.

        Raises:
            DependencyError: It has died too often to be started again.
        """
        now = time.monotonic()
        self._at = [*(at for at in self._at if now - at < _SOON_S), now]
        if len(self._at) >= _MOST:
            raise DependencyError(f"{_MOST} times in a minute, {how}")
