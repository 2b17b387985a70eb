"""What tests of faults share: a server of their own, workers, and the figures that the table shows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.library import Library
from tests.faults.trial import Figure, Trial
from tests.support.proxy import Proxy
from tests.support.servers import redis_binaries, running
from worker.embedded import RedisServer

_BINARIES = redis_binaries()


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Record a figure for the table; of several, the largest counts."""

    def record(what: str, value: float, unit: str) -> None:
        record_property("figure", f"{what}|{value:.4g}|{unit}")

    return record


@pytest.fixture
def redis_binary(request: pytest.FixtureRequest) -> Path:
    return _BINARIES[request.param]


@pytest.fixture
def options() -> list[str]:
    """Options of the server; tests override them by parametrization."""
    return ["--appendonly", "yes"]


@pytest.fixture
def own_server(redis_binary: Path, options: list[str]) -> Iterator[RedisServer]:
    """A server that the test may stop, kill and configure."""
    with running(lambda folder: RedisServer(folder, binary=redis_binary, options=options)) as server:
        yield server


@pytest.fixture
def proxy(own_server: RedisServer) -> Iterator[Proxy]:
    """A link to that server."""
    with Proxy(own_server.port) as link:
        yield link


@pytest.fixture
def library(database_url: str) -> Library:
    """A library of a few hundred chunks."""
    return Library(database_url)


@pytest.fixture
def trial(own_server: RedisServer, library: Library, tmp_path: Path, figure: Figure) -> Iterator[Trial]:
    """A trial with a server of its own; its workers end with it."""
    (tmp_path / "run").mkdir(mode=0o700)
    with ExitStack() as undo:
        trial = Trial(own_server, library, tmp_path, figure=figure)
        undo.callback(trial.end)
        yield trial
