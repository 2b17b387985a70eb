"""An idle worker sleeps: it wakes only for its ticks, and for messages of Redis and PostgreSQL."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import StartWorker
from tests.support.servers import connect, redis_binaries, running
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_linux]

_SETTLED_S = 3.0
_MEASURED_S = 4.0
_MOST_WAKES_A_S = 9  # measured: 3; a loop that looks ten times a second would be found
_HEARTBEATS = 5
_EACH_HEARTBEAT = ("exists", "get", "hgetall", "set", "xpending", "xreadgroup")
_RARELY = {"ping", "xlen"}  # every two seconds, and with each line of statistics, as is one more `xpending`
_MOST_PACKETS = 5  # a heartbeat; measured: 3.6, what is asked at a tick, the weights, a read, and rarely a PING


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


@pytest.mark.parametrize("kind", redis_binaries())
def test_an_idle_worker_asks_redis_a_few_things_a_heartbeat_in_a_few_packets(
    start_worker: StartWorker, kind: str
) -> None:
    def build(folder: Path) -> RedisServer:
        return RedisServer(folder, binary=redis_binaries()[kind])

    with running(build) as server, connect(server.url) as client:
        worker = start_worker(REDIS_URL=server.url)
        time.sleep(_SETTLED_S)
        client.config_resetstat()
        looks = 0

        def has_beaten() -> bool:
            nonlocal looks
            looks += 1
            time.sleep(0.2)
            return _calls(client).get("set", 0) >= _HEARTBEATS

        wait_until_sync(has_beaten, timeout_s=60, what="it shows its state some times")
        packets = int(client.info("stats").get("total_reads_processed", 0)) - looks - 2
        calls = _calls(client)
        worker.stop()
    assert set(calls) <= {*_EACH_HEARTBEAT, *_RARELY}, calls
    assert max(calls[name] for name in _EACH_HEARTBEAT) <= calls["set"] + 2, calls
    assert packets <= _MOST_PACKETS * (calls["set"] + 1), (packets, calls)


def _calls(client: Any) -> dict[str, int]:
    """Count the commands of others so far."""
    told = {name.removeprefix("cmdstat_"): one["calls"] for name, one in client.info("commandstats").items()}
    return {name: calls for name, calls in told.items() if name not in {"info", "config|resetstat"}}
