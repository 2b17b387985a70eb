"""What a worker tells systemd: that it is ready, that it stops, and that it still moves.

Each message is one datagram of `NAME=value` lines, to the socket that systemd names as it starts a service.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import socket
from dataclasses import dataclass
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


@dataclass(frozen=True, slots=True)
class Systemd:
    """The systemd that started this process.

    Attributes:
        address: Its socket: a path, or a name after `@` that is in no file system. Empty: there is none.
        watchdog_s: Longest silence after which it ends this process, in s; 0: it waits for ever.
    """

    address: str = ""
    watchdog_s: float = 0.0

    def tell(self, *lines: str) -> None:
        """Send one message, without waiting.

        Raises:
            OSError: The socket is gone, or full.
        """
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
            sender.sendto("\n".join(lines).encode(), name)


def status(text: str) -> str:
    """Return the line that `systemctl status` shows."""
    return f"STATUS={text}"


def extension(seconds: float) -> str:
    """Return the line that asks for so many seconds more until a start has to be done."""
    return f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}"
