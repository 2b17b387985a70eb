"""Errors of real servers name the URL, what is wrong and what to do; they show no secret."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from tests.support.certificates import Authority
from tests.support.terminator import behind
from tests.support.waiting import wait_until
from worker.adapters.redis.client import connect, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.refusals import meaning_of
from worker.embedded import RedisServer
from worker.errors import RedisError

_SOON_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    options = ("--enable-protected-configs", "yes")
    with RedisServer(tmp_path_factory.mktemp("refusing"), options=options) as running:
        yield running


@asynccontextmanager
async def _configured(server: RedisServer, *command: str | int) -> AsyncIterator[Any]:
    """Send a command as the administrator of a private server; yield the administrator's client."""
    async with connect(server.url, timeout_s=_SOON_S) as admin:
        if command:
            await admin.execute_command(*command)
        yield admin


async def _refusal(url: str, *command: str) -> str:
    """Return the error of a command, which is the same over both kinds of connections."""
    sentences = set()
    async with connect(url, timeout_s=2.0) as client:
        direct = DirectConnection(client, "any")
        for call in (client.execute_command, direct.call):
            with pytest.raises(RedisError) as caught, redis_errors("a command"):
                await call(*command)
            sentences.add(str(caught.value))
        direct.close()
    [sentence] = sentences
    assert "h1dden" not in sentence
    return sentence


async def test_a_server_that_is_not_there() -> None:
    sentence = await _refusal("redis://me:h1dden@127.0.0.1:1/0", "PING")
    assert sentence == "Redis at redis://me:***@127.0.0.1:1/0 is not reachable: connection refused; is it running?"


async def test_a_host_that_nobody_knows() -> None:
    sentence = await _refusal("redis://nobody.invalid:6379", "PING")
    assert sentence == "Redis at redis://nobody.invalid:6379 is not reachable: the name of its host is not known"


async def test_passwords(server: RedisServer) -> None:
    place = server.url.removeprefix("redis://")
    sentence = await _refusal(f"redis://me:h1dden@{place}", "PING")
    assert sentence == f"Redis at redis://me:***@{place} refused the login: wrong user name or password"
    sentence = await _refusal(f"redis://:h1dden@{place}", "PING")
    assert sentence == (
        f"Redis at redis://:***@{place} refused the login: it has no password; accepted: a URL without one"
    )
    async with _configured(server, "CONFIG", "SET", "requirepass", "right") as admin:
        sentence = await _refusal(server.url, "PING")
        await admin.execute_command("CONFIG", "SET", "requirepass", "")
    assert sentence == (
        f"Redis at {server.url} refused the login: it asks for a password; accepted: a URL that has one"
    )


async def test_a_right_that_is_missing_is_named(server: RedisServer) -> None:
    url = server.url.replace("//", "//me:h1dden@")
    accepted = "accepted: the rights of deploy/redis.acl"
    async with _configured(server, "ACL", "SETUSER", "me", "on", ">h1dden", "~mine*", "+@all", "-hget", "-config|get"):
        for command, missing in (
            (("HGET", "mine", "x"), "user me may not run HGET"),
            (("CONFIG", "GET", "save"), "user me may not run CONFIG GET"),
            (("EVAL", "return redis.call('HGET', KEYS[1], 'x')", "1", "mine"), "user me may not run HGET"),
            (("GET", "others"), "its user may not use a key or channel that this needs"),
        ):
            sentence = await _refusal(url, *command)
            assert sentence == f"Redis at {url.replace('h1dden', '***')} refused a command: {missing}; {accepted}"


@pytest.mark.parametrize(
    ("change", "back", "said"),
    [
        (("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0), "its memory is full; accepted: "),
        (("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE"), "it is a replica and accepts no changes; "),
        (
            ("CONFIG", "SET", "min-replicas-to-write", 1),
            ("CONFIG", "SET", "min-replicas-to-write", 0),
            "too few of its replicas are connected",
        ),
    ],
    ids=["OOM", "READONLY", "NOREPLICAS"],
)
async def test_writes_that_are_refused(
    server: RedisServer, change: tuple[str | int, ...], back: tuple[str | int, ...], said: str
) -> None:
    async with _configured(server, *change) as admin:
        sentence = await _refusal(server.url, "SET", "x", "y")
        await admin.execute_command(*back)
    assert sentence.startswith(f"Redis at {server.url} refused a command: {said}")


async def test_a_disk_that_is_gone(server: RedisServer, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    async with _configured(server, "CONFIG", "SET", "dir", str(gone)) as admin:
        await admin.execute_command("CONFIG", "SET", "save", "3600 1")
        gone.rmdir()
        await admin.execute_command("BGSAVE")

        async def has_failed() -> bool:
            about = await admin.info("persistence")
            return bool(about["rdb_last_bgsave_status"] == "err")

        await wait_until(has_failed, timeout_s=_SOON_S, what="saving fails")
        sentence = await _refusal(server.url, "SET", "x", "y")
        await admin.execute_command("CONFIG", "SET", "dir", str(tmp_path))
        await admin.execute_command("CONFIG", "SET", "save", "")
    assert sentence.endswith("refused a command: it cannot save its data and accepts no changes (MISCONF); see its log")


async def test_a_server_that_has_as_many_clients_as_it_may(server: RedisServer) -> None:
    async with _configured(server, "CONFIG", "SET", "maxclients", 1) as admin:
        sentence = await _refusal(server.url, "PING")
        await admin.execute_command("CONFIG", "SET", "maxclients", 100)
    assert sentence.endswith("is not reachable: it has as many clients as its `maxclients` allows")


async def test_tls_on_one_side_alone(server: RedisServer, tmp_path: Path) -> None:
    encrypted = server.url.replace("redis://", "rediss://")
    sentence = await _refusal(encrypted, "PING")
    assert sentence.startswith(f"Redis at {encrypted} is not reachable: ")
    assert sentence.endswith("; where the server has no TLS, the URL starts with redis://")
    authority = Authority(tmp_path)
    with behind(server.port, authority.server_side(authority.pair())) as port:
        plain = f"redis://127.0.0.1:{port}/0"
        sentence = await _refusal(plain, "PING")
    assert sentence == (
        f"Redis at {plain} is not reachable: the server closed the connection; "
        "where the server asks for TLS, the URL starts with rediss://"
    )


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "it is still loading its data"),
        (redis.exceptions.ClusterDownError("The cluster is down"), "its cluster is down"),
        (redis.exceptions.ResponseError("BUSY Valkey is busy running a script."), "another script has kept it busy"),
        (
            redis.exceptions.ResponseError("NOPERM settling lacks the right to XADD audio:x script: f00"),
            "its user may not run XADD audio:x; accepted: the rights of deploy/redis.acl",
        ),
        (redis.exceptions.ResponseError("ERR something of redis://u:h1dden@h"), "ERR something of redis://u:***@h"),
        (redis.exceptions.ResponseError(), "ResponseError"),
    ],
)
def test_what_takes_long_to_bring_about(error: Exception, meaning: str) -> None:
    assert meaning_of(error).startswith(meaning)
