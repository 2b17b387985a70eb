"""What tests of faults share: a server of their own, workers, and the record of what the table shows."""

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
        record_property("server", kinds[0] if kinds else "")


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
