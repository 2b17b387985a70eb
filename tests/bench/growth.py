"""The cost of a request as the work grows: one thing at a time, while all else stays as it is by default.

By default: 64 ids a request, weights and READY chunks in 5 categories, no dataset, the shared result stream, a million
chunks, one worker. Each line of growth has its default in it, and `ratio` is requests/s against that row. Workers serve
a backlog that was there before they start on it; Redis has the first core, all workers share the second. `still` is the
longest time for which a worker's event loop looked at nothing new, beside the same of a loop in another process that
has nothing to do (see stillness.py for what watching costs). CPU times tick in hundredths of a second.

The second table tells by which power of what grows the CPU time of a request grows, from the default to the end of the
line (for fewer than the default: from the beginning): 1 is in proportion, 0 not at all.

The third mixes giants in: while some requests of 65,536 ids (stratified, no chunk twice, JSON) are always waiting, a
client asks for 64 ids at a time, one request after the other, and notes how long each takes; beside it no giants.

    python tests/bench/growth.py [--only LINE]... [--seconds S] [--rounds N] [--json] [--server redis7]
"""

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.backlog import BATCH, KEYS, Case, Command, Timing, clear, time_running
from tests.bench.harness import CATEGORIES, WORKER_CORE, Servers, arguments, fill, pin, report, servers
from tests.bench.stillness import Spans, longest_ms, quiet_loop, read_spans
from tests.support.command import RunningWorker
from worker.settings.environment import environment_with

Fields = dict[Any, Any]

PROGRAM = Path(__file__).with_name("watched_worker.py")
ROWS, SIZE = 1_000_000, 64
DEFAULTS = {"size": SIZE, "categories": len(CATEGORIES), "datasets": 0, "reply_to": 0, "chunks": ROWS, "workers": 1}
VALUES = {
    "size": (1, 8, 64, 512, 4096, 16_384, 65_536),
    "categories": (1, 5, 10, 100, 1000, 10_000),
    "datasets": (0, 1, 10, 100, 1000),
    "reply_to": (0, 1, 10, 100, 1000),
    "chunks": (10_000, 100_000, 1_000_000, 10_000_000),
    "workers": (1, 2, 3, 4),
}
IN_PROPORTION = "size"
MOST, LEAST, MOST_IDS, TRIAL = 200_000, 200, 30_000_000, 20
GIANT: Fields = {"size": 65_536, "method": "stratified", "replace": 0, "reply_to": "giant"}
GIANTS = (0, 1, 4, 16)
SMALL: Fields = {"size": SIZE, "reply_to": "small"}
BLOCK_MS = 10_000
LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class Library:
    """Say what has to be READY."""

    chunks: int = ROWS
    categories: tuple[str, ...] = CATEGORIES


@dataclass(frozen=True, slots=True)
class Point:
    """Say what is measured: a value on a line of growth."""

    line: str
    value: int
    library: Library
    case: Case


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold what was measured: the median round, and the longest standstill of all rounds' spans."""

    point: Point
    timing: Timing
    spans: tuple[tuple[float, float], ...]
    still_ms: float


class WatchedWorker(RunningWorker):
    """A worker whose event loop is watched; what was seen can be read once it stopped."""

    def start(self) -> "WatchedWorker":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(self._seen), "run"],
                env=environment_with(self._settings),
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        pin(self.process.pid, WORKER_CORE)
        return self

    @property
    def _seen(self) -> Path:
        return self.log.with_suffix(".spans")

    def spans(self) -> Spans:
        return read_spans(self._seen)


@contextmanager
def watched_workers(at: Servers, count: int) -> Iterator[list[WatchedWorker]]:
    """Run some workers."""
    settings = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url, "WORKER_BATCH": str(BATCH)}
    with ExitStack() as opened:
        running = []
        for number in range(count):
            one = WatchedWorker(settings, at.folder, f"w-{number}-{time.time_ns()}")
            opened.callback(one.stop)
            running.append(one)
            one.start()
        for one in running:
            one.wait_ready()
        yield running


def points(line: str) -> Iterator[Point]:
    """List what is measured on a line of growth, the default first."""
    for value in sorted(VALUES[line], key=lambda value: (value != DEFAULTS[line], value)):
        yield Point(line, value, _library(line, value), _case(line, value))


def _library(line: str, value: int) -> Library:
    if line == "categories":
        return Library(categories=tuple(f"c{number}" for number in range(value)))
    return Library(chunks=value) if line == "chunks" else Library()


