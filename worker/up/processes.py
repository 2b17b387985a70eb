"""The processes of an `up` that are commands of our own: the worker, and whatever brings the library in."""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from worker.embedded.child import Child, Launch
from worker.errors import SettingsError
from worker.run_dir.ending import Ending
from worker.run_dir.health import Health, health_of
from worker.settings.environment import environment_with
from worker.up.deaths import Deaths
from worker.up.screen import Screen

# -P: a folder `worker` in the working directory is somebody else's.
_OURS: Final = (sys.executable, "-P", "-m", "worker")
_LONGEST_LOG: Final = 64 << 20
_DRAIN_S: Final = 10.0
_BEYOND_DRAIN_S: Final = 5.0
_POLL_S: Final = 0.05
_USAGE: Final = 2
_TAIL: Final = 2000


class Worker:
    """A `run` that is started again when it dies.

    Args:
        settings: Its settings.
        run_dir: Where its health file lives.
        log: File of its log lines.
        screen: Where its deaths are said.
    """

    def __init__(self, settings: Mapping[str, str], run_dir: Path, log: Path, screen: Screen) -> None:
        self._settings = settings
        self._drain_s = float(settings.get("WORKER_DRAIN_TIMEOUT_S", _DRAIN_S))
        self._run_dir = run_dir
        self._log = log
        self._screen = screen
        self._deaths = Deaths()
        self._child: Child | None = None

    @property
    def health(self) -> Health | None:
        """Return what it last reported; None: nothing yet."""
        return health_of(self._run_dir, self._child.pid) if self._child else None

    def start(self) -> None:
        """Start it; it serves a moment later."""
        keep_short(self._log)
        launch = Launch(self._log.parent, self._log, env=environment_with(self._settings))
        self._child = Child([*_OURS, "run"], launch, signal.SIGTERM)

    def start_again(self) -> None:
        """Start it again if it has ended.

        Raises:
            SettingsError: It does not accept its settings.
            DependencyError: It dies again and again.
        """
        if self._child is None or (status := self._child.exit_status) is None:
            return
        self.stop()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        if status == _USAGE:
            raise SettingsError(f"the worker ended {how}: {self._last_words()}")
        self._deaths.note(f"the worker ended {how}; its log is {self._log} and ends with: {self._last_words()}")
        self._screen.warn(f"the worker ended {how}, and is started again; its log is {self._log}")
        self.start()

    def hurry(self) -> None:
        """Make it stop at once, if it is stopping."""
        if self._child is not None:
            self._child.send(signal.SIGTERM)

    def stop(self) -> None:
        """Stop it in order: it finishes what it holds."""
        child = self._child
        if child is not None:
            child.end(signal.SIGTERM, timeout_s=self._drain_s + _BEYOND_DRAIN_S)
            self._child = None

    def _last_words(self) -> str:
        lines = self._log.read_bytes()[-_TAIL:].decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line), "it said nothing").removeprefix("sampling-worker: ")


def run_verb(words: Sequence[str], settings: Mapping[str, str], ending: Ending, meanwhile: Callable[[], None]) -> int:
    """Run a verb to its end, on this terminal.

    Args:
        words: The verb and its arguments.
        settings: Its settings.
        ending: Ends it.
        meanwhile: Called again and again while it runs.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: A signal has come, and the verb was ended.
    """
    child = Child([*_OURS, *words], Launch(Path.cwd(), None, env=environment_with(settings)), signal.SIGTERM)
    try:
        while (status := child.exit_status) is None:
            meanwhile()
            ending.wait(_POLL_S)
        return status
    finally:
        child.end(signal.SIGTERM, timeout_s=_BEYOND_DRAIN_S)


def keep_short(log: Path) -> None:
    """Put a long log aside, in the place of the one that was put aside before."""
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
