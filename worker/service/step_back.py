"""Step back: leave requests to workers that have a catalog, while such live.

Rules:

1. Only a worker without a catalog steps back: PostgreSQL has been away since its start. Each second it looks at the
   states of the other workers.
2. While one of them serves with a catalog, this worker reads no request and takes none over.
3. A worker counts until its state has not changed for some seconds; a live one writes it each second. So it counts no
   more before its state expires, if it was killed or hangs. If it is restarted meanwhile, nobody gets an error.
4. If no other worker counts, this one serves, and answers with an error. So no request waits without end.
5. If Redis refuses the look, no other worker counts.
"""

import time
from typing import Final

from worker.core.events import WorkerListingRefused, WorkerSteppedBack, WorkerSteppedIn
from worker.core.workers.state_document import read_state
from worker.core.workers.states import read_workers
from worker.errors import RefusedError
from worker.logs.emit import RateLimited, emit
from worker.ports import OtherWorkers
from worker.run_dir.health import SERVING
from worker.service.snapshots import CurrentSnapshots

_LOOK_EVERY_S: Final = 1.0
_COUNTS_FOR_S: Final = 5.0
_HAS_CATALOG: Final = "it has read the catalog"
_IS_ALONE: Final = "no other worker serves with a catalog"


class StepBack:
    """Whether this worker leaves requests to others."""

    def __init__(self, workers: OtherWorkers, current: CurrentSnapshots) -> None:
        """Connect the parts.

        Args:
            workers: Shows the states of the other workers.
            current: Holds this worker's catalog.
        """
        self._workers = workers
        self._current = current
        self._refused = RateLimited(interval_s=60.0, burst=1)
        self._seen: dict[str, bytes] = {}
        self._look_at = 0.0
        self._counts_until = 0.0
        self._since: float | None = None

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<StepBack {'at work' if self._since is None else 'stepped back'}>"

    @property
    def is_considered(self) -> bool:
        """Return whether this worker has to ask, before each read, whether it is needed."""
        return self._current.catalog is None

    async def is_needed(self) -> bool:
        """Return whether to leave requests to other workers now.

        Raises:
            RedisError: Redis did not answer.
        """
        if not self.is_considered:
            self._step_in(_HAS_CATALOG)
            return False
        now = time.monotonic()
        if now >= self._look_at:
            await self._look(now)
            self._look_at = now + _LOOK_EVERY_S
        if now >= self._counts_until:
            self._step_in(_IS_ALONE)
            return False
        return True

    async def _look(self, now: float) -> None:
        """Look whether another worker serves with a catalog."""
        try:
            found = await self._workers.other_workers()
        except RefusedError as error:
            message = str(error)
            self._refused.emit(lambda suppressed: WorkerListingRefused(message=message, suppressed=suppressed))
            found = {}
        changed = [name for name, state in found.items() if self._seen.get(name) != state]
        self._seen = found
        for worker in read_workers(read_state(name, found[name]) for name in changed):
            if worker.state == SERVING and worker.catalog_version:
                self._counts_until = now + _COUNTS_FOR_S
                self._step_back(worker.consumer, now)
                return

    def _step_back(self, other: str, now: float) -> None:
        if self._since is None:
            self._since = now
            emit(WorkerSteppedBack(other=other))

    def _step_in(self, reason: str) -> None:
        if self._since is not None:
            emit(WorkerSteppedIn(reason=reason, stepped_back_s=time.monotonic() - self._since))
            self._since = None
