"""The consumer name: the same after a restart, and never the name of another live worker of this host."""

import fcntl
import itertools
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from worker.errors import SettingsError
from worker.run_dir.folder import open_own

_ODD = re.compile(r"[^A-Za-z0-9_.-]")  # the kernel accepts any bytes in a host name
_LONGEST_HOST = 100


@contextmanager
def consumer_name(run_dir: Path, given: str | None) -> Iterator[str]:
    """Reserve a consumer name for a block: the given one, or the host's name with the lowest free number.

    A file lock reserves the number. The kernel releases it when the process ends, however that happens.

    Args:
        run_dir: The folder of the locks.
        given: The name that the operator chose, or None.

    Raises:
        SettingsError: A lock file cannot be opened, or the file system has no locks.
    """
    if given is not None:
        yield given
        return
    for name in names_of(socket.gethostname()):
        if (lock := _take(run_dir / f"{name}.lock")) is not None:
            with lock:
                yield name
            return


def names_of(host: str) -> Iterator[str]:
    """Yield names for the workers of a host; they have its full name, as `web-1.a` and `web-1.b` are two hosts.

    Args:
        host: Its name; empty if it has none.
    """
    name = _ODD.sub("-", host[:_LONGEST_HOST]) or "worker"
    return (f"{name}-{number}" for number in itertools.count(1))


def _take(path: Path) -> IO[str] | None:
    """Open a file and lock it; return None if another process has locked it."""
    lock: IO[str] | None = None
    try:
        lock = os.fdopen(open_own(path), "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if lock is not None:
            lock.close()
        if isinstance(error, BlockingIOError):
            return None
        raise SettingsError(
            f"WORKER_RUN_DIR={path.parent} cannot be used ({path.name}: {error.strerror}); "
            "accepted: a directory of this user, on a file system with locks"
        ) from error
    return lock
