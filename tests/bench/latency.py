"""The time of one request, from XADD to its result read, beside an echo worker in C.

The echo (`latency.c`) reads the same requests and writes results of the same size. It writes each result together with
the acknowledgement and the next read. It draws nothing and checks nothing, so it is the limit of two streams. Both
workers have the second core, and the server has the first. Both get the same client in C, in turn, round by round. A
figure is the median of the rounds. PING stands beside as the floor. The first 500 of a closed loop are not counted.

`script us` is how long Redis itself is in a settling script, by its INFO commandstats. The echo has no such script. So
no worker that settles as ours does is quicker than the echo and the script together.

Closed loop: one request at a time. Its client shares the server's core, which is steadier, as the two hardly ever run
at once. Open loop: requests are sent when they are due, whatever the answers. They are timed from when they were due,
so nothing is left out while the worker is late. The rates are shares of our worker's rate with a prefilled backlog,
where the server has no client to serve. This client is not pinned, as beside the server it would take what the server
needs. `sent/s` is the rate that it managed to send to our worker, in bursts where several were due. `answered/s` shows
whether the worker kept up; where it did not, the latencies grow with the length of the round.

    python tests/bench/latency.py [--json] [--rounds N] [--requests N] [--seconds S] [--rate R]
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import SERVER_CORE, WORKER_CORE, Servers, arguments, fill, pin, report, servers, worker
from tests.support.children import ending_with_us
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync

ROWS = 1_000_000
SIZES = (1, 64, 1024)
OPEN_SIZE = 64
SHARES = (0.1, 0.5, 0.8)
PERCENTILES = (50, 99, 99.9)
TARGETS: dict[float, float] = {50: 1.5, 99: 2.0}
WARM_UP = 500
BACKLOG = 40_000
SATURATED_RUNS = 3
DONE_S = 600.0
REQUESTS, RESULTS = "audio:sample:requests", "audio:sample:results"
WEIGHTS = '{"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1}'


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs: the C program and the servers."""

    program: Path
    at: Servers

    def start(self, mode: str, *words: object, core: int | None, **options: Any) -> subprocess.Popen[str]:
        """Start the C program in one of its modes, on one core unless told None."""
        url = urlsplit(self.at.redis_url)
        command = ending_with_us(*map(str, (self.program, mode, url.hostname, url.port, *words)))
        process = subprocess.Popen(command, text=True, **options)
        if core is not None:
            pin(process.pid, core)
        return process

    def run(self, mode: str, *words: object, core: int | None) -> list[str]:
        """Run it to its end and return its lines."""
        process = self.start(mode, *words, core=core, stdout=subprocess.PIPE)
        lines = process.communicate()[0].splitlines()
        if process.returncode != 0:
            sys.exit(f"the {mode} client ended with status {process.returncode}")
        return lines


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for: `rate` requests a second in an open loop; None: one by one."""

    name: str
    size: int
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """What one client saw: percentiles in us, and in an open loop what it sent and got in a second.

    Attributes:
        us: Percentile -> latency.
        sent: Requests a second.
        answered: Results a second.
        script_us: Mean time of a settling script; None where there was none.
    """

    us: dict[float, float]
    sent: float | None = None
    answered: float | None = None
    script_us: float | None = None


def compile_program(folder: Path) -> Path:
    """Build the C program, with the system's compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("the latency benchmark needs a C compiler on the path as cc, such as gcc or clang")
    program = folder / "latency"
    subprocess.run([compiler, "-O2", "-o", program, Path(__file__).with_suffix(".c"), "-lm"], check=True)
    return program


def empty(at: Servers) -> None:
    """Clear Redis, but for the weights."""
    with connect(at.redis_url) as client:
        client.flushall()
        client.set("audio:category:weights", WEIGHTS)


@contextmanager
def echo(bench: Bench, id_bytes: int) -> Iterator[int]:
    """Run the echo worker, whose results carry so many bytes as ids, and yield its process."""
    empty(bench.at)
    process = bench.start("echo", id_bytes, core=WORKER_CORE)
    try:
        with connect(bench.at.redis_url) as client:
            wait_until_sync(lambda: client.exists(REQUESTS), timeout_s=DONE_S, what="the echo has made its group")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def time_load(bench: Bench, load: Load, count: int, seconds: float) -> Timed:
    """Run the client against the worker that runs."""
    if load.rate is None:
        lines = bench.run("closed", load.size, count + WARM_UP, core=SERVER_CORE)
        return Timed(percentiles(lines[WARM_UP:]))
    lines = bench.run("open", load.size, load.rate, seconds, core=None)
    sent_ns, answered_ns = map(int, lines[0].split())
    requests = len(lines) - 1
    return Timed(percentiles(lines[1:]), requests / sent_ns * 1e9, requests / answered_ns * 1e9)


