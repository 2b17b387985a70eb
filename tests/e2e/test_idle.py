"""An idle worker sleeps: it wakes for nothing but its ticks, and what Redis and PostgreSQL say to it."""

import re
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import StartWorker

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_linux]

_SETTLED_S = 3.0
_MEASURED_S = 4.0
_MOST_WAKES_A_S = 16  # measured: 7; a loop that looks ten times a second would be found


def _wakes(pid: int) -> int:
    """Count how often the threads of a process have slept so far."""
    texts = [(thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[0]) for text in texts)


def test_an_idle_worker_wakes_a_few_times_a_second(start_worker: StartWorker) -> None:
    worker = start_worker()
    assert worker.process is not None
    time.sleep(_SETTLED_S)  # after its start it has things to do
    before, began = _wakes(worker.process.pid), time.monotonic()
    time.sleep(_MEASURED_S)
    wakes = _wakes(worker.process.pid) - before
    assert wakes < _MOST_WAKES_A_S * (time.monotonic() - began), wakes
