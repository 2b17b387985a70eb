"""One connection to PostgreSQL: it has a deadline for everything, and its errors say who must act."""

import getpass
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypeAlias

import anyio
import asyncpg

from worker.adapters.postgres.tls import ways_to_encrypt
from worker.adapters.unreachable import CLOSED, reason_of
from worker.core.redaction import redact
from worker.errors import PostgresError, PostgresLoginError, PostgresUnreachableError
from worker.settings.environment import postgres_defaults
from worker.settings.parameters import Value
from worker.settings.postgres_url import PostgresUrl, complete, read_postgres_url

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PreparedStatement: TypeAlias = "asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]"

_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
# The server is away, stopping, starting or full; a later attempt may succeed.
_AWAY = (
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ConnectionFailureError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
)
_DRIVERS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
# By the system's names: the name in libpq, and the value if the URL gives none.
_KEEPALIVE = {
    "TCP_KEEPIDLE": ("keepalives_idle", 10),
    "TCP_KEEPINTVL": ("keepalives_interval", 5),
    "TCP_KEEPCNT": ("keepalives_count", 3),
    "TCP_USER_TIMEOUT": ("tcp_user_timeout", 20_000),
}
_MIGRATE, _TABLE = "`sampling-worker migrate`", "audio_chunks"
_MIGRATED = f"{_MIGRATE} creates {_TABLE}"
_OLDEST = 15  # the oldest version that the tests run on
_LIFT = """
select set_config(name, '0', true) from pg_settings
where name in ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout')"""


class Place(NamedTuple):
    """Where one server listens: a host name, an IP address or a folder of sockets, and a port."""

    host: str
    port: int


@asynccontextmanager
async def connected(
    database_url: str, *, statement_timeout_s: float, place: Place | None = None
) -> AsyncIterator[Connection]:
    """Open a connection for a block, and drop it at once if the block fails.

    Args:
        database_url: A `postgresql://` URL.
        statement_timeout_s: Longest wait for an answer, in seconds, for calls that name no other.
        place: The only server to connect to, of those that the URL names; None: any of them.

    Raises:
        PostgresError: PostgreSQL could not be reached, refused the connection, or is too old.
    """
    connection, link = await _connect(database_url, statement_timeout_s, place)
    try:
        if problem := version_problem(connection.get_server_version()):
            raise PostgresError(f"PostgreSQL at {redact(database_url)}: {problem}")
        _keep_alive(connection, link)
        yield connection
        await _close(connection)
    finally:
        # asyncpg leaves a connection open after a timeout, but the statement of a failed block must not go on.
        connection.terminate()


def place_of(connection: Connection) -> Place:
    """Return which of the servers that a URL names a connection leads to."""
    address: str | tuple[str, int] = connection._addr  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    if isinstance(address, tuple):
        return Place(*address)
    folder, _, port = address.rpartition("/.s.PGSQL.")
    return Place(folder, int(port))


async def _connect(
    database_url: str, statement_timeout_s: float, place: Place | None
) -> tuple[Connection, Mapping[str, Value]]:
    """Connect; every error meanwhile comes from outside: a name, a file, a user or a server."""
    taken: list[str] = []
    try:
        url, taken[:] = complete(read_postgres_url(database_url), postgres_defaults())
        if place is not None:
            url = url._replace(hosts=[place.host], ports=[place.port])
        options = _options(url, statement_timeout_s)
        return await _connect_encrypted(options, ways_to_encrypt(url.tls)), url.connection
    except Exception as error:
        note = f" ({', '.join(taken)} of the environment took part)" if taken else ""
        is_wish = isinstance(error, ValueError) and not isinstance(error, OSError)
        if is_wish or isinstance(error, PostgresLoginError):  # a later attempt would fail as well
            raise PostgresLoginError(f"PostgreSQL at {redact(database_url)}: {redact(str(error))}{note}") from error
        raise _translate(error, database_url, _MIGRATED, note) from error


def _options(url: PostgresUrl, statement_timeout_s: float) -> dict[str, Any]:
    """Return the driver's options, so that it does not look for any in the environment or the home folder."""
    user = url.user or _own_name()
    return {
        "host": url.hosts,
        "port": url.ports,
        "user": user,
        "password": url.password,
        "passfile": url.connection.get("passfile"),
        "database": url.database or user,
        "timeout": float(url.connection.get("connect_timeout", 0)) or _CONNECT_TIMEOUT_S,
        "command_timeout": statement_timeout_s,
        "server_settings": {"application_name": "sampling-worker", **url.settings},
        "statement_cache_size": 0,  # a pooler in between does not keep prepared statements
        "direct_tls": url.tls.get("sslnegotiation") == "direct",
        "target_session_attrs": url.connection.get("target_session_attrs", "any"),
        "krbsrvname": url.connection.get("krbsrvname"),
        "gsslib": url.connection.get("gsslib", "gssapi"),
    }


