"""Connect to Redis and Valkey by our rules, and translate their errors.

By default redis-py sends a command again, up to ten times, when its reply was lost: an XADD would add two entries. So
its retries are off. Our own loops repeat what can be repeated, and every wait has an end.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import redis.exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from worker.adapters.redis.connection_class import connection_class, naming_server, server_of
from worker.adapters.redis.refusals import find_meaning, meaning_of
from worker.adapters.unreachable import reason_of, tls_advice
from worker.core.redaction import redact
from worker.errors import (
    GroupMissingError,
    RedisError,
    RedisLoginError,
    RedisUnreachableError,
    RefusedError,
    SettingsError,
    UnreadableError,
)
from worker.settings.redis_url import RedisUrl, read_redis_url

Client = Redis | RedisCluster
CONNECT_TIMEOUT_S = 3.0
_DEFAULT_PORT = 6379
_DEFAULT_SENTINEL_PORT = 26379
_RAW_REPLIES = ("XREADGROUP", "XCLAIM", "XAUTOCLAIM", "XPENDING", "XRANGE", "XREVRANGE", "XREAD")
# When a stream vanishes, a blocked read gets UNBLOCKED from Redis 7.0 and NOGROUP from later ones.
_GROUP_GONE = ("NOGROUP", "UNBLOCKED")
# A second attempt does not change these: a password, a right, the type of a key.
_LASTING = (redis.exceptions.NoPermissionError,)
_LASTING_WORDS = ("ACL failure", "The user executing the script can't")  # within scripts; the latter is Redis 7.0's
_WRONG_TYPE = "WRONGTYPE"
_LOGIN = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthenticationWrongNumberOfArgsError,
    redis.exceptions.AuthorizationError,
)
# The server serves nobody for now; a later attempt may succeed.
_AWAY = (redis.exceptions.ClusterDownError, redis.exceptions.BusyLoadingError)
_OF_REDIS = (redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError, TimeoutError)


class _SentinelClient(Redis):
    """A client that also closes its connections to the sentinels, which redis-py leaves open."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's signature
        """Close everything."""
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        await pool.sentinel_manager.aclose()


class _ClusterClient(RedisCluster):
    """A cluster client that adds its URL to errors of no single node, and waits while a slot is moved."""

    server = ""
    patience_s = 0.0

    async def initialize(self, *args: Any, **options: Any) -> RedisCluster:
        """Ask the nodes which keys each of them holds."""
        with naming_server(self.server):
            return await super().initialize(*args, **options)

    async def _execute_command(self, target_node: ClusterNode, *args: Any, **options: Any) -> Any:
        """Send a command, and again while its slot is moved, for as long as a reply may take.

        redis-py gives up after 16 answers that say ASK, TRYAGAIN or MOVED, which takes half a second. None of them did
        anything, so the command can be sent again.
        """
        until = time.monotonic() + self.patience_s
        while True:
            try:
                return await super()._execute_command(target_node, *args, **options)
            except redis.exceptions.ClusterError as error:
                if isinstance(error, redis.exceptions.ResponseError):
                    raise
                if time.monotonic() > until:
                    raise redis.exceptions.TryAgainError("rehashing of slot") from error


def connect(url: str, *, timeout_s: float) -> Client:
    """Make a client; it connects when it is first used.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:port,.../service[/db]`, `redis+cluster://`; the
            latter two speak TLS, as `rediss://` does, if they have an option that begins with `ssl_`.
        timeout_s: Longest wait for a reply, > 0; a blocking read has to end before.

    Raises:
        SettingsError: The URL is not one of these.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "protocol": 2,
        "client_name": "sampling-worker",
        "driver_info": None,  # CLIENT SETINFO is newer than Redis 7.0, so that no role may be allowed it by name
    }
    try:
        return _raw(_make_client(url, options))
    except (ValueError, TypeError, redis.exceptions.RedisError) as error:
        raise SettingsError(f"REDIS_URL {redact(url)} is not accepted: {redact(str(error))}") from None


def redis_errors(doing: str) -> AbstractContextManager[None]:
    """Translate what redis-py raises; the sentences name the server, what is wrong, and what to do.

    Args:
        doing: What was being done, for the sentence of a refusal.

    Raises:
        GroupMissingError: The consumer group or its stream is gone.
        RedisLoginError: Redis refused the login.
        RedisUnreachableError: Redis could not be reached, did not answer in time, or serves nobody for now.
        UnreadableError: A key holds another type than it should.
        RedisError: Redis refused the command.
    """
    return _Translating(doing)


class _Translating:
    """Translates what a block raises. Each request passes through several; a generator would take a microsecond."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """Raise what the block's error means."""
        if isinstance(error, _OF_REDIS):
            raise _translated(error, self._doing) from error


