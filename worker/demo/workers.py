"""Workers as processes of their own, as a user would start them."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.core.events import RequestClaimed
from worker.errors import DependencyError
from worker.settings.environment import environment_with

_STOP_S = 15.0


class WorkerProcess:
    """Run `sampling-worker run`."""

    def __init__(self, name: str, settings: Mapping[str, str], log: Path) -> None:
        """Take its consumer name, its settings, and where its log lines go."""
        self._settings = {**settings, "WORKER_CONSUMER": name}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.name = name

    def start(self) -> None:
        """Start it; it serves a moment later."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "run"],
                env=environment_with(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def freeze(self) -> None:
        """Stop it in the middle of its work: what Redis delivers to it from now on is in its hands."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def claimed(self) -> int:
        """Count the requests it has taken over from others, by its log."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]
        return sum(line["count"] for line in lines if line["event"] == RequestClaimed.event)

    def stop(self) -> int | None:
        """End it in order; tell its exit status, None when it was not running.

        Raises:
            DependencyError: It did not end in time; it is killed.
        """
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        process.terminate()
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise DependencyError(f"worker {self.name} did not stop within {_STOP_S:g} s") from None
