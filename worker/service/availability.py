"""Whether the servers answer: one event when a link is lost, one when it is restored, and back-off between."""

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
    r"|is it running|terminating connection|starting up|shutting down",
    re.IGNORECASE,
)
_NAMES_AND_NUMBERS = re.compile(r"""(Err(?:no|or) -?\d+)|'[^']*'|"[^"]*"|\d+""")


class Link:
    """Watch one server on behalf of every loop that talks to it.

    The link is lost from the first loop's failure until every loop that failed has succeeded again. Meanwhile it is
    told again when the cause changes: when a loop fails of something else than it did when the loss was told last.
    What one loop says is never held against what another says, as each has sentences of its own for one cause.
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
        self._causes: dict[str, str] = {}  # loop -> what it failed of when the loss was told last, or first since
        self._told = ""
        self._lost_at = self._told_at = 0.0

    @property
    def is_up(self) -> bool:
        """Tell whether no loop is failing."""
        return not self._failures

    async def failed(self, loop: str, message: str) -> None:
        """Note that a loop failed, and wait before it tries again: exponential back-off with full jitter."""
        self._tell_loss(loop, message)
        failures = self._failures[loop] = self._failures.get(loop, 0) + 1
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures, 10))
        await anyio.sleep(random.uniform(_FIRST_WAIT_S, longest))  # noqa: S311 - jitter is no secret

    def succeeded(self, loop: str) -> None:
        """Note that a loop got an answer."""
        self._causes.pop(loop, None)
        if self._failures.pop(loop, None) is not None and self.is_up:
            emit(self._make_restored(time.monotonic() - self._lost_at))

    def _tell_loss(self, loop: str, message: str) -> None:
        """Tell of a loss that is new, or has another cause by now."""
        now, cause = time.monotonic(), cause_of(message)
        is_other = self._causes.setdefault(loop, cause) != cause and self._told != cause
        if self.is_up:
            self._lost_at = now
        elif not is_other or now < self._told_at + _AGAIN_S:
            return
        self._causes, self._told, self._told_at = {loop: cause}, cause, now
        emit(self._make_lost(message))


def cause_of(message: str) -> str:
    """Tell what a failure comes of, without what was being done, and without the names and numbers in it.

    All that says that nobody answers is one cause: a server that is stopped is first silent, then closed, then refused.

    Args:
        message: The sentence of a `RedisError` or a `PostgresError`.
    """
    said = message.partition(": ")[2] or message
    return "away" if _AWAY.search(said) else _NAMES_AND_NUMBERS.sub(lambda found: found[1] or "", said)
