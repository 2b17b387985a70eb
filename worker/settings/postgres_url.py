"""Read a URL of PostgreSQL, as libpq, cloud providers and other programs write it.

The driver passes unknown parameters to the server, which then refuses the connection. So every parameter is read here.
One that the driver or the connection supports is applied. One that changes nothing is accepted. Any other is refused.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from worker.settings.parameters import (
    Rule,
    Value,
    choice,
    file,
    flag,
    read_parameters,
    read_value,
    seconds,
    text,
    whole,
)
from worker.settings.urls import check_url

POSTGRES_SCHEMES = ("postgresql", "postgres")
DEFAULT_PORT = 5432

_LAST_PORT = 65_535
_LONGEST_S = 86_400
_ADDRESS = re.compile(r"(\[[^\]]*\]|[^\[\]:]*)(?::(\d*))?")
_TLS_VERSIONS = ("TLSv1.2", "TLSv1.3")


def _read_ports(given: str) -> str:
    """Check a port, or one port for each host."""
    for port in given.split(","):
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
            raise ValueError
    return given


_ADDRESS_RULES = {
    "database": text(),
    "dbname": text(),
    "host": text(),
    "passfile": file(),
    "password": text(),
    "port": Rule(_read_ports, f"a port from 1 to {_LAST_PORT}, or one for each host"),
    "user": text(),
}
_TLS = {
    "channel_binding": choice("disable", "prefer", "require"),
    "requiressl": flag(),
    "ssl_max_protocol_version": choice(*_TLS_VERSIONS),
    "ssl_min_protocol_version": choice(*_TLS_VERSIONS),
    "sslcert": file(),
    "sslcrl": file(),
    "sslkey": file(),
    "sslmode": choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": choice("postgres", "direct"),
    "sslpassword": text(),
    "sslrootcert": file("system"),
}
_CONNECTION = {
    "connect_timeout": whole(0, 3600),
    "gsslib": choice("gssapi", "sspi"),
    "keepalives": flag(),
    "keepalives_count": whole(0, 127),
    "keepalives_idle": whole(0, 32_767),
    "keepalives_interval": whole(0, 32_767),
    "krbsrvname": text(),
    "target_session_attrs": choice("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "tcp_user_timeout": whole(0, 2**31 - 1),
}
_SERVER = {
    "application_name": text(),
    "fallback_application_name": text(),
    "idle_in_transaction_session_timeout": text(),
    "lock_timeout": text(),
    "options": text(),
    "role": text(),
    "search_path": text(),
    "statement_timeout": text(),
    "timezone": text(),
}
# These change nothing: text is UTF-8, nothing is compressed or prepared by name, and there is no pool.
_WITHOUT_EFFECT = {
    "client_encoding": text(),
    "connection_limit": whole(0, 1_000_000),
    "gssencmode": choice("disable", "prefer"),
    "load_balance_hosts": choice("disable"),
    "pgbouncer": flag(),
    "pool_timeout": seconds(0, _LONGEST_S),
    "socket_timeout": seconds(0, _LONGEST_S),
    "sslcertmode": choice("allow"),
    "sslcompression": flag(),
    "sslsni": flag(),
    "statement_cache_size": whole(0, 1_000_000),
    "supa": text(),
}
_RULES = {**_ADDRESS_RULES, **_TLS, **_CONNECTION, **_SERVER, **_WITHOUT_EFFECT, "schema": text()}
_WEAK = (None, "allow", "prefer")
# Variables of libpq for encryption, and for the choice among several servers.
_TLS_VARIABLES = {
    "PGSSLMODE": "sslmode",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCRL": "sslcrl",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLNEGOTIATION": "sslnegotiation",
}
_TARGET_VARIABLE, _TARGET = "PGTARGETSESSIONATTRS", "target_session_attrs"


class PostgresUrl(NamedTuple):
    """The parts of a URL. For what is None or missing, the driver's own defaults apply.

    Attributes:
        hosts: Host names, IP addresses, or folders of sockets.
        ports: One for each host.
        user: Name of the role.
        password: Password of the role.
        database: Name of the database.
        tls: Encryption and trusted certificates, by libpq's names.
        connection: Options of the connection, by libpq's names.
        settings: Server settings for the session.
    """

    hosts: list[str] | None
    ports: list[int] | None
    user: str | None
    password: str | None
    database: str | None
    tls: dict[str, str]
    connection: dict[str, Value]
    settings: dict[str, str]


def read_postgres_url(url: str) -> PostgresUrl:
    """Read a URL of PostgreSQL.

    Args:
        url: The URL as given.

    Raises:
        ValueError: It cannot be used. The text says why and holds no secret.
    """
    check_url(url, POSTGRES_SCHEMES)
    base, _, query = url.partition("?")
    given = read_parameters(query, _RULES)
    texts = {name: str(value) for name, value in given.items()}
    authority, _, path = base.partition("://")[2].partition("/")
    login, _, addresses = authority.rpartition("@")
    user, _, password = login.partition(":")
    if "database" in texts:
        texts["dbname"] = _once("dbname", texts.get("dbname", ""), texts.pop("database"))
    hosts, ports = _read_addresses(_once("host", addresses, texts.get("host", "")), texts.get("port", ""))
    return PostgresUrl(
        hosts,
        ports,
        _once("user", unquote(user), texts.get("user", "")) or None,
        _once("password", unquote(password), texts.get("password", "")) or None,
        _once("dbname", unquote(path), texts.get("dbname", "")) or None,
        _read_tls(given),
        {name: given[name] for name in (*_CONNECTION, "passfile") if name in given},
        _read_settings(texts),
    )


def complete(url: PostgresUrl, defaults: Mapping[str, str]) -> tuple[PostgresUrl, list[str]]:
    """Complete a URL from libpq's variables, as `psql` does.

    Args:
        url: The URL. What it gives has precedence.
        defaults: Values by variable.

    Returns:
        The completed URL, without the password, which the driver looks up; and the variables that were used.

    Raises:
        ValueError: A variable that is used is not valid. The text names it.
    """
    own: dict[str, object] = {
        "PGHOST": url.hosts,
        "PGPORT": url.ports,
        "PGUSER": url.user,
        "PGDATABASE": url.database,
    }
    own |= {variable: url.tls.get(name) for variable, name in _TLS_VARIABLES.items()}
    own |= dict.fromkeys(("PGPASSWORD", "PGPASSFILE"), url.password) | {_TARGET_VARIABLE: url.connection.get(_TARGET)}
    used = {variable: defaults[variable] for variable, value in own.items() if value is None and variable in defaults}
    rules = {"PGPORT": "port", **_TLS_VARIABLES, _TARGET_VARIABLE: _TARGET}
    try:
        for variable in used.keys() & rules.keys():
            read_value(rules[variable], used[variable], _RULES)
        hosts, ports = url.hosts, url.ports
        if "PGHOST" in used or "PGPORT" in used:
            hosts, ports = _complete_addresses(url, used)
    except ValueError as error:
        raise ValueError(f"{', '.join(sorted(used))} of the environment: {error}") from None
    tls = {name: used[variable] for variable, name in _TLS_VARIABLES.items() if variable in used}
    connection: dict[str, Value] = {_TARGET: used[_TARGET_VARIABLE]} if _TARGET_VARIABLE in used else {}
    completed = url._replace(
        hosts=hosts,
        ports=ports,
        user=url.user or used.get("PGUSER"),
        database=url.database or used.get("PGDATABASE"),
        tls=tls | url.tls,
        connection=connection | url.connection,
    )
    return completed, sorted(used)


def _complete_addresses(url: PostgresUrl, used: Mapping[str, str]) -> tuple[list[str] | None, list[int] | None]:
    """Read hosts and ports from the environment. One port counts for all hosts without a port."""
    addresses = used.get("PGHOST", ",".join(url.hosts or []))
    hosts, ports = _read_addresses(addresses, "")
    return hosts, url.ports or ports or _read_addresses(addresses, used.get("PGPORT", ""))[1]


def _once(name: str, *values: str) -> str:
    """Return the one value that is given, or an empty text; refuse two different ones."""
    found = {value for value in values if value}
    if len(found) > 1:
        raise ValueError(f"it gives {name} twice")
    return found.pop() if found else ""


def _read_addresses(addresses: str, given_ports: str) -> tuple[list[str] | None, list[int] | None]:
    """Read hosts and ports; None if they are not given."""
    hosts, found = [], []
    for address in addresses.split(",") if addresses else []:
        is_socket = address.startswith("/")
        read = None if is_socket else _ADDRESS.fullmatch(address)
        hosts.append(unquote(read[1].strip("[]")) if read else address if is_socket else "")
        found.append((read and read[2]) or "")
    if addresses and not all(hosts):
        raise ValueError("one of its hosts is empty or not valid")
    ports = found if any(found) else given_ports.split(",") if given_ports else []
    if any(found) and given_ports:
        raise ValueError("it gives port twice")
    if len(ports) == 1:
        ports *= max(1, len(hosts))
    if hosts and ports and len(ports) != len(hosts):
        raise ValueError(f"it gives {len(ports)} ports for {len(hosts)} hosts")
    return hosts or None, [int(port or DEFAULT_PORT) for port in ports] or None


def _read_tls(given: Mapping[str, Value]) -> dict[str, str]:
    """Collect the options of encryption, and refuse a contradiction."""
    tls = {name: str(given[name]) for name in _TLS if name in given and name not in {"channel_binding", "requiressl"}}
    mode = tls.get("sslmode")
    if given.get("channel_binding") == "require" or given.get("requiressl"):
        # The driver cannot bind a login to its TLS channel. So we demand at least that there is one.
        if mode == "disable":
            raise ValueError("its sslmode=disable contradicts what it demands of TLS")
        mode = "require" if mode in _WEAK else mode
    if tls.get("sslrootcert") == "system":
        if mode not in {None, "verify-full"}:
            raise ValueError("its sslrootcert=system needs sslmode=verify-full")
        mode = "verify-full"
    return tls if mode is None else {**tls, "sslmode": mode}


def _read_settings(texts: Mapping[str, str]) -> dict[str, str]:
    """Collect the settings of the session. Prisma calls the search path "schema"."""
    settings = {name: texts[name] for name in _SERVER if name in texts}
    fallback = settings.pop("fallback_application_name", None)
    if (schema := texts.get("schema", "public")) != "public":
        settings["search_path"] = _once(
            "search_path", '"' + schema.replace('"', '""') + '"', texts.get("search_path", "")
        )
    if fallback:
        settings.setdefault("application_name", fallback)
    return settings
