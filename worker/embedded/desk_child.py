"""A desk that ends with this process, opened in a browser: for `up --desk` and `demo --desk`."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker.embedded.child import Child, Launch

# -P: a folder `worker` in the working directory is somebody else's.
_COMMAND: Final = (sys.executable, "-P", "-m", "worker", "desk", "--open")
_STOP_S: Final = 10.0
_BEGINNING: Final = "desk on "


class DeskChild:
    """A `sampling-worker desk` in a process of its own.

    Args:
        env: Its whole environment.
        log: File to which it prints; an older one is replaced.
    """

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._has_told = False
        log.write_text("")
        self._child: Child | None = Child(_COMMAND, Launch(log.parent, log, env=env), signal.SIGTERM)

    def news(self) -> str:
        """Return what has to be said: where it is, or that it has ended; each once, and mostly nothing."""
        if self._child is None:
            return ""
        status, text = self._child.exit_status, self._log.read_text(errors="replace")
        if status is not None:
            self.stop()
            last = text.strip().rpartition("\n")[2].removeprefix("sampling-worker: ") or "it said nothing"
            return (
                f"the desk ended with exit status {status}: {last}; accepted: `sampling-worker desk`, while this runs"
            )
        first, end, _ = text.partition("\n")
        if self._has_told or not (end and first.startswith(_BEGINNING)):
            return ""
        self._has_told = True
        return first.partition(";")[0]

    def stop(self) -> None:
        """End it."""
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGTERM, timeout_s=_STOP_S)
