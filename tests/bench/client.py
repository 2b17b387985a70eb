"""Time that a training loop spends waiting for samples, beside a plain redis-py loop that asks and reads in turn.

The loop takes a sample and computes for the rest of its step, at a steady rate. Computing leaves the interpreter to the
client's thread, as a GPU's does: by sleeping, or by NumPy on large arrays, which takes a core for itself. Waiting is
the time within `next()`, `sample()`, or the two calls of redis-py; the same of an iterator that has everything stands
beside it.

    python tests/bench/client.py [--json] [--server redis7] [--rate R] [--seconds S] [--rounds N]
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, fill, report, servers, worker
from worker.client import SampleClient

SIZE = 32
PREFETCH = 8
_NUMBERS = np.random.default_rng(1).random(20_000)
_SINES = np.empty_like(_NUMBERS)

Take = Callable[[], object]
Compute = Callable[[float], None]


class Run(NamedTuple):
    """What one loop did."""

    steps: int
    seconds: float
    waited_s: float
    waits_us: list[float]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rate", type=float, default=2000, help="steps a second (default: 2000)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a loop")
    parser.add_argument("--rounds", type=int, default=3, help="loops of each kind, of which the median is told")
    options = parser.parse_args()
    with servers(options.server) as at:
        asyncio.run(fill(at.database_url, 100_000))
        with worker(at):
            rows = [row for kind in COMPUTE for row in _compare(at, kind, options)]
    report("client", rows, as_json=options.json)


def _compare(at: Servers, kind: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the loops in turn, round after round, so that they share the machine's noise."""
    runs: dict[str, list[Run]] = {name: [] for name in LOOPS}
    for _ in range(options.rounds):
        for name, loop in LOOPS.items():
            with loop(at) as take:
                runs[name].append(_run(take, COMPUTE[kind], options.rate, options.seconds))
    for name, found in runs.items():
        waits = sorted(wait for run in found for wait in run.waits_us)
        yield {
            "step": kind,
            "loop": name,
            "steps/s": statistics.median(run.steps / run.seconds for run in found),
            "waited %": statistics.median(100 * run.waited_s / run.seconds for run in found),
            "wait p50 us": waits[len(waits) // 2],
            "wait p99 us": waits[len(waits) * 99 // 100],
            "wait mean us": statistics.fmean(waits),
        }


def _run(take: Take, compute: Compute, rate: float, seconds: float) -> Run:
    """Take a sample and compute, at a steady rate. A delay of more than a step is not made up for."""
    take()
    waits: list[float] = []
    held: list[object] = []
    began = due = time.perf_counter()
    while due < began + seconds:
        held.clear()  # the last sample is let go of on the loop's own time
        asked = time.perf_counter()
        held.append(take())
        now = time.perf_counter()
        waits.append(now - asked)
        due = max(due + 1 / rate, now)
        compute(due)
    ended = time.perf_counter()
    return Run(len(waits), ended - began, sum(waits), [wait * 1e6 for wait in waits])


def _sleep(until: float) -> None:
    left = until - time.perf_counter()
    if left > 0:
        time.sleep(left)


def _calculate(until: float) -> None:
    while time.perf_counter() < until:
        np.sin(_NUMBERS, out=_SINES)  # some 150 us each


@contextmanager
def _stream(at: Servers) -> Iterator[Take]:
    with SampleClient(at.redis_url) as client:
        stream = client.stream(SIZE, prefetch=PREFETCH)
        yield lambda: next(stream)


@contextmanager
def _one_by_one(at: Servers) -> Iterator[Take]:
    with SampleClient(at.redis_url) as client:
        yield lambda: client.sample(SIZE)


@contextmanager
def _plain(at: Servers) -> Iterator[Take]:
    """Ask and read in turn, as one would write it with redis-py."""
    with redis.Redis.from_url(at.redis_url) as client:
        last = b"0-0"

        def take() -> object:
            nonlocal last
            client.xadd("audio:sample:requests", {"size": SIZE, "reply_to": "plain"})
            [(_, [(last, fields)])] = client.xread({"audio:sample:results:plain": last}, block=5000)
            return np.array(json.loads(fields[b"chunk_ids"]))

        yield take
        client.delete("audio:sample:results:plain")


@contextmanager
def _nothing(_: Servers) -> Iterator[Take]:
    """Take samples that are there at once: what is left is the cost of a call and of measuring it."""
    there = itertools.repeat(None)
    yield lambda: next(there)


COMPUTE: dict[str, Compute] = {"sleep": _sleep, "numpy": _calculate}
LOOPS = {"itertools.repeat": _nothing, "stream(prefetch=8)": _stream, "sample()": _one_by_one, "redis-py": _plain}

main()
