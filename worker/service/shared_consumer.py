"""Whether another live worker has the same name: both workers then write their state to one key.

If another process has written the key since this worker last wrote it, that process is alive. At the first look this
is not certain: the state may belong to a worker that has ended.
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
    """The search for another worker of the same name."""

    def __init__(self, consumer: str) -> None:
        """Search for workers with this name."""
        self._consumer = consumer
        self._host = socket.gethostname()
        self._instance = secrets.token_hex(8)
        self._own_words = f'"instance": "{self._instance}"'.encode()
        self._has_looked = False
        self._other = ""
        self._seen_at = -_SHOWN_S
        self._shared = RateLimited(interval_s=600.0, burst=1)

    def identity(self) -> dict[str, object]:
        """Return the fields that identify this process, and the other one if it was seen lately."""
        own: dict[str, object] = {"host": self._host, "pid": os.getpid(), "instance": self._instance}
        is_shared = time.monotonic() - self._seen_at < _SHOWN_S
        return {**own, "shared_with": self._other} if is_shared else own

    def look(self, found: bytes | None) -> None:
        """Compare the state that the key held with this worker's own.

        Args:
            found: The previous state; None if there was none that could be read.
        """
        is_first, self._has_looked = not self._has_looked, True
        if is_first or found is None or self._own_words in found:
            return
        other = _read(found)
        if other is None or other["instance"] == self._instance:
            return
        host, pid = str(other.get("host", ""))[:_LONGEST_HOST], other.get("pid")
        pid = pid if isinstance(pid, int) else 0
        self._other, self._seen_at = f"{host}:{pid}", time.monotonic()
        self._shared.emit(
            lambda suppressed: ConsumerShared(
                consumer=self._consumer, host=host, pid=pid, message=_ADVICE, suppressed=suppressed
            )
        )


def _read(found: bytes) -> dict[str, Any] | None:
    """Return a worker's state; None if it is not valid, or does not say whose it is."""
    try:
        state = json.loads(found)
    except (ValueError, RecursionError):
        return None
    return state if isinstance(state, dict) and isinstance(state.get("instance"), str) else None
