"""Workers of neighbouring releases serve one group; one of a release too far away says so and ends."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Run, StartWorker
from tests.support.servers import connect
from worker.core.keys import GROUP, Keys
from worker.core.workers.states import WIRE_VERSION


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with connect(redis_url) as client:
        yield client


def _shows(client: Any, prefix: str, version: int) -> str:
    """Show the state of another live worker, of some version."""
    keys = Keys(prefix)
    client.xgroup_create(keys.requests, GROUP, "0", mkstream=True)
    client.xgroup_createconsumer(keys.requests, GROUP, "other")
    client.set(keys.worker("other"), json.dumps({"consumer": "other", "wire_version": version}), ex=60)
    return keys.worker("other")


@pytest.mark.parametrize("apart", [2, 7])
def test_a_worker_does_not_serve_beside_a_release_too_far_away(client: Any, prefix: str, run: Run, apart: int) -> None:
    _shows(client, prefix, WIRE_VERSION + apart)
    ended = run("run", WORKER_CONSUMER="w-1")
    client.delete(Keys(prefix).worker("other"))
    assert ended.returncode == 2
    assert f"other has {WIRE_VERSION + apart}, w-1 has {WIRE_VERSION}" in ended.stderr
    assert "`pip install --upgrade sampling-worker`" in ended.stderr


def test_a_worker_serves_beside_the_next_release(client: Any, prefix: str, start_worker: StartWorker) -> None:
    key = _shows(client, prefix, WIRE_VERSION + 1)
    worker = start_worker()
    state = json.loads(client.get(Keys(prefix).worker("w-1")))
    assert state["wire_version"] == WIRE_VERSION
    assert state["version"]
    assert worker.stop() == 0
    assert client.delete(key) == 1
