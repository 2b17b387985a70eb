"""The `up` of this user that runs on this machine: how clients and commands find it.

It writes a small file into the run directory, with the settings that lead to its servers. The file counts only while
its process lives. It may hold passwords, so only this user can read it. It is trusted only in a folder in which nobody
else can write.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from worker.run_dir.folder import open_own, problem_of, read_own
from worker.run_dir.processes import is_alive

_SUFFIX: Final = ".up"
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Announcement:
    """An `up` that runs.

    Attributes:
        pid: Its process.
        started: Start time of its process, as the system gives it; empty if not known.
        since: Unix time of its start, in s.
        data: Its data folder.
        log: Log of its worker.
        settings: Variable -> value: what leads to its servers, and how its worker is set.
    """

    pid: int
    started: str
    since: float
    data: str
    log: str
    settings: Mapping[str, str]


def announcement_path(run_dir: Path, data: Path) -> Path:
    """Return the file in the run directory that announces the `up` of a data folder."""
    return run_dir / f"{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}{_SUFFIX}"


def write_announcement(path: Path, announcement: Announcement) -> None:
    """Replace an announcement in one step.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_name(f"{path.name}.{announcement.pid}.new")
    with os.fdopen(open_own(fresh, _PRIVATE), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(json.dumps(asdict(announcement)))
    fresh.replace(path)


def read_announcement(path: Path) -> Announcement | None:
    """Return the `up` that a file announces; None: there is no such file, it is not valid, or the `up` has ended."""
    try:
        found = Announcement(**json.loads(read_own(path)))
        return found if is_alive(found.pid, found.started) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def list_announced(run_dirs: Iterable[Path]) -> list[Announcement]:
    """List the `up`s of this user that run, by their data folders.

    Args:
        run_dirs: Folders to look in. One in which others can write, or that is not this user's, is left out.
    """
    found: dict[str, Announcement] = {}
    for run_dir in run_dirs:
        if _is_trusted(run_dir):
            announced = map(read_announcement, run_dir.glob(f"*{_SUFFIX}"))
            found |= {one.data: one for one in announced if one is not None}
    return [found[data] for data in sorted(found)]


def _is_trusted(run_dir: Path) -> bool:
    try:
        return problem_of(run_dir) is None
    except (OSError, ValueError):  # a path with a null byte, as nobody has checked it yet
        return False
