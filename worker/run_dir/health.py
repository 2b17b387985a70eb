"""Whether the worker here is alive and serving: a small file that it renews, and the probe that reads it.

The standard library alone, so that a probe every few seconds costs nearly nothing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from worker.core.redaction import redact
from worker.run_dir.folder import open_own, read_own

FRESH_S = 10.0
SERVING = "serving"
_SUFFIX = ".health"
_LONGEST_NAME = 200  # file systems take 255 bytes, and a suffix comes on top
_START_FIELD = 19  # of /proc/<pid>/stat, counted behind the name in brackets, which may hold anything


@dataclass(frozen=True, slots=True)
class Place:
    """Which installation a worker belongs to.

    Attributes:
        prefix: Start of its names in Redis.
        redis: Digest of the URL of Redis, see `url_digest`; empty where that is not known.
        database: The same of PostgreSQL.
    """

    prefix: str
    redis: str = ""
    database: str = ""

    def is_same(self, other: "Place") -> bool:
        """Return whether both may be one installation: nothing that is known of both differs."""
        pairs = ((self.redis, other.redis), (self.database, other.database))
        return self.prefix == other.prefix and all(not mine or not theirs or mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Health:
    """What a worker last said of itself.

    Attributes:
        pid: Its process.
        prefix: Start of its names in Redis.
        consumer: Its name in the group.
        state: `starting`, `serving`, `waiting` (for a server) or `draining`.
        at: Unix time in s at which it said so.
        redis: Digest of the URL of Redis.
        database: Digest of the URL of PostgreSQL.
        started: When its process was started, in the words of the system; empty where that is not known.
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
        """Return which installation it belongs to."""
        return Place(self.prefix, self.redis, self.database)


def url_digest(url: str) -> str:
    """Return a digest that tells URLs apart, without their password; empty for none.

    Args:
        url: Of a server, as it is given.
    """
    given = redact(url.strip().strip("\"'"))
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()[:16] if given else ""


def process_start(pid: int) -> str:
    """Return when a process was started, as its number may have been another's; empty where that is not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[_START_FIELD]
    except (OSError, IndexError):
        return ""


def health_path(run_dir: Path, consumer: str) -> Path:
    """Name the health file of a worker."""
    name = quote(consumer, safe="")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(consumer.encode()).hexdigest()
    return run_dir / f"{name}{_SUFFIX}"


def write_health(run_dir: Path, health: Health) -> None:
    """Renew a worker's health file in one step."""
    path = health_path(run_dir, health.consumer)
    fresh = path.with_suffix(f".{health.pid}.new")
    with os.fdopen(open_own(fresh), "w") as file:
        file.write(json.dumps(asdict(health)))
    fresh.replace(path)


def find_problem(run_dir: Path, place: Place, *, consumer: str | None, now: float) -> str | None:
    """Return why no worker here is alive and serving; None when one is.

    Args:
        run_dir: Where health files live.
        place: Workers of other installations are not looked at.
        consumer: The worker to look at; None: any worker here.
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
    """Return, for each worker here, why it is not alive and serving; None when it is. The best comes last.

    Args:
        run_dir: Where health files live.
        place: Workers of other installations are not looked at.
        consumer: The worker to look at; None: every worker here.
        now: Unix time in s.
    """
    found = [health for health in _read_all(run_dir) if place.is_same(health.place)]
    if consumer is not None:
        found = [health for health in found if health.consumer == consumer]
    found.sort(key=lambda health: (_is_alive(health), health.state == SERVING and now - health.at < FRESH_S, health.at))
    return {health.consumer: _problem_of(health, now) for health in found}


def _problem_of(health: Health, now: float) -> str | None:
    if not _is_alive(health):
        return f"worker {health.consumer} has died"
    age = now - health.at
    if age >= FRESH_S:
        return f"worker {health.consumer} last showed a sign of life {age:.0f} s ago"
    return None if health.state == SERVING else f"worker {health.consumer} is {health.state}"


def _is_alive(health: Health) -> bool:
    try:
        os.kill(health.pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    started = process_start(health.pid)
    return not health.started or not started or health.started == started


def _read_all(run_dir: Path) -> list[Health]:
    """Read the health files; one that vanishes or is torn is a worker that is not there."""
    found = []
    for path in sorted(run_dir.glob(f"*{_SUFFIX}")):
        try:
            found.append(Health(**json.loads(read_own(path))))
        except (OSError, ValueError, TypeError, RecursionError):
            continue
    return found
