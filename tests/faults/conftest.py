"""What tests of faults share: a server of their own, workers, and the figures that the table shows."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.records import Stay
from tests.faults.trial import Figure, Trial
from tests.support.library import fill, ready_in, session
from tests.support.proxy import Proxy
from tests.support.servers import execute, redis_binaries, running
from worker.embedded import RedisServer

_BINARIES = redis_binaries()
_CHUNKS = {"voice": 300, "music": 200, "documentary": 100}


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Record a figure for the table; of several, the largest counts."""

    def record(what: str, value: float, unit: str) -> None:
        record_property("figure", f"{what}|{value:.4g}|{unit}")

    return record


@pytest.fixture(params=_BINARIES)
def binary(request: pytest.FixtureRequest) -> Path:
    return _BINARIES[request.param]


@pytest.fixture
def options() -> list[str]:
    """Options of the server; tests override them by parametrization."""
    return ["--appendonly", "yes"]


@pytest.fixture
def own_server(binary: Path, options: list[str]) -> Iterator[RedisServer]:
    """A server that the test may stop, kill and configure."""
    with running(lambda folder: RedisServer(folder, binary=binary, options=options)) as server:
        yield server


@pytest.fixture
def proxy(own_server: RedisServer) -> Iterator[Proxy]:
    """A link to that server."""
    with Proxy(own_server.port) as link:
        yield link


@pytest.fixture
def stays(database_url: str) -> list[Stay]:
    """Fill the library; tell its chunks."""
    for category, count in _CHUNKS.items():
        execute(database_url, fill(count, f"'{category}'"))
    return asyncio.run(_stays(database_url))


async def _stays(database_url: str) -> list[Stay]:
    async with session(database_url) as connection:
        ready = await ready_in(connection)
    return [Stay(int(chunk), category) for category, chunks in ready.items() for chunk in chunks]


@pytest.fixture
def trial(
    own_server: RedisServer, database_url: str, stays: list[Stay], tmp_path: Path, figure: Figure
) -> Iterator[Trial]:
    """A trial with a server of its own; its workers end with it."""
    (tmp_path / "run").mkdir(mode=0o700)
    with ExitStack() as undo:
        trial = Trial(own_server, {"DATABASE_URL": database_url}, tmp_path, stays=stays, figure=figure)
        undo.callback(trial.end)
        yield trial
