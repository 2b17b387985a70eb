"""Whether the worker here is alive and serving: a small file that it renews, and the probe that reads it.

The standard library alone, so that a probe every few seconds costs nearly nothing.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from worker.run_dir import open_own, read_own

FRESH_S = 10.0
SERVING = "serving"
_SUFFIX = ".health"
_LONGEST_NAME = 200  # file systems take 255 bytes, and a suffix comes on top


@dataclass(frozen=True, slots=True)
class Health:
    """Hold what a worker last said of itself.

    Attributes:
        pid: Its process.
        prefix: Start of its names in Redis.
        consumer: Its name in the group.
        state: `starting`, `serving`, `waiting` (for a server) or `draining`.
        at: Unix time in s at which it said so.
    """

    pid: int
    prefix: str
    consumer: str
    state: str
    at: float


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


def find_problem(run_dir: Path, *, prefix: str, consumer: str | None, now: float) -> str | None:
    """Tell why the worker here is not alive and serving; None when it is.

    Args:
        run_dir: Where health files live.
        prefix: Workers with other names in Redis are not looked at.
        consumer: The worker to look at; None: any worker here.
        now: Unix time in s.
    """
    found = [health for health in _read_all(run_dir) if health.prefix == prefix]
    if consumer is not None:
        found = [health for health in found if health.consumer == consumer]
    if not found:
        return f"no worker {consumer or ''} has run here".replace("  ", " ")
    living = [health for health in found if _is_alive(health.pid)]
    if not living:
        return f"worker {found[-1].consumer} has died"
    latest = max(living, key=lambda health: (health.state == SERVING and now - health.at < FRESH_S, health.at))
    age = now - latest.at
    if age >= FRESH_S:
        return f"worker {latest.consumer} last showed a sign of life {age:.0f} s ago"
    return None if latest.state == SERVING else f"worker {latest.consumer} is {latest.state}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_all(run_dir: Path) -> list[Health]:
    """Read the health files; one that vanishes or is torn is a worker that is not there."""
    found = []
    for path in sorted(run_dir.glob(f"*{_SUFFIX}")):
        try:
            found.append(Health(**json.loads(read_own(path))))
        except (OSError, ValueError, TypeError):
            continue
    return found
