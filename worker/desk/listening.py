"""The socket that a desk listens on, taken before anything else starts."""

import errno
import ipaddress
import socket
from typing import Final

from worker.errors import SettingsError

PORT: Final = 8088
_BACKLOG: Final = 128
_REASONS: Final = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this user may not listen there",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
}


def listen(host: str, port: int | None) -> socket.socket:
    """Listen.

    Args:
        host: A name or an address of this machine.
        port: The port; 0: a free one; None: 8088, or a free one where that is taken.

    Raises:
        SettingsError: That is not possible; the sentence says why.
    """
    try:
        return _listen(host, PORT if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return listen(host, 0)
        reason = _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()
        where = f"{host}, port {PORT if port is None else port}"
        accepted = "an address of this machine, and a port that is free; --port 0 takes any"
        raise SettingsError(f"the desk cannot listen on {where}: {reason}; accepted: {accepted}") from None


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only programs of this machine can connect."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def url_of(listening: socket.socket, host: str) -> str:
    """Return the URL that a browser opens.

    Args:
        listening: The socket.
        host: As it was given; where that means all addresses, the URL names this machine.
    """
    address, port = listening.getsockname()[:2]
    if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
        return f"http://localhost:{port}/"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _listen(host: str, port: int) -> socket.socket:
    """Listen on the first address that a name stands for.

    Raises:
        OSError: That is not possible.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