async def _connect_encrypted(options: Mapping[str, Any], ways: Sequence[ssl.SSLContext | bool]) -> Connection:
    """Connect in the first way that the server accepts."""
    first, *others = ways
    try:
        connection: Connection = await asyncpg.connect(**options, ssl=first)
    except (asyncpg.InvalidAuthorizationSpecificationError, ConnectionError, ssl.SSLError) as error:
        # Of several servers, the one before may have refused no more than the encryption.
        is_away = isinstance(error, ConnectionRefusedError) and len(options["host"] or ()) < 2  # noqa: PLR2004
        if not others or is_away or isinstance(error, asyncpg.InvalidPasswordError):
            raise
        return await _connect_encrypted(options, others)
    return connection


def _own_name() -> str:
    """Return the name of the current user, which is the role if the URL names none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise PostgresLoginError(
            "it names no user, and the user who runs this has no name; accepted: postgresql://USER@HOST/DATABASE"
        ) from None


def version_problem(version: tuple[int | str, ...]) -> str | None:
    """Return what is wrong with a server's version, or None.

    Args:
        version: The server's version, the major number first.
    """
    major = int(version[0])
    return None if major >= _OLDEST else f"its version is {major}; accepted: {_OLDEST} or later"


async def lift_limits(connection: Connection) -> None:
    """Lift the role's own time limits for the open transaction, as the deadlines are set here."""
    await connection.execute(_LIFT)


@contextmanager
def translated(database_url: str, *, accepted: str = _MIGRATED) -> Iterator[None]:
    """Translate errors of asyncpg and the operating system.

    Args:
        database_url: For the message.
        accepted: What the message says is accepted, if the server does not understand a statement.

    Raises:
        PostgresUnreachableError: PostgreSQL could not be reached, did not answer in time, or serves nobody now.
        PostgresLoginError: PostgreSQL refused the login, or has no such database.
        PostgresError: PostgreSQL refused a statement.
    """
    try:
        yield
    except _DRIVERS as error:
        raise _translate(error, database_url, accepted) from error


def _translate(error: Exception, database_url: str, accepted: str, note: str = "") -> PostgresError:
    """Return our error for a driver's: unreachable, login refused, or statement refused."""
    place = f"PostgreSQL at {redact(database_url)}"
    if isinstance(error, OSError) and error.filename:  # for example a certificate
        return PostgresError(f"{place}: {error.filename} cannot be used ({error.strerror}){note}")
    if isinstance(error, _AWAY):
        said = str(error).partition("\n")[0] if isinstance(error, asyncpg.PostgresError) else ""
        reason = redact(said) or reason_of(error)
        return PostgresUnreachableError(f"{place} is not reachable: {reason}{note}", reason)
    if isinstance(error, asyncpg.InterfaceError) and "connection is closed" in str(error):
        return PostgresUnreachableError(f"{place} is not reachable: {CLOSED}{note}", CLOSED)
    sentence = f"{_sentence(error, accepted)}{note}"
    if isinstance(error, _LOGIN):
        return PostgresLoginError(f"{place} refused the login: {sentence}")
    if isinstance(error, _DRIVERS):
        return PostgresError(f"{place}: {sentence}")
    return PostgresError(f"{place}: {type(error).__name__}: {sentence}")


def _sentence(error: Exception, accepted: str) -> str:
    said = redact(str(error)).partition("\n")[0] or type(error).__name__
    if isinstance(error, asyncpg.UndefinedTableError) and _TABLE in said:
        return f"{said}; {accepted if _MIGRATE in accepted else _MIGRATED}"
    if isinstance(error, asyncpg.UndefinedTableError) or (
        accepted != _MIGRATED and isinstance(error, asyncpg.SyntaxOrAccessError)
    ):
        said += f"; {accepted}"
    return said


def _keep_alive(connection: Connection, given: Mapping[str, Value]) -> None:
    """Turn on TCP keepalive, which asyncpg does not, so that the kernel notices a peer that is gone."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    link: socket.socket | None = transport.get_extra_info("socket")
    if link is None or link.family not in {socket.AF_INET, socket.AF_INET6} or not given.get("keepalives", True):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, (parameter, usual) in _KEEPALIVE.items():
        value = int(given.get(parameter, 0)) or usual
        if hasattr(socket, name):  # systems differ in which of these they have
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _close(connection: Connection) -> None:
    """Close the connection in order, so that the server logs no lost client, but wait only a limited time."""
    with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
        await connection.close()
