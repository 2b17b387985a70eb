"""The consumer name: the same after a restart, and never that of another live worker of this host."""

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

_ODD = re.compile(r"[^A-Za-z0-9_.-]")  # the kernel takes any bytes for a host's name
_LONGEST_HOST = 100


@contextmanager
def consumer_name(run_dir: Path, given: str | None) -> Iterator[str]:
    """Hold a consumer name: the given one, or the host's name with the least free number.

    A lock holds the number, which the kernel releases with the process, however that ends.

    Args:
        run_dir: Where the locks live.
        given: The name that the operator chose.

    Raises:
        SettingsError: A lock cannot be opened, or the folder's file system has none.
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
    """Name the workers of a host, one after the other, by its whole name: `web-1.a` is another host than `web-1.b`.

    Args:
        host: Its name; empty where it has none.
    """
    name = _ODD.sub("-", host[:_LONGEST_HOST]) or "worker"
    return (f"{name}-{number}" for number in itertools.count(1))


def _take(path: Path) -> IO[str] | None:
    """Open a file and lock it; None where another process has it."""
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
