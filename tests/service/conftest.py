"""What several tests of feeds use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.feeding import Log
from worker.logs import emit as logs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        logs.configure("debug", "json", context={}, fd=file.fileno())
        yield Log(path)
        logs.shutdown(10)
