"""One connection to PostgreSQL under our rules: a deadline on everything, and errors that name who must act."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import anyio
import asyncpg

from worker.adapters.certificates import certificate_problem
from worker.core.redaction import redact
from worker.errors import PostgresError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
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
    with translated(database_url):
        connection: Connection = await asyncpg.connect(
            database_url,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=statement_timeout_s,
            server_settings={"application_name": "sampling-worker"},
            statement_cache_size=0,  # a pooler between us and the server does not keep prepared statements
        )
    try:
        if problem := version_problem(connection.get_server_version()):
            raise PostgresError(f"PostgreSQL at {redact(database_url)}: {problem}")
        _keep_alive(connection)
        yield connection
        await _close(connection)
    finally:
        # asyncpg leaves a connection open after a timeout; and what a failed block had begun must not go on.
        connection.terminate()


def version_problem(version: tuple[int | str, ...]) -> str | None:
    """Tell what is wrong with a server's version; None: nothing.

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
        PostgresError: PostgreSQL could not be reached, did not answer in time, or refused a statement.
    """
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise PostgresError(f"PostgreSQL at {redact(database_url)}: {_sentence(error, accepted)}") from error


def _sentence(error: Exception, accepted: str) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if problem := certificate_problem(error):
        return problem
    said = redact(str(error)).partition("\n")[0] or type(error).__name__
    if isinstance(error, asyncpg.UndefinedTableError) or (
        accepted != _MIGRATED and isinstance(error, asyncpg.SyntaxOrAccessError)
    ):
        said += f"; {accepted}"
    return said


def _keep_alive(connection: Connection) -> None:
    """Let the kernel notice a peer that is gone, which asyncpg does not ask of it."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    link: socket.socket | None = transport.get_extra_info("socket")
    if link is None or link.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has every one
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _close(connection: Connection) -> None:
    """Say goodbye, so that the server does not log a lost client, but wait for it only so long."""
    with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
        await connection.close()
