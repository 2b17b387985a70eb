"""Read a URL of Redis or Valkey, as cloud providers and other programs write it."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from worker.settings.parameters import Rule, Rules, Value, choice, file, flag, read_parameters, seconds, text, whole
from worker.settings.urls import check_url

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


def _read_name(name: str) -> str:
    """Check the name of a client. Redis refuses spaces in it."""
    if not name or not name.isprintable() or " " in name:
        raise ValueError
    return name


_LEAST_TIMEOUT_S = 2  # a blocking read takes up to 1 s
_LONGEST_TIMEOUT_S = 3600
_LEAST_CONNECTIONS = 10  # more than a worker, a client or a command ever opens
_DATABASE = re.compile(r"/?|/\d{1,9}")
_NAME = re.compile(r"[/A-Za-z0-9_-]*", re.ASCII)
_TLS_START = "ssl_"
# Spelling of Celery, kombu and others.
_CERTIFICATES = {"CERT_NONE": "none", "CERT_OPTIONAL": "optional", "CERT_REQUIRED": "required"}
# The adapters depend on their own values of these.
_OURS = frozenset({"protocol", "decode_responses", "legacy_responses", "retry_on_timeout"})
_ANY = {
    "client_name": Rule(_read_name, "a name without spaces"),
    "health_check_interval": whole(0, 86_400),
    "max_connections": whole(_LEAST_CONNECTIONS, 1_000_000),
    "password": text(),
    "socket_connect_timeout": seconds(0.001, _LONGEST_TIMEOUT_S),
    "socket_read_size": whole(1024, 1 << 24),
    "socket_timeout": seconds(_LEAST_TIMEOUT_S, _LONGEST_TIMEOUT_S),
    "username": text(),
}
_TCP = {"socket_keepalive": flag()}
_TLS = {
    "ssl_ca_certs": file(),
    "ssl_ca_data": Rule(str, "certificates in PEM form"),
    "ssl_cert_reqs": choice("none", "optional", "required", *_CERTIFICATES),
    "ssl_certfile": file(),
    "ssl_check_hostname": flag(),
    "ssl_ciphers": text(),
    "ssl_keyfile": file(),
    "ssl_min_version": whole(769, 772),
}
_TLS_ALONE = {"ssl_ca_path": text(), "ssl_password": text()}  # redis-py's cluster client does not know them
_TLS_ELSEWHERE = ("ssl", "tls")  # names of other programs for TLS
_SENTINEL = {"sentinel_username": text(), "sentinel_password": text()}
_MOST = 999_999_999
_RULES: dict[str, Rules] = {
    "redis": {**_ANY, **_TCP, "db": whole(0, _MOST)},
    "rediss": {**_ANY, **_TCP, **_TLS, **_TLS_ALONE, "db": whole(0, _MOST)},
    "unix": {**_ANY, "db": whole(0, _MOST)},
    "redis+sentinel": {**_ANY, **_TCP, **_TLS, **_TLS_ALONE, **_SENTINEL},
    "redis+cluster": {**_ANY, **_TCP, **_TLS},
}


class RedisUrl(NamedTuple):
    """The parts of a URL.

    Attributes:
        scheme: One of `REDIS_SCHEMES`.
        base: The URL without its parameters.
        options: Its parameters, by redis-py's names.
    """

    scheme: str
    base: str
    options: dict[str, Value]


def read_redis_url(url: str) -> RedisUrl:
    """Read a URL of Redis or Valkey.

    Args:
        url: The URL as given.

    Raises:
        ValueError: It cannot be used. The text says why and holds no secret.
    """
    check_url(url, REDIS_SCHEMES)
    base, _, query = url.partition("?")
    scheme = base.partition("://")[0]
    if scheme in {"redis", "rediss"}:
        _check_address(urlsplit(base))
    _refuse_names(scheme, query)
    options = read_parameters(query, _RULES[scheme])
    if "ssl_cert_reqs" in options:
        given = str(options["ssl_cert_reqs"])
        options["ssl_cert_reqs"] = _CERTIFICATES.get(given, given)
    return RedisUrl(scheme, base, options)


def _check_address(parts: SplitResult) -> None:
    """Refuse what is not part of the address of one server."""
    if not _DATABASE.fullmatch(parts.path):
        shown = parts.path if _NAME.fullmatch(parts.path) else "what follows its host"  # where a password may be
        raise ValueError(f"{shown} is not the number of a database")
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError("it names several hosts, which redis+sentinel:// and redis+cluster:// take")


def _refuse_names(scheme: str, query: str) -> None:
    """Refuse known parameters that cannot be set here."""
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if chosen := sorted(names & _OURS):
        raise ValueError(f"{', '.join(chosen)} cannot be chosen here")
    asking = sorted(names & {*_TLS, *_TLS_ALONE, *_TLS_ELSEWHERE})
    if asking and scheme in {"redis", "unix"}:
        raise ValueError(f"{', '.join(asking)} asks for TLS, which rediss:// speaks")
