"""A library that the command has imported, and a worker that holds its columns."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.conftest import client, libraries, make_client, worker
from tests.e2e.conftest import Run, StartWorker, run, settings, start_worker
from tests.support.examples import run_example
from tests.support.pytorch import Imported

__all__ = ["client", "libraries", "make_client", "run", "settings", "start_worker", "worker"]

Serve = Callable[..., str]
RunPrinted = Callable[..., list[str]]


@pytest.fixture
def serve(run: Run, start_worker: StartWorker) -> Serve:
    """Import a manifest, and start a worker that holds its columns; returns what the import noted."""

    def begin(*words: str) -> str:
        done = run("catalog", "import", *words)
        assert done.returncode == 0, done.stderr
        start_worker(WORKER_CATALOG_COLUMNS="path,start_s,duration_s")
        return done.stderr

    return begin


@pytest.fixture
def run_printed(redis_url: str, prefix: str, tmp_path: Path, libraries: Imported) -> RunPrinted:
    """Run the example of the client's page that has some words, and return the lines that it wrote."""

    def begin(words: str) -> list[str]:
        settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix}
        return run_example(words, tmp_path, settings, imported=libraries).finish().splitlines()

    return begin
