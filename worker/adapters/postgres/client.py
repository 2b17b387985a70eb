"""One connection to PostgreSQL under our rules: a deadline on everything, and errors that name who must act."""

import getpass
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

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

_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
# The server is gone, going, coming, or full: who asks again later may be served.
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
# By the system's names: what libpq calls it, and what it is where the URL does not say.
_KEEPALIVE = {
    "TCP_KEEPIDLE": ("keepalives_idle", 10),
    "TCP_KEEPINTVL": ("keepalives_interval", 5),
    "TCP_KEEPCNT": ("keepalives_count", 3),
    "TCP_USER_TIMEOUT": ("tcp_user_timeout", 20_000),
}
_MIGRATED = "`sampling-worker migrate` creates audio_chunks"
_OLDEST = 15  # the oldest that the tests were run on
_LIFT = """
select set_config(name, '0', true) from pg_settings
where name in ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout')"""


@asynccontextmanager
async def connected(database_url: str, *, statement_timeout_s: float) -> AsyncIterator[Connection]:
    """Open a connection for the time of a block, and drop it at once when the block fails.

    Args:
        database_url: A `postgresql://` URL.
        statement_timeout_s: Longest wait for an answer, where a call names none; seconds.

    Raises:
        PostgresError: PostgreSQL could not be reached, refused us, or is too old.
    """
    connection, link = await _connect(database_url, statement_timeout_s)
    try:
        if problem := version_problem(connection.get_server_version()):
            raise PostgresError(f"PostgreSQL at {redact(database_url)}: {problem}")
        _keep_alive(connection, link)
        yield connection
        await _close(connection)
    finally:
        # asyncpg leaves a connection open after a timeout; and what a failed block had begun must not go on.
        connection.terminate()


async def _connect(database_url: str, statement_timeout_s: float) -> tuple[Connection, Mapping[str, Value]]:
    """Connect; whatever is raised meanwhile is of the surroundings: a name, a file, a user, a server."""
    taken: list[str] = []
    try:
        url, taken[:] = complete(read_postgres_url(database_url), postgres_defaults())
        options = _options(url, statement_timeout_s)
        return await _connect_encrypted(options, ways_to_encrypt(url.tls)), url.connection
    except Exception as error:
        note = f" ({', '.join(taken)} of the environment took part)" if taken else ""
        is_wish = isinstance(error, ValueError) and not isinstance(error, OSError)
        if is_wish or isinstance(error, PostgresLoginError):  # what is asked for cannot be
            raise PostgresLoginError(f"PostgreSQL at {redact(database_url)}: {redact(str(error))}{note}") from error
        raise _translate(error, database_url, _MIGRATED, note) from error


def _options(url: PostgresUrl, statement_timeout_s: float) -> dict[str, Any]:
    """Set every option that the driver would otherwise look for in the environment and the home folder."""
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
        "statement_cache_size": 0,  # a pooler between us and the server does not keep prepared statements
        "direct_tls": url.tls.get("sslnegotiation") == "direct",
        "target_session_attrs": url.connection.get("target_session_attrs", "any"),
        "krbsrvname": url.connection.get("krbsrvname"),
        "gsslib": url.connection.get("gsslib", "gssapi"),
    }


async def _connect_encrypted(options: Mapping[str, Any], ways: Sequence[ssl.SSLContext | bool]) -> Connection:
    """Connect in the first way that the server takes."""
    first, *others = ways
    try:
        connection: Connection = await asyncpg.connect(**options, ssl=first)
    except (asyncpg.InvalidAuthorizationSpecificationError, ConnectionError, ssl.SSLError) as error:
        if not others or isinstance(error, (asyncpg.InvalidPasswordError, ConnectionRefusedError)):
            raise
        return await _connect_encrypted(options, others)
    return connection


def _own_name() -> str:
    """Return the name of the user who runs this, which is the role where the URL names none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise PostgresLoginError(
            "it names no user, and the user who runs this has no name; accepted: postgresql://USER@HOST/DATABASE"
        ) from None


def version_problem(version: tuple[int | str, ...]) -> str | None:
    """Return what is wrong with a server's version; None: nothing.

    Args:
        version: As the server tells it, the major number first.
    """
    major = int(version[0])
    return None if major >= _OLDEST else f"its version is {major}; accepted: {_OLDEST} or later"


async def lift_limits(connection: Connection) -> None:
    """Keep the limits that were set for this role from ending the transaction that is open: the deadlines are ours."""
    await connection.execute(_LIFT)


@contextmanager
def translated(database_url: str, *, accepted: str = _MIGRATED) -> Iterator[None]:
    """Turn what asyncpg and the operating system raise into our own error.

    Args:
        database_url: For the sentence.
        accepted: What to say where the server cannot make sense of a statement.

    Raises:
        PostgresUnreachableError: PostgreSQL could not be reached, did not answer in time, or serves nobody for now.
        PostgresLoginError: PostgreSQL refused the login, or has no such database.
        PostgresError: PostgreSQL refused a statement.
    """
    try:
        yield
    except _DRIVERS as error:
        raise _translate(error, database_url, accepted) from error


def _translate(error: Exception, database_url: str, accepted: str, note: str = "") -> PostgresError:
    """Make our own error of what was raised: away, the login refused, or something refused."""
    place = f"PostgreSQL at {redact(database_url)}"
    if isinstance(error, OSError) and error.filename:  # a certificate, say
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
    if isinstance(error, asyncpg.UndefinedTableError) or (
        accepted != _MIGRATED and isinstance(error, asyncpg.SyntaxOrAccessError)
    ):
        said += f"; {accepted}"
    return said


def _keep_alive(connection: Connection, given: Mapping[str, Value]) -> None:
    """Ask the kernel to notice a peer that is gone: asyncpg does not."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    link: socket.socket | None = transport.get_extra_info("socket")
    if link is None or link.family not in {socket.AF_INET, socket.AF_INET6} or not given.get("keepalives", True):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, (parameter, usual) in _KEEPALIVE.items():
        value = int(given.get(parameter, 0)) or usual
        if hasattr(socket, name):  # not every system has every one
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _close(connection: Connection) -> None:
    """Close the connection in order, within a deadline, so that the server logs no lost client."""
    with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
        await connection.close()
