"""What one more prefix costs: memory, connections, keys, and CPU while nobody asks.

    python tests/bench/prefixes.py [--json] [--prefixes N ...] [--seconds S] [--server redis7]

Each prefix has a worker, which has answered some requests of one training. Then nobody asks any more.
"""

import asyncio
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, cpu_s, fill, report, servers, worker
from tests.support.command import RunningWorker
from tests.support.servers import connect, fetch_value
from worker.client import SampleClient

CHUNKS = 100_000
SAMPLES = 100
SESSIONS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"


def measure(at: Servers, workers: list[RunningWorker], seconds: float) -> dict[str, Any]:
    """Look at everything that these workers and their prefixes take while nobody asks."""
    count = len(workers)
    pids = [one.process.pid for one in workers if one.process is not None]
    before = [cpu_s(pid) for pid in pids], cpu_s(at.redis_pid)
    time.sleep(seconds)
    used = sum(map(cpu_s, pids)) - sum(before[0]), cpu_s(at.redis_pid) - before[1]
    with connect(at.redis_url) as client:
        raw: Any = client
        keys = [bytes(name) for name in raw.scan_iter(count=1000)]
        held = sum(int(raw.memory_usage(name, samples=0)) for name in keys)
        connections = len(raw.client_list()) - 1
    return {
        "prefixes": count,
        "worker memory (MB)": round(sum(_private_mb(pid) for pid in pids) / count, 1),
        "connections to Redis": round(connections / count, 2),
        "connections to PostgreSQL": round(fetch_value(at.database_url, SESSIONS) / count, 2),
        "keys": round(len(keys) / count, 2),
        "keys (kB)": round(held / count / 1000, 1),
        "worker CPU (%)": round(100 * used[0] / seconds / count, 2),
        "Redis CPU (%)": round(100 * used[1] / seconds / count, 3),
    }


def _private_mb(pid: int) -> float:
    """Return the memory that one process has for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def run(kind: str, prefixes: list[int], seconds: float) -> list[dict[str, Any]]:
    """Start more and more prefixes on one server, and measure at each number."""
    rows = []
    with ExitStack() as opened:
        at = opened.enter_context(servers(kind))
        asyncio.run(fill(at.database_url, CHUNKS))
        (at.folder / "run").mkdir(mode=0o700)
        workers: list[RunningWorker] = []
        for wanted in prefixes:
            while len(workers) < wanted:
                prefix = f"{{team-{len(workers)}}}"
                workers.append(opened.enter_context(worker(at, WORKER_PREFIX=prefix)))
                with SampleClient(at.redis_url, prefix=prefix) as client:
                    client.set_weights({"voice": 0.7, "music": 0.3})
                    for _ in range(SAMPLES):
                        client.sample(8)
            rows.append(measure(at, workers, seconds))
    return rows


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__)
    parser.add_argument("--prefixes", type=int, nargs="+", default=[1, 4, 12], help="how many (default: 1 4 12)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long nobody asks (default: 10)")
    asked = parser.parse_args()
    report("prefixes", run(asked.server, sorted(asked.prefixes), asked.seconds), as_json=asked.json)


if __name__ == "__main__":
    main()
