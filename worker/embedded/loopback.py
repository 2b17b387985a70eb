"""Keep one server on a loopback port: the life cycle that all embedded servers share."""

import contextlib
import secrets
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar, Self

from worker.embedded.child import Child, Place
from worker.errors import DependencyError, UnreachableError

HOST = "127.0.0.1"
_POLL_S = 0.01
_PORT_TRIES = 20
_TAIL_LINES = 20


class LoopbackServer(ABC):
    """Start a server on a port of 127.0.0.1, stop it or let it crash, start it again.

    Args:
        place: Where and as whom it runs; its folders are made where missing, and never removed.
        port: TCP port; a free one where None.
        options: Words to end its command line.

    Attributes:
        port: TCP port, the same over restarts.
        start_timeout_s: How long it may take until it answers.
        stop_timeout_s: How long it may take to stop before it is killed.
    """

    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    _title: ClassVar[str]
    _farewell: ClassVar[signal.Signals]

    def __init__(self, place: Place, port: int | None, options: Sequence[str]) -> None:
        self._place = place
        self._log_start = 0
        self._options = tuple(options)
        self._spare_ports = iter([] if port else [_some_port() for _ in range(_PORT_TRIES)])
        self.port = port or _some_port()
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        """Tell whether the server's process is there."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Return the server's process id.

        Raises:
            DependencyError: It was not started, or was stopped.
        """
        if self._child is None:
            raise DependencyError(f"{self._title} is not running")
        return self._child.pid

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it answers.

        Raises:
            UnreachableError: It did not come up; the message ends with the end of its log.
            SettingsError: Its program cannot be run here.
        """
        if self.running:
            return
        self.kill()  # what one that ended by itself has left
        self._prepare()
        while not (_is_free(self.port) and self._comes_up()):
            taken = not _is_free(self.port)
            spare = next(self._spare_ports, None)
            if spare is None or not taken:
                reason = "the port is taken" if taken else f"its log ends with:\n{self._log_tail()}"
                raise UnreachableError(f"{self._title} did not come up on {HOST}:{self.port}; {reason}")
            self.port = spare
        self._spare_ports = iter(())  # from here on clients know the port

    def stop(self) -> None:
        """Stop the server in order; where it does not end within `stop_timeout_s`, kill it."""
        self._end(self._farewell)

    def kill(self) -> None:
        """Let the server crash: send SIGKILL and wait until it is gone."""
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
        self._place.cwd.mkdir(parents=True, exist_ok=True)
        self._place.log.touch()

    def _comes_up(self) -> bool:
        self._log_start = self._place.log.stat().st_size
        deadline = time.monotonic() + self.start_timeout_s
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._child = Child(self._command(), self._place, self._farewell)
            while self.running and time.monotonic() < deadline:
                if self._answers():
                    undo.pop_all()
                    return True
                time.sleep(_POLL_S)
        return False

    def _log_tail(self) -> str:
        lines = self._place.log.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether the server takes commands now."""


def _some_port() -> int:
    # Below those of outgoing connections: one of them could take the port while the server is down.
    return 20_000 + secrets.randbelow(12_000)


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        # As the servers do; else connections that linger after a stop would count as a listener.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True
