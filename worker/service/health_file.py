"""The health file of this worker: what probes of this machine read, without a connection."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.core.events import HealthWriteFailed
from worker.logs.emit import RateLimited
from worker.run_dir.health import SERVING, Health, health_path, renew_health, write_health
from worker.run_dir.processes import process_start
from worker.service.availability import Availability
from worker.service.meter import Meter
from worker.service.snapshots import CurrentSnapshots

_RENEWED_EVERY_S = 2.0
_STUCK_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """The worker that reports.

    Attributes:
        consumer: The worker's name in the group.
        prefix: Start of its names in Redis.
        run_dir: Where its health file lives.
        weight_unit: What weights are shares of: `chunks` or `seconds`.
        redis: Digest of the URL of Redis, see `worker.run_dir.health.url_digest`.
        database: The same of PostgreSQL.
    """

    consumer: str
    prefix: str
    run_dir: Path
    weight_unit: str = "chunks"
    redis: str = ""
    database: str = ""


class HealthFile:
    """The file that shows what this worker does: `starting`, `serving`, `waiting` or `draining`."""

    def __init__(self, identity: Identity, current: CurrentSnapshots, meter: Meter, availability: Availability) -> None:
        """Connect the parts; nothing is written yet.

        Args:
            identity: The worker.
            current: Says whether a catalog was read.
            meter: Says when the worker last made progress.
            availability: Says whether Redis answers.
        """
        self._identity = identity
        self._current = current
        self._meter = meter
        self._availability = availability
        self._started = process_start(os.getpid())
        self._phase = "starting"
        self._written = "", 0.0
        self._path = health_path(identity.run_dir, identity.consumer)
        self._unwritten = RateLimited(interval_s=60.0, burst=1)

    @property
    def state(self) -> str:
        """Return what the worker does now."""
        stuck = time.monotonic() - self._meter.progress_at > _STUCK_AFTER_S
        is_waiting = self._phase == SERVING and (stuck or not self._availability.is_up or self._current.catalog is None)
        return "waiting" if is_waiting else self._phase

    def enter(self, phase: str) -> None:
        """Write at once that the worker is `serving` or `draining` now."""
        self._phase = phase
        self.write()

    def write(self) -> None:
        """Write the file if it says something else now; renew it if it is some seconds old."""
        state, now = self.state, time.monotonic()
        before, written_at = self._written
        try:
            if state != before:
                self._replace(state)
            elif now >= written_at + _RENEWED_EVERY_S:
                self._renew(state)
            else:
                return
            self._written = state, now
        except OSError as error:
            message = str(error)
            self._unwritten.emit(lambda suppressed: HealthWriteFailed(message=message, suppressed=suppressed))

    def _renew(self, state: str) -> None:
        try:
            renew_health(self._path, time.time())
        except FileNotFoundError:  # somebody has removed it
            self._replace(state)

    def _replace(self, state: str) -> None:
        who, pid = self._identity, os.getpid()
        health = Health(pid, who.prefix, who.consumer, state, time.time(), who.redis, who.database, self._started)
        write_health(who.run_dir, health)

    def remove(self) -> None:
        """Remove the file, as this worker has ended in order."""
        with suppress(OSError):  # the file of a process that has ended misleads no probe
            self._path.unlink(missing_ok=True)
