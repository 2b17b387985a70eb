"""The consumer name: the same after a restart, and never that of another live worker of this host."""

import fcntl
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_HOST = 100


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
    for name in names_of(socket.gethostname()):
        with (run_dir / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name
            return


def names_of(host: str) -> Iterator[str]:
    """Name the workers of a host, one after the other, by its whole name: `web-1.a` is another host than `web-1.b`.

    Args:
        host: Its name; empty where it has none.
    """
    return (f"{host[:_LONGEST_HOST] or 'worker'}-{number}" for number in itertools.count(1))
