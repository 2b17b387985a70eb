"""The consumer name: the same after a restart, and never that of another live worker of this host."""

import fcntl
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def consumer_name(run_dir: Path, given: str | None) -> Iterator[str]:
    """Hold a consumer name: the given one, or the host's name with the least free number.

    A lock holds the number, which the kernel releases with the process, however that ends.

    Args:
        run_dir: Where the locks live.
        given: The name that the operator chose.
    """
    if given is not None:
        yield given
        return
    host = socket.gethostname().split(".")[0][:100] or "worker"
    for number in itertools.count(1):
        name = f"{host}-{number}"
        with (run_dir / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name
            return
