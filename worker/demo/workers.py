"""Worker processes of the demo, started as a user would start them. They end with the demo, even if it is killed."""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.core.events import RequestClaimed
from worker.embedded.child import Child, Launch
from worker.errors import DependencyError
from worker.settings.environment import environment_with

_STOP_S = 15.0


class WorkerProcess:
    """A `sampling-worker run` in a process of its own.

    Args:
        name: Its consumer name.
        settings: Its settings.
        log: File of its log lines.
    """

    def __init__(self, name: str, settings: Mapping[str, str], log: Path) -> None:
        self._settings = {**settings, "WORKER_CONSUMER": name}
        self._log = log
        self._child: Child | None = None
        self.name = name

    def start(self) -> None:
        """Start the process; it serves a moment later."""
        # -P: a folder `worker` in the working directory is somebody else's.
        launch = Launch(Path.cwd(), self._log, env=environment_with(self._settings))
        self._child = Child([sys.executable, "-P", "-m", "worker", "run"], launch, signal.SIGTERM)

    def freeze(self) -> None:
        """Stop the process in the middle of its work, with requests pending."""
        if self._child is not None:
            self._child.send(signal.SIGSTOP)

    def kill(self) -> None:
        """Kill the process, without a chance to clean up."""
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGKILL, timeout_s=_STOP_S)

    def claimed(self) -> int:
        """Count the requests that it has claimed from others, by its log."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]
        return sum(line["count"] for line in lines if line["event"] == RequestClaimed.event)

    def stop(self) -> int | None:
        """Stop the process in order; return its exit status, or None if it was not running.

        Raises:
            DependencyError: It did not stop in time, and was killed.
        """
        child, self._child = self._child, None
        if child is None:
            return None
        status = child.end(signal.SIGTERM, timeout_s=_STOP_S)
        if status == -signal.SIGKILL:
            raise DependencyError(f"worker {self.name} did not stop within {_STOP_S:g} s")
        return status
