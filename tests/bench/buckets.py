"""Batches of a budget: what a request costs beside a plain one, and how much of the batches is padding.

Two tables. `buckets_cost` is `answer` of worker.core.draw.answer, without I/O: requests of about 64 ids in five
categories, packed, in batches of 1 and 64. With replacement they are out of a million chunks, without (`replace` 0) out
of 100,000. A figure is CPU time a request: the least of many turns for each of eight draws, and the mean of these.
Plain requests of 64 ids are timed in turns with the others.

`buckets` draws 500 batches of 600 s from libraries of three duration laws: AudioSet, where nearly all clips last 10 s
(--audioset is a manifest; else it is made up); read speech, log-normal and up to 35 s, as in LibriSpeech and Common
Voice; and mixed, both beside songs of minutes. Categories differ in length, and weigh the same. `real / padded` are
seconds of audio in a second of a padded batch. `off by` is how far the mix of all batches is from the weights, at most,
in points.

- `random`: independent draws of one size, floor(600 / longest).
- `random, filled`: independent draws until the padded batch would exceed 600 s.
- `sorted`: the library sorted by length, and cut into batches. Its mix is that of the library.
- `buckets 10`, `buckets 30`: ours.
- `Lhotse 10`, `Lhotse 30`: DynamicBucketingSampler with so many buckets and max_duration 600, over the same list of
  draws as `random`. --lhotse is an interpreter that has Lhotse and PyTorch.

    python tests/bench/buckets.py [--only TABLE] [--json] [--keep] [--audioset CSV] [--lhotse PYTHON]
"""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, arguments, keep, report
from worker.core.catalog import Catalog, Columns, build_catalog
from worker.core.draw.answer import answer
from worker.core.draw.buckets import Buckets
from worker.core.draw.derived import Derived
from worker.core.draw.plans import Plan
from worker.core.draw.prepare import Snapshots, Unanswerable, prepare
from worker.core.draw.sampling import draw
from worker.core.draw.sessions import NEW_SESSION
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights, normalise
from worker.core.wire import LARGEST_SIZE, Request, Terms
from worker.core.wire.requests import Method

MANY, FEW = 1_000_000, 100_000  # chunks
BATCHES, BUDGET_S, SIZE = 500, 600.0, 64
DRAWS, TURNS = 8, 40
CASES: Sequence[tuple[str, int, bool, Sequence[Method]]] = (
    ("speech", MANY, True, ("random", "stratified", "epoch")),
    ("speech", FEW, False, ("random", "stratified")),
    ("AudioSet", FEW, False, ("random", "stratified")),
)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_LHOTSE = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from lhotse import CutSet
from lhotse.cut import MonoCut
from lhotse.dataset import DynamicBucketingSampler
cuts = [MonoCut(id=str(i), start=0, duration=d, channel=0) for i, d in enumerate(json.load(sys.stdin))]
for count in (10, 30):
    sampler = DynamicBucketingSampler(CutSet.from_cuts(cuts), max_duration=600, num_buckets=count, shuffle=True, seed=0)
    print(json.dumps([[int(cut.id) for cut in batch] for batch in sampler]))