def percentiles(lines: list[str]) -> dict[float, float]:
    us = np.array(lines, dtype=np.int64) / 1000
    return dict(zip(PERCENTILES, np.percentile(us, PERCENTILES).tolist(), strict=True))


def saturated_rate(at: Servers) -> float:
    """Return how many requests a second our worker answers from a prefilled backlog."""
    empty(at)
    with connect(at.redis_url) as client:
        for _ in range(0, BACKLOG, 5000):
            pipeline = client.pipeline(transaction=False)
            for _ in range(5000):
                pipeline.xadd(REQUESTS, {"size": OPEN_SIZE})
            pipeline.execute()
        with worker(at):
            wait_until_sync(lambda: client.xlen(RESULTS) >= BACKLOG, timeout_s=DONE_S, what="the backlog is answered")
        first: Any = client.xrange(RESULTS, count=1)
        last: Any = client.xrevrange(RESULTS, count=1)
    return (BACKLOG - 1) / max(1, _ms(last[0][0]) - _ms(first[0][0])) * 1000


def _ms(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])


def id_bytes(at: Servers) -> dict[int, int]:
    """Return the bytes of the ids in our worker's results, by size."""
    empty(at)
    lengths: dict[int, int] = {}
    with worker(at), connect(at.redis_url) as client:
        for size in SIZES:
            client.xadd(REQUESTS, {"size": size, "reply_to": f"length-{size}"})
            reply: Any = client.xread({f"{RESULTS}:length-{size}": "0"}, block=int(DONE_S * 1000))
            lengths[size] = len(reply[0][1][0][1][b"chunk_ids"])
    return lengths


def measure(bench: Bench, loads: list[Load], options: argparse.Namespace) -> dict[str, dict[Load, list[Timed]]]:
    """Time every load on both workers, in turn."""
    lengths = id_bytes(bench.at)
    timed: dict[str, dict[Load, list[Timed]]] = {who: {load: [] for load in loads} for who in ("ping", "echo", "ours")}
    for _ in range(options.rounds):
        pings = Timed(percentiles(bench.run("ping", options.requests, core=SERVER_CORE)))
        for load in loads:
            timed["ping"][load].append(pings)
            with echo(bench, lengths[load.size]):
                timed["echo"][load].append(time_load(bench, load, options.requests, options.seconds))
        empty(bench.at)
        with worker(bench.at):
            for load in loads:
                with connect(bench.at.redis_url) as client:
                    client.config_resetstat()
                    ours = time_load(bench, load, options.requests, options.seconds)
                    scripts: Any = client.info("commandstats")["cmdstat_evalsha"]
                timed["ours"][load].append(replace(ours, script_us=scripts["usec_per_call"]))
    return timed


def rows_of(load: Load, timed: dict[str, dict[Load, list[Timed]]]) -> Iterator[dict[str, Any]]:
    """Make a row for each percentile of one load, out of the medians of the rounds."""
    ours, reference, floor = timed["ours"][load], timed["echo"][load], timed["ping"][load]
    for percentile in PERCENTILES:
        us, echo_us, ping_us = (
            statistics.median(one.us[percentile] for one in runs) for runs in (ours, reference, floor)
        )
        yield {
            "load": load.name,
            "size": load.size,
            "percentile": f"p{percentile:g}",
            "ours us": us,
            "echo us": echo_us,
            "ratio": us / echo_us,
            "target": TARGETS.get(percentile, "-") if load.rate is None else "-",
            "ping us": ping_us,
            "script us": _middle([one.script_us for one in ours]),
            "sent/s": _middle([one.sent for one in ours]),
            "ours answered/s": _middle([one.answered for one in ours]),
            "echo answered/s": _middle([one.answered for one in reference]),
        }


def _middle(values: list[float | None]) -> int | str:
    known = [value for value in values if value is not None]
    return round(statistics.median(known)) if known else "-"


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times that both workers take their turn (default: 5)")
    parser.add_argument("--requests", type=int, default=10_000, help="requests of a closed loop (default: 10,000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of an open loop (default: 2)")
    parser.add_argument("--rate", type=float, help="what 100 %% of an open loop is, in requests/s (default: measured)")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        program = compile_program(Path(folder))
        with servers(options.server) as at:
            anyio.run(fill, at.database_url, ROWS)
            full = options.rate or statistics.median(saturated_rate(at) for _ in range(SATURATED_RUNS))
            loads = [Load("closed", size) for size in SIZES]
            loads += [Load(f"open, {share:.0%} of {full:,.0f}/s", OPEN_SIZE, share * full) for share in SHARES]
            timed = measure(Bench(program, at), loads, options)
    report("latency", [row for load in loads for row in rows_of(load, timed)], as_json=options.json)


if __name__ == "__main__":
    main()
