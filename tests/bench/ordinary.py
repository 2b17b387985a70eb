"""What one worker and its Redis cost, and how long a request takes, without a backlog: 100 to 10,000 a second.

Most trainings are closed loops of some hundreds to thousands of requests a second. The open loops send requests at the
times of a Poisson process, whatever the answers. Each request is timed from when it was due, so nothing is left out
while the worker is late. The closed loop is one client that asks for one sample after the other. All ask for 64 ids,
out of 100,000 chunks in five categories of unbalanced shares.

The sides take turns, load by load and round by round, and each round begins with another side. All get the same
arrivals. A figure is the median of the rounds, and a ratio the median of the ratios of each round. A side is started
anew for each turn. What it did before the first second of load has passed is not counted. The echo in C (`latency.c`)
draws, checks and counts nothing. `least_worker.py` draws and settles, and does nothing else: it is the least that a
worker in Python takes. `--before` is another checkout of this project. FastStream does our draw (see `peers.py`), at
1,000 a second. It gets the same arrivals from a client of its own kind, in Python. Its times include the time that this
client takes. Where it falls behind by half a second, it is `too slow`.

`requests/batch` are the results of one settling script, by INFO commandstats; of one XACK for the others. CPU is that
of the whole process: of `worker`, or of Redis (`server`). Idle is once for each side, with nothing asked for.

Redis has the first core and the worker the second. Each further core has a client of its own, up to eight, and they
share the rate. Where there are only two cores, one client is not pinned, and takes from both. Then a tenth of the rate
of a backlog is left out, and the table says so.

    python tests/bench/ordinary.py [--json] [--rounds N] [--seconds S] [--idle-seconds S] [--requests N]
        [--before FOLDER] [--no-peers] [--env FOLDER] [--server redis7]
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import (
    CATEGORIES,
    CLIENT_CORES,
    Servers,
    arguments,
    cpu_s,
    fill,
    report,
    servers,
)
from tests.bench.latency import Bench, compile_program, saturated_rate
from tests.bench.peer_programs.install import add_env, install
from tests.bench.peer_programs.roster import PEERS
from tests.bench.peers import Bench as Peers
from tests.bench.peers import middle_if_kept_up
from tests.bench.sides import CLOSED, PEER_RATE, Load, Side, peer_side, sides
from tests.support.servers import connect

ROWS = 100_000
PER_CENT = (45, 30, 15, 8, 2)
LIBRARY = [name for name, share in zip(CATEGORIES, PER_CENT, strict=True) for _ in range(share)]
RATES = (100, 1_000, 3_000, 10_000)
SHARE = 0.1
LEFT_OUT = f"{SHARE:.0%} of a backlog's rate"
QUEUES = [peer for peer in PEERS if peer.name.startswith("faststream")]

Figures = Mapping[str, float]
"""What was measured in one turn, by name; nothing where a peer was too slow."""


class Used:
    """The CPU time and the batches of one side from now on."""

    def __init__(self, bench: Bench, side: Side, pid: int) -> None:
        self._bench, self._side, self._pid = bench, side, pid
        with connect(bench.at.redis_url) as client:
            client.config_resetstat()
        self._own_s, self._server_s = side.cpu_s(pid), cpu_s(bench.at.redis_pid)
        self._began = time.monotonic()

    def of_a_core(self) -> Figures:
        seconds = time.monotonic() - self._began
        own_s, server_s = self._cpu_s()
        return {"worker % of a core": 100 * own_s / seconds, "server % of a core": 100 * server_s / seconds}

    def by_request(self, requests: int) -> Figures:
        own_s, server_s = self._cpu_s()
        figures = {"worker us/request": own_s / requests * 1e6, "server us/request": server_s / requests * 1e6}
        with connect(self._bench.at.redis_url) as client:
            stats: Any = client.info("commandstats")
        calls = sum(stats[name]["calls"] for command in self._side.settles if (name := f"cmdstat_{command}") in stats)
        return figures | {"requests/batch": requests / calls}

    def _cpu_s(self) -> tuple[float, float]:
        return self._side.cpu_s(self._pid) - self._own_s, cpu_s(self._bench.at.redis_pid) - self._server_s


def measure(bench: Bench, side: Side, load: Load, turn: int) -> Figures:
    """Start one side, warm it up, and put one load on it."""
    with side.serve() as pid, side.warm(load, turn) as put:
        used = Used(bench, side, pid)
        came = put()
        if came is None:
            return {}
        latencies, answered = came
        figures = used.by_request(len(latencies))
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    return {**figures, "p50 us": p50, "p99 us": p99, "answered/s": answered}


def measure_idle(bench: Bench, side: Side, seconds: float) -> Figures:
    """Start one side, ask it for something, and let it be."""
    with side.serve() as pid, side.warm(CLOSED, 0):
        used = Used(bench, side, pid)
        time.sleep(seconds)
        return used.of_a_core()


def rows_of(load: str, turns: Mapping[str, Sequence[Figures]], everyone: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Make a row for each figure of one load, out of the rounds of all sides; some have no part in it."""
    for figure in turns["ours"][0]:
        row: dict[str, Any] = {"load": load, "figure": figure}
        for name in everyone:
            row[name] = middle_if_kept_up([one.get(figure) for one in turns[name]]) if name in turns else "-"
            if name != "ours":
                row[f"ours/{name}"] = ratio(figure, turns["ours"], turns.get(name, ()))
        yield row


