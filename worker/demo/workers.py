"""Workers as processes of their own, as a user would start them."""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.core.events import RequestClaimed
from worker.embedded.child import Child, Surroundings
from worker.errors import DependencyError
from worker.settings.environment import environment_with

_STOP_S = 15.0


class WorkerProcess:
    """A process of `sampling-worker run`. It is killed if the demo ends without stopping it."""

    def __init__(self, name: str, settings: Mapping[str, str], log: Path) -> None:
        """Start nothing yet.

        Args:
            name: Its consumer name.
            settings: Its settings, by variable.
            log: The file that its log lines are appended to.
        """
        environment = environment_with({**settings, "WORKER_CONSUMER": name})
        self._surroundings = Surroundings(Path.cwd(), log, environment=environment)
        self._child: Child | None = None
        self.name = name

    def start(self) -> None:
        """Start it. It serves a moment later.

        Raises:
            SettingsError: Its program cannot be run.
        """
        self._child = Child([sys.executable, "-m", "worker", "run"], self._surroundings, signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend it amid its work, so that it holds whatever Redis delivers to it from now on."""
        if self._child is not None:
            self._child.send(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGKILL, timeout_s=_STOP_S)

    def claimed(self) -> int:
        """Return how many requests it has taken over from other workers, by its log."""
        lines = [json.loads(line) for line in self._surroundings.log.read_text().splitlines() if line.endswith("}")]
        return sum(line["count"] for line in lines if line["event"] == RequestClaimed.event)

    def stop(self) -> int | None:
        """Stop it in order, and return its exit status; None if it did not run.

        Raises:
            DependencyError: It did not end in time and was killed.
        """
        child, self._child = self._child, None
        if child is None:
            return None
        was_running = child.running
        child.end(signal.SIGTERM, timeout_s=_STOP_S)
        status = child.wait()
        if not was_running:
            return None
        if status == -signal.SIGKILL:
            raise DependencyError(f"worker {self.name} did not stop within {_STOP_S:g} s")
        return status
