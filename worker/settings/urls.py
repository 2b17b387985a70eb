"""Check server URLs before a driver sees them. No error sentence repeats a part that could be a password."""

import re
from collections.abc import Sequence

from worker.core.keys import TAGGED_PATTERN

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
_AUTHORITY_END = re.compile(r"[/?#]")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(?::(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65_535
_QUOTES = ("'", '"', "`")
# Spelling of other programs -> what to write here.
_INSTEAD = {
    "valkey": "redis://",
    "valkeys": "rediss://",
    "redis+tls": "rediss://",
    "redis+socket": "unix://",
    "redis-sentinel": "redis+sentinel://",
    "sentinel": "redis+sentinel://",
    "redis-cluster": "redis+cluster://",
    "pgsql": "postgresql://",
    "postgis": "postgresql://",
    "prisma+postgres": "the direct postgres:// URL of the database",
    "prisma": "the direct postgres:// URL of the database",
    "https": "the URL for clients of the server itself, not for HTTP",
    "http": "the URL for clients of the server itself, not for HTTP",
}


def check_url(url: str, schemes: Sequence[str]) -> str:
    """Return a URL unchanged if it can be one.

    Args:
        url: The URL as given.
        schemes: Accepted schemes, in lower case.

    Raises:
        ValueError: It cannot. The text says why and holds no secret.
    """
    if is_quoted(url):
        raise ValueError("it stands in quotes, which `docker --env-file` keeps: write it without")
    scheme = _SCHEME.match(url)
    if not scheme:
        hint = ", which stands behind jdbc: here" if url.startswith("jdbc:") else ""
        raise ValueError(f"it does not start with a scheme and ://{hint}")
    if scheme[1] not in schemes:
        raise ValueError(f"it starts with {scheme[0]}{_hint(scheme[1], schemes)}")
    if not url.isprintable() or " " in url:
        raise ValueError("it holds a space or a control character, which are written percent-encoded")
    _check_addresses(url[scheme.end() :], has_hosts=scheme[1] != "unix")
    if "#" in url:
        raise ValueError("it holds a #, which is written %23")
    return url


def is_quoted(value: str) -> bool:
    """Return whether a value is in quotes. A shell removes them, an env file of Docker keeps them."""
    return len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]


def _hint(scheme: str, schemes: Sequence[str]) -> str:
    """Return what to write instead of another program's scheme, if that is clear."""
    plain = scheme.lower()
    dialect = plain.partition("+")[0]
    instead = _INSTEAD.get(plain) or next((f"{known}://" for known in (plain, dialect) if known in schemes), None)
    return f"; write {instead}" if instead else ""


def check_prefix(prefix: str, url: str) -> str:
    """Return a prefix unchanged, unless Redis Cluster would spread its names over several nodes.

    Args:
        prefix: Start of every key.
        url: URL of Redis.

    Raises:
        ValueError: It would. The text says what is accepted.
    """
    if url.startswith("redis+cluster://") and not TAGGED_PATTERN.fullmatch(prefix):
        raise ValueError("a cluster would keep its names on several nodes; accepted: a hash tag such as {audio}")
    return prefix


def _check_addresses(rest: str, *, has_hosts: bool) -> None:
    """Refuse hosts and ports that are not valid. A password that was not encoded looks like that."""
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    path = rest[len(authority) :].partition("?")[0]
    _, at, hosts = authority.rpartition("@")
    if not has_hosts and (len(path) < len("/x") or hosts):
        raise ValueError("it names no socket by an absolute path")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if (not at and "@" in path) or not all(found):
        raise ValueError(
            "its host or port is not valid, or the password holds a character that is written percent-encoded"
        )
    if any(match and match["port"] and not 0 < int(match["port"]) <= _LAST_PORT for match in found):
        raise ValueError(f"its port is not from 1 to {_LAST_PORT}")
