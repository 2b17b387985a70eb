"""Requests a second with a prefilled backlog, beside what the server can carry.

The ceiling is a replay of the commands that a worker sends for such a backlog: reads, and the settling script with all
results. The worker's own code prepares them beforehand. A client that only sends them and takes the replies replays
them, two batches under way. Redis has a core for itself. The workers share the other one, and so does the replay.
Workers and replay take turns; a figure is the median of the rounds.

    python tests/bench/throughput.py [--quick] [--json] [--rounds N] [--size N] [--chunks N] [--server redis7]
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.backlog import ROWS, Case, Timing, load_catalog, time_ceiling, time_workers
from tests.bench.harness import WORKER_CORE, arguments, pin, report, servers

CASES = (
    Case(1, "json", 400_000),
    Case(8, "json", 400_000),
    Case(64, "json", 300_000),
    Case(64, "packed", 300_000),
    Case(1024, "json", 60_000),
    Case(1024, "packed", 60_000),
    Case(65_536, "json", 600),
    Case(65_536, "packed", 600),
    Case(64, "json", 300_000, workers=2),
    Case(64, "json", 300_000, workers=4),
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, one worker, one round")
    parser.add_argument("--size", type=int, help="this size alone")
    parser.add_argument("--chunks", type=int, default=ROWS, help="READY chunks (default: a million)")
    parser.add_argument("--rounds", type=int, default=3, help="times that both take their turn (default: 3)")
    options = parser.parse_args()
    pin(os.getpid(), WORKER_CORE)
    rows = []
    with servers(options.server) as at, redis.Redis.from_url(at.redis_url) as client:
        catalog = asyncio.run(load_catalog(at, options.chunks))
        for case in _cases(options):
            time_ceiling(at, client, case, catalog)  # whoever comes first pays for the memory that Redis has to get
            turns = range(1 if options.quick else options.rounds)
            rounds = [(time_workers(at, client, case), time_ceiling(at, client, case, catalog)) for _ in turns]
            rows.append(_row(case, rounds))
    report("throughput", rows, as_json=options.json)


def _row(case: Case, rounds: Sequence[tuple[Timing, Timing]]) -> dict[str, Any]:
    """Make the row of a case: medians of its rounds, of the ratio too."""
    rate = median(served.rate for served, _ in rounds)
    return {
        "size": case.size,
        "encoding": case.encoding,
        "workers": case.workers,
        "requests/s": rate,
        "chunk ids/s": rate * case.size,
        "ceiling requests/s": median(ceiling.rate for _, ceiling in rounds),
        "ratio": median(served.rate / ceiling.rate for served, ceiling in rounds),
        "worker us/request": median(served.own_us for served, _ in rounds),
        "server us/request": median(served.server_us for served, _ in rounds),
        "ceiling server us/request": median(ceiling.server_us for _, ceiling in rounds),
    }


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    for case in CASES:
        if options.size not in (None, case.size):
            continue
        if not options.quick:
            yield case
        elif case.workers == 1:
            yield replace(case, requests=max(200, case.requests // 10))


main()
