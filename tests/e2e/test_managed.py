"""Servers as clouds rent them out: no superuser of PostgreSQL, and a Redis that refuses what operates it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import RunningWorker, run_command
from tests.support.guarded import make_role
from tests.support.library import fill
from tests.support.servers import execute, fetch_value, redis_binaries, running
from worker.embedded import PostgresServer, RedisServer

_BINARIES = redis_binaries()
_REFUSED = (
    *("ACL", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "LASTSAVE", "MIGRATE"),
    *("MODULE", "MONITOR", "OBJECT", "PSYNC", "REPLICAOF", "SAVE", "SHUTDOWN", "SLAVEOF", "SWAPDB", "SYNC"),
)
"""What Memorystore refuses by its documents, and more that only operates a server."""
_MORE = "superuser createdb createrole replication bypassrls"


@pytest.fixture
def redis_binary(request: pytest.FixtureRequest) -> Path:
    return _BINARIES[request.param]


def test_a_redis_that_refuses_what_operates_it_is_enough(redis_binary: Path, database_url: str, tmp_path: Path) -> None:
    execute(database_url, fill(90))
    (tmp_path / "run").mkdir(mode=0o700)
    options = [word for name in _REFUSED for word in ("--rename-command", name, "")]
    with running(lambda folder: RedisServer(folder, binary=redis_binary, options=options)) as server:
        settings = {"REDIS_URL": server.url, "DATABASE_URL": database_url}
        worker = RunningWorker(settings, tmp_path).start().wait_ready()
        try:
            for words in (("check",), ("weights", "set", "music=1", "--wait"), ("stats",), ("watch", "--once")):
                ended = run_command(*words, "--json", settings=settings, cwd=tmp_path)
                assert ended.returncode == 0, ended.stderr
                assert json.loads(ended.stdout)
        finally:
            assert worker.stop() == 0
    told = {line["event"] for line in worker.lines()}
    assert not {name for name in told if name.endswith(("_refused", "_failed")) or name == "redis.lost"}


@pytest.fixture
def owned_url() -> Iterator[str]:
    """A database whose owner may make roles and databases, and is no superuser."""
    with running(PostgresServer) as server:
        execute(server.url, "create role master login createrole createdb")
        execute(server.url, "create database audio owner master")
        yield server.url.removesuffix("postgres").replace("postgres@", "master@") + "audio"


def test_an_owner_who_is_no_superuser_migrates_and_makes_the_roles(owned_url: str, tmp_path: Path) -> None:
    made = run_command("migrate", settings={"DATABASE_URL": owned_url}, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    execute(owned_url, fill(90))
    superuser = owned_url.replace("master@", "postgres@")
    for role in ("sampler", "curator"):
        for _ in range(2):
            make_role(owned_url, role)
        assert fetch_value(owned_url.replace("master@", f"{role}@"), "select count(id) from audio_chunks") == 90
        execute(superuser, f"alter role {role} {_MORE}")
        make_role(superuser, role)
        found = "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls from pg_roles"
        assert fetch_value(superuser, f"{found} where rolname = '{role}'") is False
