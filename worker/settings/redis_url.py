"""What a URL of Redis or Valkey may say, as providers and other programs write it."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from worker.settings.parameters import Rule, Rules, Value, choice, file, flag, read_parameters, seconds, text, whole
from worker.settings.urls import check_url

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


def _read_name(name: str) -> str:
    """Read a client's name, which Redis takes without spaces."""
    if not name or not name.isprintable() or " " in name:
        raise ValueError
    return name


_LEAST_TIMEOUT_S = 2  # reads wait up to 1 s for something to come
_LONGEST_TIMEOUT_S = 3600
_LEAST_CONNECTIONS = 10  # more than a worker, a client or a command opens at a time
_DATABASE = re.compile(r"/?|/\d{1,9}")
_TLS_START = "ssl_"
# Celery, kombu and others spell the same words so.
_CERTIFICATES = {"CERT_NONE": "none", "CERT_OPTIONAL": "optional", "CERT_REQUIRED": "required"}
# What the adapters rely on.
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
_TLS_ELSEWHERE = ("ssl", "tls")  # so others ask for it
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
    """Hold what a URL says.

    Attributes:
        scheme: One of `REDIS_SCHEMES`.
        place: The URL without its parameters.
        options: Its parameters, as redis-py names them.
    """

    scheme: str
    place: str
    options: dict[str, Value]


def read_redis_url(url: str) -> RedisUrl:
    """Read a URL of Redis or Valkey.

    Args:
        url: What was given.

    Raises:
        ValueError: It cannot be used; the text says why, and is fit to be shown.
    """
    check_url(url, REDIS_SCHEMES)
    place, _, query = url.partition("?")
    scheme = place.partition("://")[0]
    if scheme in {"redis", "rediss"}:
        _check_place(urlsplit(place))
    _refuse_names(scheme, query)
    options = read_parameters(query, _RULES[scheme])
    if "ssl_cert_reqs" in options:
        given = str(options["ssl_cert_reqs"])
        options["ssl_cert_reqs"] = _CERTIFICATES.get(given, given)
    return RedisUrl(scheme, place, options)


def _check_place(parts: SplitResult) -> None:
    """Refuse what one server's address does not have."""
    if not _DATABASE.fullmatch(parts.path):
        raise ValueError(f"{parts.path} is not the number of a database")
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError("it names several hosts, which redis+sentinel:// and redis+cluster:// take")


def _refuse_names(scheme: str, query: str) -> None:
    """Refuse parameters that are known, and cannot be chosen here."""
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if chosen := sorted(names & _OURS):
        raise ValueError(f"{', '.join(chosen)} cannot be chosen here")
    asking = sorted(names & {*_TLS, *_TLS_ALONE, *_TLS_ELSEWHERE})
    if asking and scheme in {"redis", "unix"}:
        raise ValueError(f"{', '.join(asking)} asks for TLS, which rediss:// speaks")
