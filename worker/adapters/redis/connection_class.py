"""Connections that redis-py makes, by our rules: each has a name in `CLIENT LIST`, and its errors name the server."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import redis.exceptions
from redis.asyncio.connection import AbstractConnection

_KNOWN = (redis.exceptions.RedisError, OSError)
_ALL = (*_KNOWN, redis.exceptions.RedisClusterException)
_SERVER = "server"


class _Named:
    """Logs in as redis-py does, and then gives its name, which no server has to accept."""

    client_word = ""
    server = ""

    async def connect(self, *args: Any, **options: Any) -> None:
        """Connect; Sentinel is asked first where it names the server."""
        with naming_server(self.server):
            await cast("Any", super()).connect(*args, **options)

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect; whatever is raised meanwhile is of the surroundings: a host's name, a file, an impossible reply."""
        connection = cast("Any", self)
        try:
            await cast("Any", super()).connect_check_health(*args, **options)
        except _KNOWN:
            raise
        except Exception as error:
            await connection.disconnect(nowait=True)
            raise redis.exceptions.ConnectionError(f"{type(error).__name__}: {error}") from error

    async def on_connect_check_health(self, *args: Any, **options: Any) -> None:
        """Log in."""
        connection = cast("Any", self)
        await cast("Any", super()).on_connect_check_health(*args, **options)
        await connection.send_command("CLIENT", "SETNAME", self.client_word, check_health=False)
        with suppress(redis.exceptions.ResponseError):  # a right or a command is missing: it works without a name
            await connection.read_response()

    async def send_packed_command(self, command: str | bytes | Iterable[bytes], check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's signature
        """Send a command.

        redis-py sends in `asyncio.wait_for`. In Python 3.11, `wait_for` may return instead of raising the cancellation.
        It does so if what it waits for is done in that moment (CPython issue 86296). `asyncio.timeout` loses no
        cancellation, and makes no task.
        """
        connection = cast("Any", self)
        with naming_server(self.server):
            if not connection.is_connected:
                await connection.connect_check_health(check_health=False)
            if check_health:
                await connection.check_health()
            try:
                await _write(connection, command)
            except (asyncio.CancelledError, redis.exceptions.RedisError):  # half a command may be written
                await connection.disconnect(nowait=True)
                raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply."""
        with naming_server(self.server):
            return await cast("Any", super()).read_response(*args, **options)


def connection_class(of_redis_py: type[AbstractConnection], name: str, server: str) -> type[AbstractConnection]:
    """Make the class of a client's connections.

    Args:
        of_redis_py: For TCP, TLS or a socket.
        name: Shown by `CLIENT LIST`.
        server: Its URL without secrets, for errors.
    """
    return type("OwnConnection", (_Named, of_redis_py), {"client_word": name, "server": server})


async def _write(connection: Any, command: str | bytes | Iterable[bytes]) -> None:
    """Write a command, and wait until the socket has taken it."""
    words = command.encode() if isinstance(command, str) else command
    try:
        async with asyncio.timeout(connection.socket_timeout):
            connection._writer.writelines([words] if isinstance(words, bytes) else words)  # noqa: SLF001
            await connection._writer.drain()  # noqa: SLF001
    except TimeoutError as error:
        raise redis.exceptions.TimeoutError("Timeout writing to socket") from error
    except OSError as error:
        raise redis.exceptions.ConnectionError(f"{error} while writing to socket") from error


@contextmanager
def naming_server(server: str) -> Iterator[None]:
    """Add to the errors of a block the server that they came from."""
    try:
        yield
    except _ALL as error:
        name_server(error, server)
        raise


def name_server(error: Exception, server: str) -> None:
    """Add to an error the server that it came from, unless it has one already.

    Args:
        error: What redis-py or the operating system raised.
        server: The server's URL without secrets.
    """
    vars(error).setdefault(_SERVER, server)


def server_of(error: BaseException) -> str:
    """Return the URL, without secrets, of the server that an error came from; empty if the error does not know."""
    cause: BaseException | None = error
    while cause is not None:
        if server := vars(cause).get(_SERVER):
            return str(server)
        cause = cause.__cause__ or cause.__context__
    return ""
