"""Log changes of weights with who made them, and why. A key that is gone is a warning if the history names nobody.

Weights come into force at once, in the callback that receives them. The line waits for the history, which takes another
round trip. So changes queue up here, and one reading of the history serves all that wait. The line is never lost: if
Redis does not answer in time or refuses, the line has None for who and why. While nothing reads the history, changes
are logged at once.
"""

from dataclasses import replace
from typing import NamedTuple

import anyio

from worker.core.events import WeightsChanged, WeightsHistoryRefused, WeightsVanished
from worker.core.weights.authors import BEFORE_ALL, AppliedChange, Authors
from worker.core.weights.history import Authorship
from worker.errors import RedisError, RefusedError
from worker.logs.emit import RateLimited, emit
from worker.ports import WeightsStore

_MOST_WAITING = 256  # each may hold two texts of 1 MiB
_PATIENCE_S = 1.0


class _Told(NamedTuple):
    """A change, and its lines without who and why: what it does to the weights, and that their key is gone."""

    change: AppliedChange
    changed: WeightsChanged | None
    vanished: WeightsVanished | None

    def log(self, found: Authorship | None) -> None:
        """Log it. A key that somebody removed by the history is meant to be gone."""
        if self.vanished is not None and found is None:
            emit(self.vanished)
        if self.changed is not None:
            emit(self.changed if found is None else _signed(self.changed, found))


class WeightsLog:
    """The changes that are not logged yet."""

    def __init__(self, store: WeightsStore) -> None:
        """Log at once, until `run`.

        Args:
            store: Where the history is read.
        """
        self._store = store
        self._authors: Authors | None = None
        self._waiting: list[_Told] = []
        self._came = anyio.Event()
        self._is_running = False
        self._refused = RateLimited(interval_s=60.0, burst=1)

    def __repr__(self) -> str:
        """Show how many changes wait for the history."""
        return f"<WeightsLog: {len(self._waiting)} changes waiting>"

    def tell(
        self, change: AppliedChange, changed: WeightsChanged | None, vanished: WeightsVanished | None = None
    ) -> None:
        """Log a change as soon as the history has been read.

        Args:
            change: What came into force.
            changed: Its line, without who and why; None: the weights are the same.
            vanished: The warning that their key is gone; None: it is not.
        """
        told = _Told(change, changed, vanished)
        if changed is None and vanished is None:
            return
        if not self._is_running:
            told.log(None)
            return
        self._waiting.append(told)
        self._came.set()
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(0).log(None)

    async def run(self) -> None:
        """Read the history for what waits, until cancelled; then log what still waits."""
        self._is_running = True
        try:
            while True:
                await self._log_waiting()
                await self._came.wait()
                self._came = anyio.Event()
        finally:
            self._is_running = False
            for told in self._waiting:
                told.log(None)
            self._waiting.clear()

    async def _log_waiting(self) -> None:
        told, self._waiting = self._waiting, []
        found: list[Authorship | None] = [None] * len(told)
        try:
            found = await self._match([one.change for one in told])
        finally:
            for one, author in zip(told, found, strict=True):
                one.log(author)

    async def _match(self, changes: list[AppliedChange]) -> list[Authorship | None]:
        """Find who made some changes; None where Redis does not answer in time, or refuses."""
        with anyio.move_on_after(_PATIENCE_S):
            try:
                authors = await self._begin()
                if changes:
                    wanted = authors.after(changes), authors.unmatched(changes)
                    return authors.match(changes, await self._store.authorships(*wanted))
            except RefusedError as error:
                message = str(error)
                self._refused.emit(lambda suppressed: WeightsHistoryRefused(message=message, suppressed=suppressed))
            except RedisError:
                return [None] * len(changes)  # the loops that follow the weights log the loss
        return [None] * len(changes)

    async def _begin(self) -> Authors:
        """Find the newest entry of the history, once: what comes after it is new."""
        if self._authors is None:
            newest = await self._store.authorships(BEFORE_ALL, most=1)
            self._authors = Authors(newest[0].entry if newest else BEFORE_ALL)
        return self._authors


def _signed(event: WeightsChanged, found: Authorship) -> WeightsChanged:
    return replace(event, who=found.who, reason=found.reason, entry=found.entry, until_ms=found.until_ms)
