"""Real servers, started once a run and only if a test asks for one; a prefix and a database for each test."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.servers import (
    describe_servers,
    execute,
    new_database,
    redis_binaries,
    running,
    sweep,
)
from tests.support.streams import Desk, desk_at
from worker.adapters.redis.streams import RedisStreams
from worker.embedded import PostgresServer, RedisServer
from worker.run_dir.announcement import list_announced
from worker.settings.environment import run_dirs

_BINARIES = redis_binaries()
_ANY = "valkey"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs root or Linux where that is missing, and soaks unless `-m` names them."""
    missing = {
        "needs_root": os.geteuid() != 0,
        "needs_linux": sys.platform != "linux",
        "soak": "soak" not in config.option.markexpr,
    }
    left_out = [marker for marker, is_missing in missing.items() if is_missing]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, left_out))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses Redis on each kind of server, or on one where the kind plays no part."""
    is_any = metafunc.definition.get_closest_marker("any_redis") is not None
    for name in ("redis_server", "redis_binary"):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, [_ANY] if is_any else [*_BINARIES], indirect=True)


def pytest_report_header() -> list[str]:
    running = [
        f"an `up` runs with data in {one.data}: end it, tests would find it" for one in list_announced(run_dirs())
    ]
    return [*describe_servers(), *running]


@pytest.fixture(autouse=True)
def _described(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Record what fault a test is about: `table.py` makes a row of it."""
    marker = request.node.get_closest_marker("fault")
    if marker is not None:
        words, *cases = marker.args
        record_property("fault", words)
        record_property("cases", " ".join(cases))
        callspec = getattr(request.node, "callspec", None)
        kinds = [kind for kind in _BINARIES if callspec and kind in callspec.id.split("-")]
        is_any = request.node.get_closest_marker("any_redis") is not None
        record_property("server", "" if is_any or not kinds else kinds[0])


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One of the servers that the contract names; not to be stopped or killed by a test."""
    with running(lambda folder: RedisServer(folder, binary=_BINARIES[request.param])) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """A start of names for one test, which has to keep to it: a key elsewhere fails the test."""
    name = f"t{secrets.token_hex(4)}"
    yield name
    strangers = sweep(redis_url, name)
    assert not strangers, f"the test left keys outside its prefix {name}: {', '.join(strangers)}"


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, protocol=2, decode_responses=False, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """PostgreSQL; not to be stopped or killed by a test."""
    with running(PostgresServer) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    from worker.adapters.postgres.migrate import migrate  # noqa: PLC0415 - most tests need no schema

    name = "template_migrated"
    execute(postgres_server.url, f"create database {name}")
    asyncio.run(migrate(postgres_server.url.removesuffix("postgres") + name))
    return name


@pytest.fixture
def database_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A database of one test, with the schema in it."""
    with new_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of one test, with nothing in it."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture
async def desk(redis_url: str, prefix: str) -> AsyncIterator[Desk]:
    """What a test of the streams works with: keys, a client, and consumers."""
    async with desk_at(redis_url, prefix) as desk:
        yield desk


@pytest.fixture
async def stream(desk: Desk) -> RedisStreams:
    """One consumer of an open stream."""
    stream = desk.consumer("one")
    await stream.open()
    return stream