"""


def make_library(law: str, audioset: Path | None) -> tuple[Floats, Integers]:
    """Make durations in seconds, and the category of each."""
    rng = np.random.default_rng(11)
    codes = np.arange(22_000) % len(CATEGORIES)
    speech = np.clip(np.exp(rng.normal(1.6 + 0.15 * codes, 0.5)), 0.5, 35.0)
    if law == "speech":
        return speech, codes
    if law == "mixed":
        songs = np.clip(np.exp(rng.normal(4.5, 0.6, len(codes))), 20.0, 500.0)
        return np.select([codes < 2, codes == 2], [speech, 10.0], songs), codes
    if audioset is None:
        return np.where(rng.random(len(codes)) < 0.94, 10.0, rng.uniform(1.0, 10.0, len(codes))), codes
    with audioset.open(newline="") as opened:
        rows = [(row["category"], float(row["duration_s"])) for row in csv.DictReader(opened)]
    names = sorted({name for name, _ in rows})
    return np.array([seconds for _, seconds in rows]), np.array([names.index(name) for name, _ in rows])


def _catalog(seconds: Floats, codes: Integers) -> tuple[Catalog, Weights]:
    names = [f"c{i}" for i in range(int(codes.max()) + 1)]
    columns = Columns(np.zeros(len(seconds), np.int64), {"duration_s": seconds})
    weights = normalise(dict.fromkeys(names, 1.0), "redis")
    assert weights is not None
    return build_catalog(np.arange(len(seconds)), codes.astype(np.uint16), names, None, columns), weights


def _ours(seconds: Floats, codes: Integers, buckets: int) -> list[Integers]:
    catalog, weights = _catalog(seconds, codes)
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, 0)
    prepared = prepare(Terms(size=LARGEST_SIZE, budget_s=BUDGET_S, buckets=buckets), snapshots)
    assert not isinstance(prepared, Unanswerable)
    rng, varying = np.random.default_rng(1), prepared.batch.varying
    if isinstance(varying, Buckets):
        found = varying.draw([None] * BATCHES, rng)
        sizes, positions = found.sizes, found.drawn.positions
    else:  # all quantiles are one duration
        sizes = np.full(BATCHES, prepared.batch.size)
        positions = draw(Plan(prepared.mixture, sizes, [None] * BATCHES, replace=True, stratified=False), rng).positions
    return np.split(catalog.ids[positions].astype(np.int64), sizes.cumsum()[:-1])


def _draws(codes: Integers, count: int) -> Integers:
    """Draw chunks independently, categories by equal weights."""
    rng = np.random.default_rng(2)
    of_each = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    chosen = rng.integers(0, len(of_each), count)
    return np.array([of_each[code][rng.integers(len(of_each[code]))] for code in chosen.tolist()])


def _fill(seconds: Floats, ids: Sequence[int]) -> Iterator[Integers]:
    """Cut a list into batches that stay within the budget once they are padded."""
    batch: list[int] = []
    longest = 0.0
    for chunk in ids:
        longest = max(longest, seconds[chunk])
        if longest * (len(batch) + 1) > BUDGET_S:
            yield np.array(batch)
            batch, longest = [], float(seconds[chunk])
        batch.append(chunk)
    yield np.array(batch)


def _ways(seconds: Floats, codes: Integers, lhotse: str | None) -> Iterator[tuple[str, list[Integers]]]:
    size = int(BUDGET_S // seconds.max())
    drawn = _draws(codes, BATCHES * 64)
    yield "random", np.split(drawn[: len(drawn) // size * size], len(drawn) // size)
    yield "random, filled", list(_fill(seconds, drawn.tolist()))
    yield "sorted", list(_fill(seconds, seconds.argsort().tolist()))
    for count in (10, 30):
        yield f"buckets {count}", _ours(seconds, codes, count)
    if lhotse is not None:
        asked = json.dumps(seconds[drawn].tolist())
        told = subprocess.run([lhotse, "-c", _LHOTSE], input=asked, check=True, capture_output=True, text=True).stdout
        for count, line in zip((10, 30), told.splitlines(), strict=True):
            yield f"Lhotse {count}", [drawn[batch] for batch in json.loads(line)]


def _padding(audioset: Path | None, lhotse: str | None) -> Iterator[dict[str, Any]]:
    for law in ("AudioSet", "speech", "mixed"):
        seconds, codes = make_library(law, audioset)
        for way, batches in _ways(seconds, codes, lhotse):
            real = sum(float(seconds[batch].sum()) for batch in batches)
            padded = sum(float(seconds[batch].max()) * len(batch) for batch in batches)
            counts = np.bincount(codes[np.concatenate(batches)])
            off = 100 * np.abs(counts / counts.sum() - 1 / len(counts)).max()
            fullest = max(float(seconds[batch].max()) * len(batch) for batch in batches)
            yield {
                "library": law,
                "batches": way,
                "padding %": 100 * (1 - real / padded),
                "real / padded": real / padded,
                "ids a batch": float(np.mean([len(batch) for batch in batches])),
                "fullest s": fullest,
                "off by": float(off),
            }


def _snapshots(law: str, chunks: int) -> Snapshots:
    rng = np.random.default_rng(3)
    seconds = np.clip(np.exp(rng.normal(2.0, 0.7, chunks)), 0.3, 40.0)
    if law == "AudioSet":
        seconds = np.where(rng.random(chunks) < 0.94, 10.0, rng.uniform(1.0, 10.0, chunks))
    catalog, weights = _catalog(seconds, rng.integers(0, len(CATEGORIES), chunks))
    return Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, 0, {"s": NEW_SESSION})


def _of_size(terms: Terms, snapshots: Snapshots) -> Terms:
    """Return terms whose batches have about `SIZE` ids."""
    prepared = prepare(terms, snapshots)
    assert not isinstance(prepared, Unanswerable)
    return terms._replace(budget_s=round(BUDGET_S * SIZE / prepared.batch.size, 3))


def _cost() -> Iterator[dict[str, Any]]:
    for law, chunks, replace, methods in CASES:
        snapshots = _snapshots(law, chunks)
        for method in methods:
            session = "s" if method == "epoch" else None
            plain = Terms(size=SIZE, encoding="packed", method=method, replace=replace, session=session)
            terms = {"plain": plain}
            for count in (10, 64):
                asked = plain._replace(size=LARGEST_SIZE, budget_s=BUDGET_S, buckets=count)
                terms[f"buckets {count}"] = _of_size(asked, snapshots)
            for requests in (1, SIZE):
                us = _us_a_request(terms, requests, snapshots)
                row = {"library": law, "chunks": chunks, "method": method, "replace": int(replace)}
                row |= {"requests": requests} | {f"{name} us": value for name, value in us.items()}
                yield row | {f"ratio {count}": us[f"buckets {count}"] / us["plain"] for count in (10, 64)}


def _us_a_request(terms: Mapping[str, Terms], count: int, snapshots: Snapshots) -> dict[str, float]:
    """Time batches of so many requests: the same draws in each turn, so that none looks cheap as it drew less."""
    least = {name: [float("inf")] * DRAWS for name in terms}
    asked = {name: [Request(f"{i}-0", "r", one) for i in range(count)] for name, one in terms.items()}
    for _ in range(TURNS):
        for number in range(DRAWS):
            for name, requests in asked.items():
                rng, began = np.random.default_rng(number), time.process_time()
                answer(requests, snapshots, rng)
                least[name][number] = min(least[name][number], time.process_time() - began)
    return {name: 1e6 * sum(of_draws) / DRAWS / count for name, of_draws in least.items()}


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__)
    parser.add_argument("--keep", action="store_true", help="write the figures of README.md as well")
    parser.add_argument("--only", choices=("buckets", "buckets_cost"), help="one of the two tables")
    parser.add_argument("--audioset", type=Path, help="a manifest of AudioSet, CSV with category and duration_s")
    parser.add_argument("--lhotse", help="an interpreter that has Lhotse and PyTorch")
    given = parser.parse_args()
    tables = {"buckets": lambda: _padding(given.audioset, given.lhotse), "buckets_cost": _cost}
    for name in (given.only,) if given.only else tables:
        rows = list(tables[name]())
        report(name, rows, as_json=given.json)
        if given.keep:
            keep(name, rows)


if __name__ == "__main__":
    main()
