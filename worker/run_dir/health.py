"""Whether a worker of this machine is alive and serving: it renews a small file, and a probe reads it.

This module uses only the standard library, so that a probe every few seconds costs almost nothing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from worker.core.redaction import redact
from worker.run_dir.folder import open_own, read_own
from worker.run_dir.processes import is_alive

FRESH_S = 10.0
SERVING = "serving"
_SUFFIX = ".health"
_LONGEST_NAME = 200  # file systems allow 255 bytes, suffix included


@dataclass(frozen=True, slots=True)
class Place:
    """The installation that a worker belongs to.

    Attributes:
        prefix: Start of its names in Redis.
        redis: Digest of the URL of Redis, see `url_digest`; empty if not known.
        database: The same of PostgreSQL.
    """

    prefix: str
    redis: str = ""
    database: str = ""

    def is_same(self, other: "Place") -> bool:
        """Return whether everything that is known of both is equal."""
        pairs = ((self.redis, other.redis), (self.database, other.database))
        return self.prefix == other.prefix and all(not mine or not theirs or mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Health:
    """What a worker last reported.

    Attributes:
        pid: Its process.
        prefix: Start of its names in Redis.
        consumer: Its name in the group.
        state: `starting`, `serving`, `waiting` (for a server) or `draining`.
        at: Unix time of the report, in s; that of the file, too, which is renewed.
        redis: Digest of the URL of Redis.
        database: Digest of the URL of PostgreSQL.
        started: Start time of its process, as the system gives it; empty if not known.
    """

    pid: int
    prefix: str
    consumer: str
    state: str
    at: float
    redis: str = ""
    database: str = ""
    started: str = ""

    @property
    def place(self) -> Place:
        """Return the installation that it belongs to."""
        return Place(self.prefix, self.redis, self.database)


def url_digest(url: str) -> str:
    """Return a digest that tells URLs apart, passwords left out; empty for no URL.

    Args:
        url: URL of a server, as the user gave it.
    """
    given = redact(url.strip().strip("\"'"))
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()[:16] if given else ""


def health_path(run_dir: Path, consumer: str) -> Path:
    """Return the path of a worker's health file."""
    name = quote(consumer, safe="")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(consumer.encode()).hexdigest()
    return run_dir / f"{name}{_SUFFIX}"


def write_health(run_dir: Path, health: Health) -> None:
    """Replace a worker's health file in one step."""
    path = health_path(run_dir, health.consumer)
    fresh = path.with_suffix(f".{health.pid}.new")
    with os.fdopen(open_own(fresh), "w") as file:
        file.write(json.dumps({name: getattr(health, name) for name in Health.__slots__}))
    renew_health(fresh, health.at)
    fresh.replace(path)


def renew_health(path: Path, at: float) -> None:
    """Set the time of a worker's file: the worker still does what it says. Replacing the file would wait for the disk.

    Args:
        path: The file, see `health_path`.
        at: Unix time in s.

    Raises:
        OSError: There is no file, or it cannot be changed.
    """
    os.utime(path, (at, at), follow_symlinks=False)


def health_of(run_dir: Path, pid: int) -> Health | None:
    """Return what the worker with a process id last reported; None: nothing."""
    return next((health for health in _read_all(run_dir) if health.pid == pid), None)


def find_problem(run_dir: Path, place: Place, *, consumer: str | None, now: float) -> str | None:
    """Return why no worker of this machine is alive and serving; None if one is.

    Args:
        run_dir: The folder of the health files.
        place: Workers of other installations are ignored.
        consumer: The worker to check; None means any worker.
        now: Unix time in s.
    """
    found = look_around(run_dir, place, consumer=consumer, now=now)
    if not found:
        elsewhere = [health.consumer for health in _read_all(run_dir) if consumer in {None, health.consumer}]
        name = f" {consumer}" if consumer else ""
        others = f"; {', '.join(elsewhere)} served other URLs or another prefix" if elsewhere else ""
        return f"no worker{name} has run here{others}"
    return None if None in found.values() else list(found.values())[-1]


def look_around(run_dir: Path, place: Place, *, consumer: str | None, now: float) -> Mapping[str, str | None]:
    """Return, for each worker of this machine, why it is not alive and serving; None if it is. The best comes last.

    Args:
        run_dir: The folder of the health files.
        place: Workers of other installations are ignored.
        consumer: The worker to check; None means every worker.
        now: Unix time in s.
    """
    found = [health for health in _read_all(run_dir) if place.is_same(health.place)]
    if consumer is not None:
        found = [health for health in found if health.consumer == consumer]
    found.sort(
        key=lambda health: (
            is_alive(health.pid, health.started),
            health.state == SERVING and now - health.at < FRESH_S,
            health.at,
        )
    )
    return {health.consumer: _problem_of(health, now) for health in found}


def _problem_of(health: Health, now: float) -> str | None:
    if not is_alive(health.pid, health.started):
        return f"worker {health.consumer} has died"
    age = now - health.at
    if age >= FRESH_S:
        return f"worker {health.consumer} last showed a sign of life {age:.0f} s ago"
    return None if health.state == SERVING else f"worker {health.consumer} is {health.state}"


def _read_all(run_dir: Path) -> list[Health]:
    """Read the health files; a file that vanishes or is not valid is ignored."""
    found = []
    for path in sorted(run_dir.glob(f"*{_SUFFIX}")):
        try:
            written = Health(**json.loads(read_own(path)))
            found.append(replace(written, at=path.lstat().st_mtime))
        except (OSError, ValueError, TypeError, RecursionError):
            continue
    return found
