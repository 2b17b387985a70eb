"""The cost of a request as the work grows: one thing at a time, while all else stays as it is by default.

By default a request has 64 ids. Weights and READY chunks are in 5 categories, there is no dataset, and results go to
the shared stream. There are a million chunks and one worker. Each line of growth has its default in it, and `ratio` is
requests/s against that row. Workers serve a backlog that was there before they start on it. Redis has the first core,
all workers share the second. `still` is the longest time for which a worker's event loop looked at nothing new. Beside
it stands that of an idle loop in another process (see stillness.py for what watching costs).

The second table shows the power by which the CPU time of a request grows with what grows: 1 is in proportion, 0 not at
all. It is taken from the default to the end of the line (for fewer than the default, from the beginning).

The third table mixes giants in. Some requests of 65,536 ids (stratified, no chunk twice, JSON) are always waiting.
Meanwhile a client asks for 64 ids at a time, one request after the other. It notes how long each takes. The same
without giants stands beside it.

    python tests/bench/growth.py [--only LINE]... [--seconds S] [--rounds N] [--json] [--server redis7]
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.backlog import KEYS, ROWS, Case, Command, Timing, time_running
from tests.bench.giants import SIZE, Mixed, giant_rows, measure_giants
from tests.bench.harness import CATEGORIES, Servers, arguments, report, servers
from tests.bench.stillness import Spans, longest_ms, quiet_loop
from tests.bench.watched import Library, ensure, watched_workers

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


@dataclass(frozen=True, slots=True)
class Point:
    """What is measured: a value on a line of growth."""

    line: str
    value: int
    library: Library
    case: Case


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured: the median round, and the longest standstill in all rounds."""

    point: Point
    timing: Timing
    spans: tuple[tuple[float, float], ...]
    still_ms: float


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
    """Return the powers by which costs grow, above the default and up to it."""
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
