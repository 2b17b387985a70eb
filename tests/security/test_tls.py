"""TLS and mutual TLS to both servers: what is trusted serves, anything else is refused with a sentence that says why.

The wheels' servers have no TLS, so that it stands in front of them; servers that have it, alone, under Sentinel and as
a cluster, are in tests/adapters/redis/test_client.py.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.support.certificates import Authority, Pair
from tests.support.command import RunningWorker, run_command
from tests.support.servers import execute
from tests.support.terminator import behind
from tests.support.waiting import wait_until_sync
from worker.adapters.postgres.counts import count_chunks
from worker.adapters.redis.client import connect, redis_errors
from worker.core.keys import Keys
from worker.embedded import PostgresServer, RedisServer
from worker.embedded.loopback import HOST
from worker.errors import PostgresError, RedisError

DEADLINE_S = 60.0
NOT_TRUSTED = "unable to get local issuer certificate"


class Fronts:
    """TLS in front of both servers, by certificates of one authority; closed with the test."""

    def __init__(self, redis_port: int, database_url: str, folder: Path, stack: ExitStack) -> None:
        self.authority = Authority(folder)
        self._redis_port = redis_port
        self._address, self._database = database_url.rsplit("/", 1)
        self._stack = stack

    def redis(self, pair: Pair | None = None, *, asks_clients: bool = False) -> str:
        """Return a URL without options."""
        context = self.authority.server_side(pair or self.authority.pair(), asks_clients=asks_clients)
        return f"rediss://{HOST}:{self._stack.enter_context(behind(self._redis_port, context))}/0"

    def postgres(self, pair: Pair | None = None, *, asks_clients: bool = False) -> str:
        """Return a URL without options."""
        context = self.authority.server_side(pair or self.authority.pair(), asks_clients=asks_clients)
        port = int(self._address.rpartition(":")[2])
        front = self._stack.enter_context(behind(port, context, is_asked_first=True))
        return f"postgresql://postgres@{HOST}:{front}/{self._database}"


@pytest.fixture
def fronts(redis_server: RedisServer, database_url: str, tmp_path: Path) -> Iterator[Fronts]:
    with ExitStack() as stack:
        yield Fronts(redis_server.port, database_url, tmp_path, stack)


def postgres_query(authority: Authority) -> str:
    own = authority.pair("worker")
    return f"sslmode=verify-full&sslrootcert={authority.file}&sslcert={own.certificate}&sslkey={own.key}"


def test_a_worker_serves_behind_mutual_tls(
    fronts: Fronts, redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    execute(database_url, "insert into audio_chunks (category, status) values (1, 'READY')")
    settings = {
        "REDIS_URL": f"{fronts.redis(asks_clients=True)}?{fronts.authority.client_query()}",
        "DATABASE_URL": f"{fronts.postgres(asks_clients=True)}?{postgres_query(fronts.authority)}",
        "WORKER_PREFIX": prefix,
    }
    worker = RunningWorker(settings, tmp_path).start()
    try:
        worker.wait_ready()
        sampled = run_command("sample", "--field", "category=1", settings=settings, cwd=tmp_path)
        assert sampled.returncode == 0, sampled.stderr
        execute(
            f"{fronts._address}/{fronts._database}", "insert into audio_chunks (category, status) values (2, 'READY')"
        )
        wait_until_sync(lambda: worker.events("catalog.changed"), timeout_s=DEADLINE_S, what="the change is heard of")
    finally:
        assert worker.stop() == 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.hget(Keys(prefix).stats, "requests:") == b"1"


def refusal_by_redis(url: str) -> str:
    """Return why a connection fails."""

    async def attempt() -> str:
        async with connect(url, timeout_s=5.0) as client:
            with pytest.raises(RedisError) as caught, redis_errors("PING"):
                await client.execute_command("PING")
        return str(caught.value)

    return asyncio.run(attempt())


def refusal_by_postgres(url: str) -> str:
    with pytest.raises(PostgresError) as caught:
        asyncio.run(count_chunks(url))
    return str(caught.value)


def test_rediss_verifies_unless_told_otherwise(fronts: Fronts) -> None:
    """No option: the authorities of the machine are trusted, and this one is none of them."""
    url = fronts.redis()
    refusal = refusal_by_redis(url)
    assert refusal.startswith(f"Redis at {url} is not reachable: the server's certificate is refused: {NOT_TRUSTED}")
    assert "; accepted: one that is valid now, for the host in the URL" in refusal


@pytest.mark.fault(
    "certificates of another host, time or authority; none; no TLS at all: refused, in one sentence", "D09"
)
@pytest.mark.parametrize("server", ["redis", "postgres"])
@pytest.mark.parametrize(
    ("host", "is_over", "reason"),
    [
        ("elsewhere.example", False, f"IP address mismatch, certificate is not valid for '{HOST}'"),
        (HOST, True, "certificate has expired"),
    ],
)
def test_a_certificate_of_another_host_or_time_is_refused(
    fronts: Fronts, server: str, *, host: str, is_over: bool, reason: str
) -> None:
    pair, trusted = fronts.authority.pair(host, is_over=is_over), fronts.authority.file
    if server == "redis":
        refusal = refusal_by_redis(f"{fronts.redis(pair)}?ssl_ca_certs={trusted}")
    else:
        refusal = refusal_by_postgres(f"{fronts.postgres(pair)}?sslmode=verify-full&sslrootcert={trusted}")
    assert f"the server's certificate is refused: {reason}; accepted: " in refusal


@pytest.mark.fault(
    "certificates of another host, time or authority; none; no TLS at all: refused, in one sentence", "D09"
)
def test_an_unknown_authority_is_refused(fronts: Fronts, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").file
    for refusal in (
        refusal_by_redis(f"{fronts.redis()}?ssl_ca_certs={other}"),
        refusal_by_postgres(f"{fronts.postgres()}?sslmode=verify-full&sslrootcert={other}"),
    ):
        assert f"the server's certificate is refused: {NOT_TRUSTED}; accepted: " in refusal


@pytest.mark.fault(
    "certificates of another host, time or authority; none; no TLS at all: refused, in one sentence", "D09"
)
def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(fronts: Fronts) -> None:
    trusted = fronts.authority.file
    assert "is not reachable: " in refusal_by_redis(f"{fronts.redis(asks_clients=True)}?ssl_ca_certs={trusted}")
    url = f"{fronts.postgres(asks_clients=True)}?sslmode=verify-full&sslrootcert={trusted}"
    assert "PostgreSQL at " in refusal_by_postgres(url)


@pytest.mark.fault(
    "certificates of another host, time or authority; none; no TLS at all: refused, in one sentence", "D09"
)
def test_nobody_is_talked_to_in_clear_text_where_tls_is_asked_for(
    redis_server: RedisServer, postgres_server: PostgresServer
) -> None:
    assert "where the server has no TLS" in refusal_by_redis(
        f"rediss://{HOST}:{redis_server.port}?socket_connect_timeout=0.5"
    )
    url = f"postgresql://postgres@{HOST}:{postgres_server.port}/postgres?sslmode=require"
    assert "rejected SSL upgrade" in refusal_by_postgres(url)


def test_a_worker_says_so_once_and_waits_and_a_command_ends_with_status_3(
    fronts: Fronts, prefix: str, tmp_path: Path
) -> None:
    settings = {"REDIS_URL": fronts.redis(), "DATABASE_URL": fronts.postgres(), "WORKER_PREFIX": prefix}
    worker = RunningWorker(settings, tmp_path).start().wait_ready()
    shown = run_command("weights", "show", settings=settings, cwd=tmp_path)
    lost = worker.events("redis.lost")
    worker.stop()
    assert NOT_TRUSTED in shown.stderr
    assert shown.returncode == 3
    assert len(shown.stderr.splitlines()) == 1
    assert [NOT_TRUSTED in line["message"] for line in lost] == [True]
