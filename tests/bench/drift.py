"""The test behind `mix.drifted`: false alarms while the mix is right, and intervals until a share that is off is found.

    python tests/bench/drift.py [--json] [--intervals N] [--trials N]

The mix is the default one: voice 0.4, music 0.3, documentary 0.2, conference 0.1, as 10,000 draws an interval. For the
first two rows the counts are multinomial. For the third, the worker's own code answers requests of all kinds. In the
last rows, a worker gives a part of music's share to voice, after 100 intervals without a drift.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import WORKER_CORE, arguments, pin, report
from tests.support.drawing import catalog_of
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.stats import read_counts
from worker.core.stats.departures import departures
from worker.core.stats.drift import FALSE_ALARM_RATE, Drawn, DriftTest, Key
from worker.core.weights.in_force import InForce
from worker.core.weights.values import default_weights
from worker.core.wire import Request, Terms

SHARES: Final = default_weights().shares
NAMES: Final = tuple(name for name, share in SHARES.items() if share)
DRAWS: Final = 10_000
_QUIET = 100
_KINDS = (
    Terms(size=32),
    Terms(size=64, method="stratified"),
    Terms(size=8, replace=False),
    Terms(size=512, replace=False, method="stratified"),
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--intervals", type=int, default=100_000, help="intervals without a drift (default: 100,000)")
    parser.add_argument("--trials", type=int, default=200, help="drifts of each size (default: 200)")
    options = parser.parse_args()
    pin(os.getpid(), WORKER_CORE)
    rng = np.random.default_rng(1)
    right = [SHARES[name] for name in NAMES]
    rows: list[dict[str, Any]] = []
    for rate in (FALSE_ALARM_RATE, 0.001):
        drawn = (_multinomial(rng, right) for _ in range(options.intervals))
        rows.append(_row("false alarms", "multinomial", rate, options.intervals, [_alarms(drawn, rate)]))
    few = options.intervals // 10
    rows.append(_row("false alarms", "answered requests", 0.001, few, [_alarms(_answered(rng, few), 0.001)]))
    for points in (1, 2, 5):
        found = [_until_found(rng, points / 100) for _ in range(options.trials)]
        off = f"{points} {'point' if points == 1 else 'points'} off"
        rows.append(_row("intervals until found", off, FALSE_ALARM_RATE, options.trials, found))
    report("drift", rows, as_json=options.json)


def _row(what: str, of: str, rate: float, runs: int, values: Sequence[int]) -> dict[str, Any]:
    largest = max(values) if len(values) > 1 else None
    return {
        "what": what,
        "of": of,
        "stated rate": f"{rate:g}",
        "runs": runs,
        "mean": float(mean(values)),
        "largest": "-" if largest is None else largest,
    }


def _multinomial(rng: np.random.Generator, drawn: Sequence[float]) -> dict[Key, Drawn]:
    counts = rng.multinomial(DRAWS, drawn).tolist()
    return {
        ("", name): Drawn(count, DRAWS * SHARES[name], DRAWS * SHARES[name] * (1 - SHARES[name]), DRAWS)
        for name, count in zip(NAMES, counts, strict=True)
    }


def _answered(rng: np.random.Generator, intervals: int) -> Iterator[dict[Key, Drawn]]:
    """Answer 20 requests of each kind an interval."""
    weights: dict[str | None, InForce] = {None: InForce(None, default_weights(), ())}
    snapshots = Snapshots(Derived(catalog_of(dict.fromkeys(NAMES, 1000))), weights, 0)
    requests = [Request(f"{number}-0", "r", _KINDS[number % 4]) for number in range(80)]
    for _ in range(intervals):
        tally = answer(requests, snapshots, rng).tally
        found = departures(read_counts(Counter(tally.fields)), tally.asked, 1.0)
        yield {key: one.drawn for key, one in found.items()}


def _alarms(intervals: Iterator[dict[Key, Drawn]], rate: float) -> int:
    test = DriftTest(rate)
    return sum(
        one.is_drifting for number, drawn in enumerate(intervals) for one in test.add(drawn, number, number + 1.0)
    )


def _until_found(rng: np.random.Generator, off: float) -> int:
    test = DriftTest()
    shares = [SHARES[name] for name in NAMES]
    moved = [share + off * {"voice": 1, "music": -1}.get(name, 0) for name, share in zip(NAMES, shares, strict=True)]
    for number in range(_QUIET):
        test.add(_multinomial(rng, shares), number, number + 1.0)
    intervals = 1
    while not test.add(_multinomial(rng, moved), _QUIET + intervals - 1.0, _QUIET + intervals):
        intervals += 1
    return intervals


main()
