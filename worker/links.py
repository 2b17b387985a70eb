"""Whether the servers answer: one event when a link is lost, one when it is restored, and back-off between."""

import random
import time
from collections.abc import Callable

import anyio

from worker.core.events import Event
from worker.logs import emit

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0


class Link:
    """Watch one server on behalf of every loop that talks to it.

    The link is lost from the first loop's failure until every loop that failed has succeeded again.
    """

    def __init__(self, lost: Callable[[str], Event], restored: Callable[[float], Event]) -> None:
        """Take what to emit.

        Args:
            lost: Makes the event of a loss from the failure's sentence.
            restored: Makes the event of a recovery from the seconds it took.
        """
        self._make_lost = lost
        self._make_restored = restored
        self._failures: dict[str, int] = {}
        self._lost_at = 0.0

    @property
    def is_up(self) -> bool:
        """Tell whether no loop is failing."""
        return not self._failures

    async def failed(self, loop: str, message: str) -> None:
        """Note that a loop failed, and wait before it tries again: exponential back-off with full jitter."""
        if self.is_up:
            self._lost_at = time.monotonic()
            emit(self._make_lost(message))
        failures = self._failures[loop] = self._failures.get(loop, 0) + 1
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures, 10))
        await anyio.sleep(random.uniform(_FIRST_WAIT_S, longest))  # noqa: S311 - jitter is no secret

    def succeeded(self, loop: str) -> None:
        """Note that a loop got an answer."""
        if self._failures.pop(loop, None) is not None and self.is_up:
            emit(self._make_restored(time.monotonic() - self._lost_at))
