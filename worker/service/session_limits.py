"""Log once when a category's repeats in a session come near to the limit, and once when they reach it.

Every worker looks at the sessions that it served since its last look. A note in the session's hash decides which of
them logs it. So it is logged once, whatever is started again. If that worker dies before it logs, this level is never
logged; the next one is.
"""

from typing import Final

from worker.core.draw.session_limits import near_limit
from worker.logs.emit import emit
from worker.ports import SessionLimits
from worker.service.meter import Meter
from worker.service.snapshots import CurrentSnapshots

_AT_ONCE: Final = 256  # sessions: reading more would hold up others


class LimitsWatch:
    """The comparison of what sessions heard with their limits of repeats."""

    def __init__(self, store: SessionLimits, current: CurrentSnapshots, meter: Meter) -> None:
        """Look later.

        Args:
            store: Where sessions are.
            current: The snapshots that it takes READY chunks from.
            meter: Knows which sessions were served.
        """
        self._store = store
        self._current = current
        self._meter = meter

    async def look(self) -> None:
        """Look at the sessions that were served since the last look, at most some of them at once.

        Raises:
            RedisError: Redis did not answer, or refused; what was not looked at is looked at next time.
        """
        catalog = self._current.catalog
        names = list(self._meter.sessions)[:_AT_ONCE]
        if catalog is None or not names:
            return
        for name, fields in (await self._store.read_limited(names)).items():
            for told in near_limit(name, fields, catalog.ready):
                if await self._store.note_told(name, told.field):
                    emit(told.event)
        self._meter.sessions.difference_update(names)
