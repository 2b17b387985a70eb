"""Whether a server answers: one event when it is lost, one when it is restored, and back-off between."""

import random
import re
import time
from collections.abc import Callable

import anyio

from worker.core.events import Event
from worker.logs.emit import emit

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0
_AGAIN_S = 5.0  # at the earliest a loss is told again, where its cause has changed
_AWAY = re.compile(
    r"Err(no|or) (111|104|32)\b|clos(ed|ing)|connection (was )?lost|reset by peer|time(d )?out|no (reply|answer)"
    r"|terminating connection|starting up|shutting down",
    re.IGNORECASE,
)
_NAMES_AND_NUMBERS = re.compile(r"""(Err(?:no|or) -?\d+)|'[^']*'|"[^"]*"|\d+""")


class Availability:
    """The availability of one server, as seen by every loop that talks to it.

    The server is lost from the first loop's failure until every loop that failed has succeeded again. The loss is
    logged again when its cause changes: when a loop fails for another reason than at the last line. Reasons of
    different loops are not compared, as each loop has its own sentences for one cause.
    """

    def __init__(self, lost: Callable[[str], Event], restored: Callable[[float], Event]) -> None:
        """Configure the events.

        Args:
            lost: Makes the event of a loss from the failure's sentence.
            restored: Makes the event of a recovery from the seconds it took.
        """
        self._make_lost = lost
        self._make_restored = restored
        self._failures: dict[str, int] = {}
        self._causes: dict[str, str] = {}  # loop -> what it failed of when the loss was told last, or first since
        self._told = ""
        self._lost_at = self._told_at = 0.0

    def __repr__(self) -> str:
        return f"<Availability up={self.is_up} failing={sorted(self._failures)}>"

    @property
    def is_up(self) -> bool:
        """Return whether no loop is failing."""
        return not self._failures

    async def failed(self, loop: str, message: str) -> None:
        """Note that a loop failed, and wait before it tries again: exponential back-off with full jitter."""
        self._log_loss(loop, message)
        failures = self._failures[loop] = self._failures.get(loop, 0) + 1
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures, 10))
        await anyio.sleep(random.uniform(_FIRST_WAIT_S, longest))  # noqa: S311 - jitter is no secret

    def succeeded(self, loop: str) -> None:
        """Note that a loop got an answer."""
        self._causes.pop(loop, None)
        if self._failures.pop(loop, None) is not None and self.is_up:
            emit(self._make_restored(time.monotonic() - self._lost_at))

    def _log_loss(self, loop: str, message: str) -> None:
        """Log a loss that is new, or has another cause by now."""
        now, cause = time.monotonic(), cause_of(message)
        is_other = self._causes.setdefault(loop, cause) != cause and self._told != cause
        if self.is_up:
            self._lost_at = now
        elif not is_other or now < self._told_at + _AGAIN_S:
            return
        self._causes, self._told, self._told_at = {loop: cause}, cause, now
        emit(self._make_lost(message))


def cause_of(message: str) -> str:
    """Return the cause of a failure, without what was being done, and without names and numbers.

    Every way of not answering is one cause: a server that stops is first silent, then closes, then refuses.

    Args:
        message: The sentence of a `RedisError` or a `PostgresError`.
    """
    said = message.partition(": ")[2] or message
    return "away" if _AWAY.search(said) else _NAMES_AND_NUMBERS.sub(lambda found: found[1] or "", said)
