"""One server on a loopback port: starting, stopping and crashing, the same for all embedded servers."""

import contextlib
import secrets
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from worker.embedded.child import Child, Launch
from worker.errors import DependencyError, UnreachableError

HOST = "127.0.0.1"
_POLL_S = 0.01
_PORT_TRIES = 20
_TAIL_LINES = 20


class LoopbackServer(ABC):
    """A server on a port of 127.0.0.1 that can be started, stopped, killed and started again.

    Args:
        launch: How to launch it. Missing folders are made, and none is removed.
        log: File to which it prints.
        port: TCP port; None: a free one.
        options: Words at the end of its command line.

    Attributes:
        port: TCP port, the same after a restart.
        start_timeout_s: Longest time until it answers.
        stop_timeout_s: Longest time to stop before it is killed.
    """

    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    _title: ClassVar[str]
    _stop_signal: ClassVar[signal.Signals]

    def __init__(self, launch: Launch, log: Path, port: int | None, options: Sequence[str]) -> None:
        self._launch = launch
        self._log = log
        self._log_start = 0
        self._options = tuple(options)
        self._spare_ports = iter([] if port else [_some_port() for _ in range(_PORT_TRIES)])
        self.port = port or _some_port()
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        """Return whether the server's process runs."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Return the server's process id.

        Raises:
            DependencyError: The server is not running.
        """
        if self._child is None:
            raise DependencyError(f"{self._title} is not running")
        return self._child.pid

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers.

        Raises:
            UnreachableError: It did not come up; the message shows the end of its log.
            SettingsError: Its program cannot be run here.
        """
        if self.running:
            return
        self.kill()  # releases the child of a server that ended by itself
        self._prepare()
        while not (is_free(self.port) and self._comes_up()):
            taken = not is_free(self.port)
            spare = next(self._spare_ports, None)
            if spare is None or not taken:
                reason = "the port is taken" if taken else f"its log ends with:\n{self._log_tail()}"
                raise UnreachableError(f"{self._title} did not come up on {HOST}:{self.port}; {reason}")
            self.port = spare
        self._spare_ports = iter(())  # clients know the port from now on

    def stop(self) -> None:
        """Stop the server in order, and kill it after `stop_timeout_s`."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """Crash the server: send SIGKILL and wait until it has ended."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(how, timeout_s=self.stop_timeout_s)

    def _prepare(self) -> None:
        self._launch.cwd.mkdir(parents=True, exist_ok=True)
        self._log.touch()

    def _comes_up(self) -> bool:
        self._log_start = self._log.stat().st_size
        deadline = time.monotonic() + self.start_timeout_s
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._child = Child(self._command(), self._launch, self._stop_signal)
            while self.running and time.monotonic() < deadline:
                if self._answers():
                    undo.pop_all()
                    return True
                time.sleep(_POLL_S)
        return False

    def _log_tail(self) -> str:
        lines = self._log.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Return whether the server takes commands now."""


def _some_port() -> int:
    # Below the ports of outgoing connections, one of which could take the port while the server is down.
    return 20_000 + secrets.randbelow(12_000)


def is_free(port: int) -> bool:
    """Return whether a server can take a port of 127.0.0.1 now."""
    with socket.socket() as candidate:
        # As servers do; otherwise connections that linger after a stop would look like a listener.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True
