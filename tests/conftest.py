"""Real servers, started once a run and only if a test asks for one; a prefix and a database for each test."""

# ruff: noqa: E402 - what is imported below the call of pytest is what that is about

import asyncio
import gc
import importlib.util
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# Else their asserts do not say what they compared.
pytest.register_assert_rewrite("tests.bridges", "tests.desk", "tests.e2e", "tests.faults", "tests.support")

from tests.support.browsers import describe_browser, find_browser
from tests.support.servers import (
    describe_servers,
    execute,
    executing,
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
_QUIET = ("-c", "autovacuum=off", "-c", "io_method=sync")  # each database lasts for one test: nothing to clean up
# No deadlines, as tests count and never time. 50 examples a run, drawn anew each time, find more than a few long runs.
settings.register_profile("untimed", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
OPTIONAL_PROGRAMS = ("jq", "npm", "node", "journalctl", "systemd-analyze", "kubectl", "redis-cli")
"""Programs that some tests need, and that a machine may be without."""


def pytest_configure() -> None:
    """Handle SIGINT: tests send it, and a shell's background run and its children would ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes take tests: many tests wait, so more than two cores; those of faults want theirs."""
    return 6 if "not fault" in config.option.markexpr else 4


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage meanwhile: nearly all that is made here stays, and looking for it takes half of the time.

    Tests leave little garbage, so it is looked for seldom.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is missing, see the markers, and soaks unless `-m` names them."""
    missing = {
        "needs_root": os.geteuid() != 0,
        "needs_browser": find_browser() is None,
        "needs_linux": sys.platform != "linux",
        "needs_nemo": importlib.util.find_spec("nemo") is None,
        "soak": "soak" not in config.option.markexpr,
    }
    left_out = [marker for marker, is_missing in missing.items() if is_missing]
    items[:] = [
        item for item in items if not any(map(item.get_closest_marker, left_out)) and not _missing_programs(item)
    ]
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, int]:
    """Return where a test comes: first those of a browser, and then the modules of all folders among each other.

    No other process takes over a process's first test. So there is one browser, and one of what it looks at.
    Folders differ in how much their tests wait: one after the other, they would leave the processor idle for a while.
    """
    module = item.nodeid.partition("::")[0]
    return item.get_closest_marker("needs_browser") is None, crc32(module.encode())


def _missing_programs(item: pytest.Item) -> list[str]:
    """Return the programs that a test is marked to need and that are not on the path."""
    return [name for marker in item.iter_markers("needs") for name in marker.args if not shutil.which(name)]


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
    missing = [name for name in OPTIONAL_PROGRAMS if not shutil.which(name)]
    absent = [f"{name}: not on the PATH, cases not collected" for name in missing]
    return [*describe_servers(), describe_browser(), *absent, *running]


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
    with running(lambda folder: PostgresServer(folder, options=_QUIET)) as server:
        yield server


@pytest.fixture(scope="session")
def execute_for_all(postgres_server: PostgresServer) -> Iterator[Callable[[str], object]]:
    """Run statements of fixtures, on one connection for all tests."""
    with executing(postgres_server.url) as run:
        yield run


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    from worker.adapters.postgres.migrate import migrate

    name = "template_migrated"
    execute(postgres_server.url, f"create database {name}")
    asyncio.run(migrate(postgres_server.url.removesuffix("postgres") + name))
    return name


@pytest.fixture
def database_url(
    postgres_server: PostgresServer, migrated_template: str, execute_for_all: Callable[[str], object]
) -> Iterator[str]:
    """A database of one test, with the schema in it."""
    with new_database(postgres_server, template=migrated_template, by=execute_for_all) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer, execute_for_all: Callable[[str], object]) -> Iterator[str]:
    """A database of one test, with nothing in it."""
    with new_database(postgres_server, by=execute_for_all) as url:
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
