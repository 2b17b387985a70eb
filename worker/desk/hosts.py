"""Whose page a request comes from, by its headers Host and Origin.

A stranger's page can send requests to a desk in two ways. It names the desk's address: then the Origin is not the Host.
Or its own name is made to lead to the desk's address (DNS rebinding): then the Host is the stranger's name.

Source: RFC 6454, "The Web Origin Concept", section 7; Jackson et al. 2007, "Protecting Browsers from DNS Rebinding
Attacks", section 5.1 (check the Host).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.errors import SettingsError

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_EVERY_ADDRESS: Final = ("0.0.0.0", "[::]")  # noqa: S104 - a comparison, nothing is bound here
_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts by which the desk may be asked.

    Attributes:
        names: Names and addresses, an IPv6 address in brackets.
        has_every_address: Whether each address of this machine counts, since the desk listens on all of them. DNS
        rebinding cannot use an address: the page of an attacker has a name, or another address.
    """

    names: tuple[str, ...]
    has_every_address: bool

    def accept(self, host: str) -> bool:
        """Return whether a Host header is one of ours."""
        found = _HOST.fullmatch(host.lower())
        if not found:
            return False
        return found[1] in self.names or (self.has_every_address and _is_address(found[1]))


def make_hosts(bound: str, allowed: Sequence[str]) -> Hosts:
    """Collect the hosts by which a desk may be asked.

    Args:
        bound: The host that it listens on, as given.
        allowed: Further names.

    Raises:
        SettingsError: One of these is no host.
    """
    for name in allowed:
        found = _HOST.fullmatch(name.lower())
        if not found or found[1] != name.lower():
            accepted = "a host name or an address, without a port, such as desk.example"
            raise SettingsError(f"--allow-host {name!r} is not accepted; accepted: {accepted}")
    own = f"[{bound}]" if ":" in bound else bound
    names = dict.fromkeys([*_LOOPBACK, own.lower(), *(name.lower() for name in allowed)])
    return Hosts(tuple(name for name in names if name not in _EVERY_ADDRESS), own in _EVERY_ADDRESS)


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether a page of this origin was served under this host.

    Args:
        origin: An Origin header, such as `https://desk.example`.
        host: A Host header, such as `desk.example`.
    """
    scheme, _, place = origin.lower().partition("://")
    return scheme in _SCHEMES and place == host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
