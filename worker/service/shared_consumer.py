"""Whether another live worker has this worker's name: both then write their state under one key.

A worker that finds another process's state under its key, after it wrote its own, has seen a live one. The first look
does not count: that state may be of a process that has ended.
"""

import json
import os
import secrets
import socket
import time
from typing import Any

from worker.core.events import ConsumerShared
from worker.logs.emit import RateLimited

_SHOWN_S = 10.0
_LONGEST_HOST = 100
_ADVICE = "two workers have one name, and one of them is shown; accepted: a WORKER_CONSUMER of its own for each worker"


class Namesake:
    """A watch for another worker of the same name."""

    def __init__(self, consumer: str) -> None:
        """Watch for workers of this name."""
        self._consumer = consumer
        self._host = socket.gethostname()
        self._instance = secrets.token_hex(8)
        self._has_looked = False
        self._other = ""
        self._seen_at = -_SHOWN_S
        self._shared = RateLimited(interval_s=600.0, burst=1)

    def identity(self) -> dict[str, object]:
        """Return which process this is, and which other one was seen in the last 10 s."""
        own: dict[str, object] = {"host": self._host, "pid": os.getpid(), "instance": self._instance}
        is_shared = time.monotonic() - self._seen_at < _SHOWN_S
        return {**own, "shared_with": self._other} if is_shared else own

    def look(self, found: bytes | None) -> None:
        """Look at the state that this worker's key held before it was written.

        Args:
            found: A state; None: nothing that could be read.
        """
        other = _read(found)
        is_first, self._has_looked = not self._has_looked, True
        if is_first or other is None or other["instance"] == self._instance:
            return
        host, pid = str(other.get("host", ""))[:_LONGEST_HOST], other.get("pid")
        pid = pid if isinstance(pid, int) else 0
        self._other, self._seen_at = f"{host}:{pid}", time.monotonic()
        self._shared.emit(
            lambda suppressed: ConsumerShared(
                consumer=self._consumer, host=host, pid=pid, message=_ADVICE, suppressed=suppressed
            )
        )


def _read(found: bytes | None) -> dict[str, Any] | None:
    """Read a worker's state; None where it is none, or does not say whose it is."""
    try:
        state = json.loads(found or b"")
    except (ValueError, RecursionError):
        return None
    return state if isinstance(state, dict) and isinstance(state.get("instance"), str) else None