def _case(line: str, value: int) -> Case:
    case = Case(SIZE, "json", MOST)
    if line == "size":
        return Case(value, "json", min(MOST, MOST_IDS // value))
    if line == "workers":
        return replace(case, workers=value)
    if line == "categories":
        return replace(case, first=[_weights(None, _library(line, value).categories)])
    names = [f"{line}-{number}" for number in range(value)]
    if not names:
        return case
    turns = [(line.rstrip("s").encode(), name.encode()) for name in names]
    if line == "datasets":
        return replace(case, turns=turns, first=[_weights(name, CATEGORIES) for name in names])
    return replace(case, turns=turns, reply_to=names) if line == "reply_to" else case


def _weights(dataset: str | None, categories: Sequence[str]) -> Command:
    """Write the command that sets weights; no two datasets and no two neighbours have the same."""
    own = int((dataset or "-0").rpartition("-")[2])
    weights = {name: 1 + (number + own) % 7 + own / 1000 for number, name in enumerate(categories)}
    return "SET", KEYS.weights(dataset), json.dumps(weights)


def measure(at: Servers, client: redis.Redis, some: Sequence[Point], options: argparse.Namespace) -> list[Measured]:
    """Measure points that the same workers can serve."""
    found = []
    with watched_workers(at, some[0].case.workers) as running:
        for point in some:
            case = point.case
            trial = time_running(at, client, replace(case, requests=max(LEAST, case.requests // TRIAL)), running)
            count = max(LEAST, min(case.requests, int(trial.rate * options.seconds)))
            case = replace(case, requests=count)
            found.append([time_running(at, client, case, running) for _ in range(options.rounds)])
    seen = [one.spans() for one in running]
    return [_measured(point, timings, seen) for point, timings in zip(some, found, strict=True)]


def _measured(point: Point, timings: Sequence[Timing], seen: Sequence[Spans]) -> Measured:
    spans = tuple(timing.span for timing in timings)
    still = max(longest_ms(spans_of_one, *span) for spans_of_one in seen for span in spans)
    return Measured(point, sorted(timings, key=lambda timing: timing.rate)[len(timings) // 2], spans, still)


def measure_line(at: Servers, client: redis.Redis, line: str, options: argparse.Namespace) -> Iterator[Measured]:
    """Measure a line of growth; libraries and workers are started anew only where they differ."""
    for (library, _), some in groupby(points(line), key=lambda point: (point.library, point.case.workers)):
        ensure(at, library)
        yield from measure(at, client, list(some), options)


def ensure(at: Servers, library: Library) -> None:
    """Fill the library, unless it is what it has to be."""
    mark = at.folder / "library"
    if not mark.exists() or mark.read_text() != repr(library):
        asyncio.run(fill(at.database_url, library.chunks, library.categories))
        mark.write_text(repr(library))


def rows_of(measured: Sequence[Measured], quiet: Spans) -> Iterator[dict[str, Any]]:
    """Make the rows of a line of growth; its first is the default."""
    default = measured[0]
    for one in sorted(measured, key=lambda one: one.point.value):
        yield {
            "what": one.point.line,
            "value": one.point.value,
            "requests/s": one.timing.rate,
            "ratio": one.timing.rate / default.timing.rate,
            "worker us/request": one.timing.own_us,
            "server us/request": one.timing.server_us,
            "still ms": one.still_ms,
            "quiet still ms": max(longest_ms(quiet, *span) for span in one.spans),
        }


def power_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Tell by which powers costs grow, from the default on and up to it."""
    for line, some in groupby(rows, key=lambda row: str(row["what"])):
        ascending = [row for row in some if row["value"]]
        begin = max(DEFAULTS[line], ascending[0]["value"])
        [default] = [row for row in ascending if row["value"] == begin]
        for low, high in ((ascending[0], default), (default, ascending[-1])):
            if low is not high:
                yield _power_row(line, low, high)


def _power_row(line: str, low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"what": line, "from": low["value"], "to": high["value"]}
    for side in ("worker", "server"):
        times = high[f"{side} us/request"] / max(low[f"{side} us/request"], 1e-9)
        power = math.log(max(times, 1e-9)) / math.log(high["value"] / low["value"])
        row |= {f"{side} us times": times, f"{side} power": power}
    return row | {"at best": "up to 1" if line == IN_PROPORTION else "0"}


class Giants(threading.Thread):
    """Keep some giant requests waiting, and count their results, which are thrown away unread."""

    def __init__(self, url: str, waiting: int) -> None:
        super().__init__(daemon=True)
        self._client = redis.Redis.from_url(url)
        self._waiting = waiting
        self._is_ended = threading.Event()
        self.served = 0

    def run(self) -> None:
        missing = self._waiting
        while not self._is_ended.wait(LOOK_S):
            for _ in range(missing):
                self._client.xadd(KEYS.requests, GIANT)
            missing = int(self._client.xtrim(KEYS.reply("giant"), maxlen=0, approximate=False))
            self.served += missing

    def stop(self) -> None:
        """End it; what it asked for last is served, and the last of it is looked at."""
        self._is_ended.set()
        self.join()
        while self._client.xlen(KEYS.requests):
            time.sleep(LOOK_S)
        last: Any = self._client.xrevrange(KEYS.reply("giant"), count=1)
        assert not self._waiting or last[0][1][b"status"] == b"ok"
        self._client.close()


def ask(client: redis.Redis, seconds: float) -> list[float]:
    """Ask for one small sample after the other, and tell how long each took, in ms."""
    client.delete(KEYS.reply("small"))
    taken, last = [], b"0"
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        client.xadd(KEYS.requests, SMALL)
        reply: Any = client.xread({KEYS.reply("small"): last}, block=BLOCK_MS)
        [(last, fields)] = reply[0][1]
        assert fields[b"status"] == b"ok"
        taken.append((time.perf_counter() - began) * 1000)
    return taken


@dataclass(frozen=True, slots=True)
class Mixed:
    """Hold what small requests took among giants."""

    waiting: int
    taken_ms: Sequence[float]
    giants_a_s: float
    span: tuple[float, float]
    still_ms: float


def measure_giants(at: Servers, client: redis.Redis, seconds: float) -> list[Mixed]:
    """Time small requests among more and more giants."""
    found = []
    ensure(at, Library())
    with watched_workers(at, 1) as running:
        for waiting in GIANTS:
            clear(at, Case(SIZE, "json", 0))
            giants = Giants(at.redis_url, waiting)
            giants.start()
            ask(client, seconds / TRIAL)
            before, began = giants.served, time.perf_counter()
            taken = ask(client, seconds)
            span = began, time.perf_counter()
            rate = (giants.served - before) / (span[1] - span[0])
            giants.stop()
            found.append((waiting, taken, rate, span))
    seen = running[0].spans()
    return [Mixed(*one, longest_ms(seen, *one[-1])) for one in found]


def giant_rows(mixed: Sequence[Mixed], quiet: Spans) -> Iterator[dict[str, Any]]:
    """Make rows; the first has no giants."""
    alone = statistics.median(mixed[0].taken_ms)
    for one in mixed:
        p50, p99, longest = np.percentile(one.taken_ms, (50, 99, 100)).tolist()
        yield {
            "giants waiting": one.waiting,
            "giants/s": one.giants_a_s,
            "small p50 ms": p50,
            "small p99 ms": p99,
            "small max ms": longest,
            "times p50 without": p50 / alone,
            "still ms": one.still_ms,
            "quiet still ms": longest_ms(quiet, *one.span),
        }


def parse_options() -> argparse.Namespace:
    parser = arguments(__doc__)
    choices = [*VALUES, "giants"]
    parser.add_argument("--only", action="append", choices=choices, help="a line of growth; may be repeated")
    parser.add_argument("--seconds", type=float, default=2.0, help="about so long for each round (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is told (default: 3)")
    return parser.parse_args()


def print_all(lines: Sequence[Sequence[Measured]], mixed: Sequence[Mixed], quiet: Spans, *, as_json: bool) -> None:
    rows = [row for measured in lines for row in rows_of(measured, quiet)]
    if rows:
        report("growth", rows, as_json=as_json)
        report("growth powers", list(power_rows(rows)), as_json=as_json)
    if mixed:
        report("growth giants", list(giant_rows(mixed, quiet)), as_json=as_json)


def main() -> None:
    options = parse_options()
    wanted = options.only or [*VALUES, "giants"]
    with servers(options.server) as at, redis.Redis.from_url(at.redis_url) as client, quiet_loop() as end_quiet:
        lines = [list(measure_line(at, client, line, options)) for line in VALUES if line in wanted]
        mixed = measure_giants(at, client, options.seconds * options.rounds) if "giants" in wanted else []
        quiet = end_quiet()
    print_all(lines, mixed, quiet, as_json=options.json)


if __name__ == "__main__":
    main()
