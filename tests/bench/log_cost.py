"""What logging costs a saturated worker: CPU time a request at level info, beside level error, and without statistics.

The workers serve the same backlogs at the same time on the same core. So whatever else the machine does slows them
alike. As each has a third of the core, its wall time is three times that of a worker by itself.

    python tests/bench/log_cost.py [--json] [--quick] [--rounds N] [--server redis7]
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.backlog import BATCH, KEYS, READS_S, Case, add_backlog, assert_served, clear, send_all
from tests.bench.harness import WORKER_CORE, Servers, arguments, cpu_s, fill, pin, report, servers, worker
from tests.support.command import RunningWorker
from tests.support.waiting import wait_until_sync
from worker.core.keys import GROUP

CASES: Final = (Case(1, "json", 300_000), Case(64, "json", 300_000))
WAYS: Final = {"info": ("info", "10"), "error": ("error", "10"), "no statistics": ("error", "3600")}
"""Level of the log, and seconds between two sums of the counts."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the requests")
    parser.add_argument("--rounds", type=int, default=10, help="backlogs of each size (default: 10)")
    options = parser.parse_args()
    pin(os.getpid(), WORKER_CORE)
    rows = []
    with servers(options.server) as at, redis.Redis.from_url(at.redis_url) as client, ExitStack() as opened:
        asyncio.run(fill(at.database_url, 100_000))
        running = {name: opened.enter_context(_worker(at, *way)) for name, way in WAYS.items()}
        for case in CASES:
            used = replace(case, requests=case.requests // 3) if options.quick else case
            cpu: Counter[str] = Counter()
            requests: Counter[str] = Counter()
            for _ in range(options.rounds):
                _serve(at, client, used, running, cpu=cpu, requests=requests)
            rows.append(_row(used, options.rounds, {name: cpu[name] / requests[name] for name in WAYS}))
    report("log_cost", rows, as_json=options.json)


def _worker(at: Servers, level: str, interval_s: str) -> Any:
    return worker(
        at,
        says_ready=level == "info",
        WORKER_BATCH=str(BATCH),
        LOG_LEVEL=level,
        WORKER_STATS_INTERVAL_S=interval_s,
    )


def _serve(
    at: Servers,
    client: "redis.Redis",
    case: Case,
    running: Mapping[str, RunningWorker],
    *,
    cpu: Counter[str],
    requests: Counter[str],
) -> None:
    """Serve a backlog, and add up CPU microseconds and requests of each worker."""
    processes = [one.process for one in running.values() if one.process is not None]
    clear(at, case)
    wait_until_sync(
        lambda: _are_reading(client, len(running)), timeout_s=READS_S, what="all workers read and are shown"
    )
    before, used_s = _requests(client, running), [cpu_s(process.pid) for process in processes]
    send_all(processes, signal.SIGSTOP)
    try:
        add_backlog(at, case)
    finally:
        send_all(processes, signal.SIGCONT)
    wait_until_sync(lambda: client.xlen(KEYS.requests) == 0, timeout_s=READS_S, what="the backlog is served")
    for name, process, so_far_s in zip(running, processes, used_s, strict=True):
        cpu[name] += round((cpu_s(process.pid) - so_far_s) * 1e6)
    assert_served(client, case)
    total = sum(before.values()) + case.requests
    wait_until_sync(lambda: _requests(client, running).total() == total, timeout_s=READS_S, what="all is counted")
    requests.update(_requests(client, running))
    requests.subtract(before)


def _are_reading(client: "redis.Redis", workers: int) -> bool:
    shown = list(client.scan_iter(match=KEYS.worker("*")))
    return len(client.xinfo_consumers(KEYS.requests, GROUP)) == workers == len(shown)


def _requests(client: "redis.Redis", running: Mapping[str, RunningWorker]) -> Counter[str]:
    """Return how many requests each worker has served, as it says itself."""
    states: Sequence[Any] = client.mget([KEYS.worker(one.consumer) for one in running.values()])
    return Counter({name: json.loads(state)["requests"] for name, state in zip(running, states, strict=True)})


def _row(case: Case, rounds: int, us: Mapping[str, float]) -> dict[str, Any]:
    return {
        "size": case.size,
        "requests": rounds * case.requests,
        **{f"{name} us/request": each for name, each in us.items()},
        "logging %": 100 * (us["info"] / us["error"] - 1),
        "logging and statistics %": 100 * (us["info"] / us["no statistics"] - 1),
    }


main()