def _translated(error: Exception, doing: str) -> RedisError:
    if isinstance(error, _LOGIN):
        return RedisLoginError(f"{_place(error)} refused the login: {meaning_of(error)}")
    if isinstance(error, _AWAY):
        return _unreachable(error, meaning_of(error))
    if not isinstance(error, redis.exceptions.ResponseError):
        return _unreachable(error, find_meaning(error) or reason_of(error))
    sentence = f"{_place(error)} refused {doing}: {meaning_of(error)}"
    if _WRONG_TYPE in str(error):
        return UnreadableError(f"{sentence}; accepted: once that key is deleted (DEL)")
    kind = GroupMissingError if any(word in str(error) for word in _GROUP_GONE) else RedisError
    return kind(sentence)


def _place(error: Exception) -> str:
    server = server_of(error)
    return f"Redis at {server}" if server else "Redis"


def _unreachable(error: Exception, reason: str) -> RedisUnreachableError:
    server = server_of(error)
    advice = tls_advice(reason, is_encrypted="rediss://" in server or "ssl_" in server) if server else ""
    return RedisUnreachableError(f"{_place(error)} is not reachable: {reason}{advice}", reason)


@contextmanager
def redis_refusals(doing: str) -> Iterator[None]:
    """Translate what redis-py raises; a refusal that will be repeated is a `RefusedError`.

    Args:
        doing: What was being done, for the sentence.

    Raises:
        RefusedError: Redis refused the command, and will refuse it again.
        RedisError: Redis could not be reached, did not answer in time, or refused the command for now.
    """
    try:
        with redis_errors(doing):
            yield
    except RefusedError:
        raise
    except RedisError as error:
        if isinstance(error.__cause__, _LASTING) or any(word in str(error.__cause__) for word in _LASTING_WORDS):
            raise RefusedError(str(error)) from error
        raise


def _make_client(url: str, options: dict[str, Any]) -> Client:
    """Make the client that a URL's scheme asks for."""
    said = read_redis_url(url)
    options |= said.options | _read_tls(said) | {"retry": Retry(NoBackoff(), 0)}
    name, server = str(options.pop("client_name")), redact(url)
    if said.scheme == "redis+cluster":
        cluster = _connect_cluster(said, options)
        cluster.server = server
        kind: Any = connection_class(cluster.connection_kwargs["connection_class"], name, server)
        cluster.connection_kwargs["connection_class"] = kind  # of the nodes that are found later
        for node in cluster.startup_nodes:
            node.connection_class = kind
        return cluster
    client = _connect_sentinel(said, options) if said.scheme == "redis+sentinel" else _connect_server(said, options)
    pool: Any = client.connection_pool
    pool.connection_class = connection_class(pool.connection_class, name, server)
    pool.make_connection()  # refuses options of the URL that no connection has; connects nowhere
    return client


def _read_tls(said: RedisUrl) -> dict[str, Any]:
    """Read the URL's options for TLS; refuse those that cannot be used, such as a file that is not PEM."""
    tls: dict[str, Any] = {name: value for name, value in said.options.items() if name.startswith("ssl_")}
    if not tls:
        return {}
    try:
        SSLConnection(**tls).ssl_context.get()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"its ssl_ options cannot be used ({reason}); accepted: PEM files") from error
    return {**tls, "ssl": True}


def _raw(client: Client) -> Client:
    """Keep redis-py from turning stream replies into dictionaries, which lose repeated fields and cost time."""
    for command in _RAW_REPLIES:
        client.set_response_callback(command, _as_sent)
    return client


def _as_sent(response: Any, **_options: Any) -> Any:
    return response


def _connect_server(said: RedisUrl, options: dict[str, Any]) -> Redis:
    """Connect to one server."""
    options.pop("ssl", None)  # the scheme says it
    client: Redis = Redis.from_url(said.base, **options)
    return client


def _connect_cluster(said: RedisUrl, options: dict[str, Any]) -> "_ClusterClient":
    """Connect to the cluster that the nodes of a URL belong to."""
    parts = urlsplit(said.base)
    nodes = [ClusterNode(*_host_and_port(host, _DEFAULT_PORT)) for host in _hosts(parts)]
    cluster = _ClusterClient(startup_nodes=nodes, **{**options, **_login(parts)})
    cluster.patience_s = float(options["socket_timeout"])
    return cluster


def _connect_sentinel(said: RedisUrl, options: dict[str, Any]) -> Redis:
    """Connect to the master that the sentinels of a URL name."""
    parts = urlsplit(said.base)
    service, _, database = parts.path.strip("/").partition("/")
    hosts = _hosts(parts)
    if not service or not all(hosts):
        raise ValueError("it has to look like redis+sentinel://host:26379,host:26379/service/0")
    sentinels = [_host_and_port(host, _DEFAULT_SENTINEL_PORT) for host in hosts]
    sentinel_login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    options |= _login(parts)
    manager: Any = Sentinel(sentinels, sentinel_kwargs={**options, **sentinel_login})  # type: ignore[no-untyped-call]
    client: Redis = manager.master_for(service, _SentinelClient, db=int(database or 0), **options)
    return client


def _login(parts: SplitResult) -> dict[str, str]:
    given = {"username": parts.username, "password": parts.password}
    return {name: unquote(word) for name, word in given.items() if word}


def _hosts(parts: SplitResult) -> list[str]:
    return parts.netloc.rpartition("@")[2].split(",")


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or port
