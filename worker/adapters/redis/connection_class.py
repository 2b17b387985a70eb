"""Connections that redis-py makes, by our rules: quick to pack, named where the server takes it, and sure to tell."""

from contextlib import suppress
from typing import Any, cast

import hiredis
import redis.exceptions
from redis.asyncio.connection import AbstractConnection

_KNOWN = (redis.exceptions.RedisError, OSError)


class _Named:
    """Log in as redis-py does, and then give the name, which no server has to take."""

    client_word = ""

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect; whatever is raised meanwhile is of the surroundings: a name, a file, a reply that is none."""
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
        with suppress(redis.exceptions.ResponseError):  # a right or a command that is missing: it works without
            await connection.read_response()


class _Packed:
    """Pack commands by hiredis: redis-py's asyncio connections do it in Python, a third of all the time of a worker."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack one command; a name of two words is two arguments."""
        return [hiredis.pack_command((*args[0].split(), *args[1:]))]


def connection_class(of_redis_py: type[AbstractConnection], name: str, *, packs: bool) -> type[AbstractConnection]:
    """Make the class of a client's connections.

    Args:
        of_redis_py: For TCP, TLS or a socket.
        name: Shown by `CLIENT LIST`.
        packs: Whether to pack by hiredis.
    """
    bases = (*((_Packed,) if packs else ()), _Named, of_redis_py)
    return type("OwnConnection", bases, {"client_word": name})
