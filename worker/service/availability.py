"""Whether a server answers: one event when it is lost, one when it is back, and back-off in between."""

import random
import re
import time
from collections.abc import Callable

import anyio

from worker.core.events import Event
from worker.logs.emit import emit

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0
_AGAIN_S = 5.0  # shortest time until a loss is logged again with another cause
_SILENT = re.compile(r"time(d )?out|no (reply|answer)|Err(no|or) 110\b", re.IGNORECASE)
_AWAY = re.compile(
    r"Err(no|or) (111|104|32)\b|clos(ed|ing)|connection (was )?lost|reset by peer"
    r"|is it running|terminating connection|starting up|shutting down",
    re.IGNORECASE,
)
_NAMES_AND_NUMBERS = re.compile(r"""(Err(?:no|or) -?\d+)|'[^']*'|"[^"]*"|\d+""")


class Availability:
    """The availability of one server, for every loop that talks to it.

    The server is lost from the first failure of a loop until every loop that failed has succeeded again. Meanwhile the
    loss is logged again when its cause changes: when a loop fails for another reason than when the loss was logged
    last. Reasons of different loops are never compared, as each loop words the same cause in its own way.
    """

    def __init__(self, lost: Callable[[str], Event], restored: Callable[[float], Event]) -> None:
        """Choose the events.

        Args:
            lost: Makes the event of a loss from the message of the failure.
            restored: Makes the event of a recovery from the length of the loss, in seconds.
        """
        self._make_lost = lost
        self._make_restored = restored
        self._failures: dict[str, int] = {}
        self._causes: dict[str, str] = {}  # loop -> why it failed when the loss was logged last, or first since then
        self._logged = ""
        self._lost_at = self._logged_at = 0.0

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return "<Availability up>" if self.is_up else f"<Availability down, failures: {self._failures}>"

    @property
    def is_up(self) -> bool:
        """Return whether no loop is failing."""
        return not self._failures

    async def failed(self, loop: str, message: str) -> None:
        """Record a failure of a loop, and wait before it tries again: exponential back-off with full jitter."""
        self._log_loss(loop, message)
        failures = self._failures[loop] = self._failures.get(loop, 0) + 1
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures, 10))
        await anyio.sleep(random.uniform(_FIRST_WAIT_S, longest))  # noqa: S311 - jitter is no secret

    def succeeded(self, loop: str) -> None:
        """Record that a loop got an answer."""
        self._causes.pop(loop, None)
        if self._failures.pop(loop, None) is not None and self.is_up:
            emit(self._make_restored(time.monotonic() - self._lost_at))

    def _log_loss(self, loop: str, message: str) -> None:
        """Log a loss that is new, or that has another cause now."""
        now, cause = time.monotonic(), cause_of(message)
        is_other = self._causes.setdefault(loop, cause) != cause and self._logged != cause
        if self.is_up:
            self._lost_at = now
        elif not is_other or now < self._logged_at + _AGAIN_S:
            return
        self._causes, self._logged, self._logged_at = {loop: cause}, cause, now
        emit(self._make_lost(message))


def cause_of(message: str) -> str:
    """Return the cause in a failure's message, without the operation and without names and numbers.

    All messages of a server that is gone have one cause: when it stops, it closes the connection and then refuses new
    ones. A server that is silent has another cause: it hangs, or the network loses what is sent.

    Args:
        message: The message of a `RedisError` or a `PostgresError`.
    """
    said = message.partition(": ")[2] or message
    if _SILENT.search(said):
        return "silent"
    return "away" if _AWAY.search(said) else _NAMES_AND_NUMBERS.sub(lambda found: found[1] or "", said)
