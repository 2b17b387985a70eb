"""systemd's end of a worker's notifications: a datagram socket."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESSES = ("path", "abstract")


class Listener:
    """A socket that keeps what it is told."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[list[str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def read(self) -> list[list[str]]:
        """Read what has come, and return every message so far."""
        try:
            while True:
                self.messages.append(self._socket.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return self.messages

    def lines(self) -> list[str]:
        """Return every line so far, in order."""
        return [line for message in self.read() for line in message]

    def count(self, line: str) -> int:
        return self.lines().count(line)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening(folder: Path, kind: str = "path") -> Iterator[Listener]:
    """Listen as systemd does: at a path, or at a name that is in no file system."""
    name = secrets.token_hex(8)
    listener = Listener(f"@sampling-worker/{name}" if kind == "abstract" else str(folder / name))
    try:
        yield listener
    finally:
        listener.close()
