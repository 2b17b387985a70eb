"""The draw alone: nanoseconds a chunk id, and microseconds a request on top of its ids.

A million chunks in five categories, no I/O. `draw` is `draw` of worker.core.draw.sampling, `json` and `packed`
are `answer` of worker.core.draw.answer, which checks, counts and encodes as well. The cost of a request is taken apart
by a straight line through two sizes, 1 and 64: its slope is an id's, its height at no ids is the request's. Beside it
stands the plain way in NumPy, measured in turns with it: `Generator.choice` with the weights, then `Generator.integers`
for the chunk, over the whole batch at once or request by request; for `json` with `json.dumps` a request, for `packed`
with `tobytes`. The plain way is that of independent draws with replacement and without seeds, whatever mode a row has.

    python tests/bench/draw.py [--quick] [--json]
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, arguments, report
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.plans import Plan
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sampling import draw
from worker.core.mixture import Mixture, make_mixture
from worker.core.weights.in_force import ABSENT, Held, in_force
from worker.core.weights.values import default_weights
from worker.core.wire import Decoder, Entry, encode_request

ROWS = 1_000_000
BATCH, LARGEST_BATCH = 256, 131_072
FITTED = (1, 64)
SIZES = (1, 8, 64, 1024, 65_536)
WAYS = ("draw", "json", "packed")
ID_TARGET_NS, REQUEST_TARGET_US = 20.0, 1.0
LEAST_S = 0.01

Call = Callable[[], object]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mode:
    """How requests are drawn."""

    method: str = "random"
    replace: int = 1
    seeded: int = 0


MODES = (
    Mode(),
    Mode(method="stratified"),
    Mode(replace=0),
    Mode(method="stratified", replace=0),
    Mode(seeded=1),
    Mode(method="stratified", replace=0, seeded=1),
)


class Library:
    """A catalog in memory, and the calls that are timed."""

    def __init__(self) -> None:
        codes = (np.arange(ROWS) % len(CATEGORIES)).astype(np.uint8)
        self.catalog: Catalog = build_catalog(np.arange(1, ROWS + 1), codes, CATEGORIES)
        mixture = make_mixture(default_weights(), self.catalog.view)
        assert mixture is not None
        self.mixture: Mixture = mixture
        self._snapshots = Snapshots(Derived(self.catalog), {None: in_force(None, None, Held(ABSENT, None))}, now_ms=0)
        self._rng = np.random.Generator(np.random.SFC64())
        self._plain_rng = np.random.default_rng()

    def call(self, way: str, mode: Mode, requests: int, size: int) -> Call:
        """Make the call that serves requests of one size together."""
        seeds = [number if mode.seeded else None for number in range(requests)]
        if way == "draw":
            sizes = np.full(requests, size)
            plan = Plan(self.mixture, sizes, seeds, bool(mode.replace), mode.method == "stratified")
            return partial(draw, plan, self._rng)
        decoder = Decoder()
        decoded = []
        for number, seed in enumerate(seeds):
            words = encode_request(size=size, method=mode.method, replace=mode.replace, encoding=way, seed=seed)
            decoded.append(decoder.decode(Entry(f"1-{number}", [str(word).encode() for word in words])))
        return partial(answer, decoded, self._snapshots, self._rng)

    def plain_call(self, way: str, requests: int, size: int) -> Call:
        """Make the call that serves as many in the plain way, over the whole batch."""
        return partial(self._serve_plainly, way, requests, size)

    def plain_loop(self, way: str, requests: int, size: int) -> Call:
        """Make the call that serves as many in the plain way, request by request."""

        def serve() -> None:
            for _ in range(requests):
                self._serve_plainly(way, 1, size)

        return serve

    def _serve_plainly(self, way: str, requests: int, size: int) -> object:
        places = self._draw_plainly(requests * size)
        if way == "draw":
            return places
        parts = self.catalog.ids[places].reshape(requests, size)
        return [json.dumps(ids.tolist()) if way == "json" else ids.tobytes() for ids in parts]

    def _draw_plainly(self, count: int) -> Integers:
        mixture = self.mixture
        category = self._plain_rng.choice(len(mixture.ready), count, p=mixture.probabilities)
        return mixture.starts[category] + self._plain_rng.integers(0, mixture.ready[category])


def times_us(calls: Sequence[Call], rounds: int) -> list[float]:
    """Time calls in turns; return the median of each, in us."""
    loops = [_loops(call) for call in calls]
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for place, call in enumerate(calls):
            began = time.perf_counter()
            for _ in range(loops[place]):
                call()
            taken[place].append((time.perf_counter() - began) / loops[place] * 1e6)
    return [statistics.median(one) for one in taken]


def _loops(call: Call) -> int:
    """Return how often to call, so that a clock can measure it. The first call is not counted."""
    call()
    began = time.perf_counter()
    call()
    return max(1, round(LEAST_S / (time.perf_counter() - began)))


@dataclass(frozen=True, slots=True)
class Line:
    """The cost of a request, by its size."""

    id_ns: float
    request_us: float


def line_through(few_us: float, many_us: float) -> Line:
    """Draw the line through what requests of the two sizes took, in us a request."""
    few, many = FITTED
    slope = (many_us - few_us) / (many - few)
    return Line(slope * 1000, few_us - slope * few)


def fitted_row(library: Library, way: str, mode: Mode, rounds: int) -> dict[str, Any]:
    """Split the cost of requests, in a batch and one by one."""
    batches = [library.call(way, mode, BATCH, size) for size in FITTED]
    plain = [library.plain_call(way, BATCH, size) for size in FITTED]
    taken = [us / BATCH for us in times_us([*batches, *plain, library.plain_loop(way, BATCH, FITTED[1])], rounds)]
    line, plain_line = line_through(*taken[:2]), line_through(*taken[2:4])
    is_judged = way == "draw"
    return {
        "way": way,
        "method": mode.method,
        "replace": mode.replace,
        "seeded": mode.seeded,
        "ns/id": line.id_ns,
        "target ns/id": ID_TARGET_NS if is_judged else "-",
        "us/request": line.request_us,
        "target us/request": REQUEST_TARGET_US if is_judged else "-",
        "plain ns/id": plain_line.id_ns,
        "plain us/request": plain_line.request_us,
        "64 ids us": taken[1],
        "plain 64 ids us": taken[3],
        "ratio": taken[1] / taken[3],
        "plain, one by one us": taken[4],
    }


def sized_row(library: Library, mode: Mode, *, requests: int, size: int, rounds: int) -> dict[str, Any]:
    """Time requests of a size by every way."""
    ours = [library.call(way, mode, requests, size) for way in WAYS]
    plain = [library.plain_call(way, requests, size) for way in WAYS]
    taken = [us / requests for us in times_us([*ours, *plain], rounds)]
    row: dict[str, Any] = {
        "method": mode.method,
        "replace": mode.replace,
        "seeded": mode.seeded,
        "size": size,
        "requests": requests,
    }
    for way, us, plain_us in zip(WAYS, taken[: len(WAYS)], taken[len(WAYS) :], strict=True):
        row |= {f"{way} us/request": us, f"plain {way} us": plain_us, f"{way} ratio": us / plain_us}
    return row


def sized_rows(library: Library, modes: Sequence[Mode], rounds: int) -> Iterator[dict[str, Any]]:
    """Time single requests, and batches as large as a worker draws in one go."""
    for mode in modes:
        for size in SIZES:
            for requests in (1, min(BATCH, LARGEST_BATCH // size)):
                yield sized_row(library, mode, requests=requests, size=size, rounds=rounds)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and sizes of one mode alone")
    options = parser.parse_args()
    rounds, modes = (3, MODES[:1]) if options.quick else (9, MODES)
    library = Library()
    rows = [fitted_row(library, way, mode, rounds) for way in WAYS for mode in MODES]
    report("draw", rows, as_json=options.json)
    report("draw sizes", list(sized_rows(library, modes, rounds)), as_json=options.json)


if __name__ == "__main__":
    main()
