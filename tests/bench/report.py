"""A long log of many workers, drawn by `report`: lines a second, beside `json.loads` alone over the same lines.

The log is as workers write it. Every 10 s, each of 8 workers logs its counts and those of 30 categories. Now and then
it logs a change of weights. The log is read once as workers write it, and once as Docker keeps it. CPU seconds say more
than seconds where others use the machine too.

    python tests/bench/report.py [--lines N] [--json]
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, report
from worker.settings.environment import environment_with

LINES = 1_000_000
WORKERS, CATEGORIES = 8, 30
INTERVAL_S, CHANGE_EVERY = 10, 500
EXPECTED = 33.3
_START = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


def entries() -> Iterator[dict[str, Any]]:
    """Yield what workers log, interval after interval."""
    chance, weights = random.Random(1), {f"category-{i}": 1 / CATEGORIES for i in range(CATEGORIES)}
    for interval in count():
        version = f"v{interval // CHANGE_EVERY}"
        for number in range(WORKERS):
            at = _START + interval * INTERVAL_S + number / 100
            stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            head = {"timestamp": stamp, "level": "info", "consumer": f"worker-{number}"}
            if interval % CHANGE_EVERY == 0:
                told = json.dumps(weights)
                change = {"dataset": None, "version": version, "source": "redis", "before": told, "after": told}
                yield {**head, "event": "weights.changed", **change}
            yield {**head, "event": "worker.stats", **_worker_stats(chance, version)}
            for category, weight in weights.items():
                drawn = _category_stats(chance, category, weight)
                yield {**head, "event": "category.stats", **drawn, "weights_version": version}


def _worker_stats(chance: random.Random, version: str) -> dict[str, Any]:
    requests = chance.randrange(80, 120)
    return {
        "interval_s": float(INTERVAL_S),
        "requests": requests,
        "chunks": requests * 10,
        "errors": 0,
        "requests_per_s": requests / INTERVAL_S,
        "chunks_per_s": float(requests),
        "latency_p50_ms": 2.0,
        "latency_p99_ms": chance.uniform(5, 15),
        "lag": 0,
        "pending": 0,
        "redrawn": 0,
        "weights_version": version,
        "catalog_version": "0123456789abcdef",
        "log_lines_dropped": 0,
    }


def _category_stats(chance: random.Random, category: str, weight: float) -> dict[str, Any]:
    drawn = max(0, round(chance.gauss(EXPECTED, 5.7)))
    return {
        "dataset": None,
        "category": category,
        "count": drawn,
        "audio_s": None,
        "weight": round(weight, 9),
        "share": round(drawn / 1000, 9),
        "expected": EXPECTED,
        "z": round((drawn - EXPECTED) / 5.7, 9),
        "ready": 1000,
    }


def as_written(entry: dict[str, Any]) -> str:
    return json.dumps(entry)


def as_docker_keeps_it(entry: dict[str, Any]) -> str:
    return json.dumps({"log": json.dumps(entry) + "\n", "stream": "stdout", "time": entry["timestamp"]})


def drawn(log: Path) -> tuple[float, float, float]:
    """Draw by the command; return seconds, those of its CPU, and its peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "report", str(log), "--output", str(log.with_suffix(".svg")), "--json"],
        env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2])}),
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the report ended with {status}")
    memory = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, memory


def parsed(log: Path) -> float:
    """Parse each line alone; return the CPU seconds."""
    began = time.process_time()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
    return time.process_time() - began


def rows(lines: int) -> Iterator[dict[str, Any]]:
    written: dict[str, Callable[[dict[str, Any]], str]] = {"as written": as_written, "by Docker": as_docker_keeps_it}
    for shape, write in written.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            log = Path(folder) / "worker.log"
            with log.open("w", encoding="utf-8") as file:
                file.writelines(f"{write(entry)}\n" for entry in islice(entries(), lines))
            alone_s = parsed(log)
            seconds, cpu_s, memory = drawn(log)
            yield {
                "log": shape,
                "lines": lines,
                "MB": round(log.stat().st_size / 1e6),
                "seconds": seconds,
                "CPU s": cpu_s,
                "lines/s": lines / seconds,
                "json.loads CPU s": alone_s,
                "times json.loads": cpu_s / alone_s,
                "peak MB": memory,
            }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--lines", type=int, default=LINES, help="how many (default: 1,000,000)")
    chosen = parser.parse_args()
    report("report", list(rows(chosen.lines)), as_json=chosen.json)


if __name__ == "__main__":
    main()