def ratio(figure: str, ours: Sequence[Figures], others: Sequence[Figures]) -> float | str:
    """Return the median ratio of the rounds in which there is one."""
    pairs = zip(ours, others, strict=False)
    known = [one[figure] / other[figure] for one, other in pairs if other.get(figure)]
    return statistics.median(known) if known else "-"


def measure_all(
    bench: Bench, loads: Sequence[Load], queues: Sequence[Side], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Measure all loads on all sides, in turns, and yield the rows."""
    own = sides(bench, options)
    names = [side.name for side in (*own, *queues)]
    for load in loads:
        taking = [*own, *(queues if load.rate == PEER_RATE else ())]
        turns: dict[str, list[Figures]] = {side.name: [] for side in taking}
        for turn in range(options.rounds):
            first = turn % len(taking)
            for side in taking[first:] + taking[:first]:
                turns[side.name].append(measure(bench, side, load, turn + 1))
        yield from rows_of(load.name, turns, names)
    idle = {side.name: [measure_idle(bench, side, options.idle_seconds)] for side in own}
    yield from rows_of("idle", idle, names)


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times that all take their turn (default: 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of an open loop (default: 5)")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="length of idleness (default: 20)")
    parser.add_argument("--requests", type=int, default=5_000, help="requests of the closed loop (default: 5,000)")
    parser.add_argument("--no-peers", action="store_true", help="leave FastStream out")
    add_env(parser)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout, whose worker takes turns too")
    return parser.parse_args()


def loads_on(at: Servers) -> Iterator[Load]:
    yield CLOSED
    yield from (Load(f"{rate:,}/s", rate) for rate in RATES)
    if CLIENT_CORES:
        full = saturated_rate(at)
        yield Load(f"{SHARE:.0%} of a backlog's {full:,.0f}/s", SHARE * full)


def main() -> None:
    # Ended in order, so that no worker of a peer is left in its session.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parse_options()
    pythons = {} if options.no_peers else {peer: install(peer, options.env.absolute()) for peer in QUEUES}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, servers(options.server) as at:
        anyio.run(fill, at.database_url, ROWS, LIBRARY)
        bench = Bench(compile_program(Path(folder)), at)
        with connect(at.redis_url) as client:
            asking = Peers(at, client)
            queues = [peer_side(asking, peer, python, options.seconds) for peer, python in pythons.items()]
            rows = list(measure_all(bench, list(loads_on(at)), queues, options))
    if not CLIENT_CORES:
        rows.append({**dict.fromkeys(rows[0], "-"), "load": LEFT_OUT, "figure": "left out: it takes a third core"})
    report("ordinary", rows, as_json=options.json)


if __name__ == "__main__":
    main()
