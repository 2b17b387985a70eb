"""Batches of a budget: what a request costs beside a plain one, and how much of the batches is padding.

Two tables. `cost` is `answer` of worker.core.draw.answer, without I/O: requests of about 64 ids out of a million chunks
in five categories, in batches of 1 and 64, packed. The figure is the least CPU time of many turns, taken in turns with
the plain request.

`padding` draws 500 batches of 600 s from libraries of three duration laws: AudioSet, where nearly all clips last 10 s
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

    python tests/bench/buckets.py [--json] [--audioset CSV] [--lhotse PYTHON]
"""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, arguments, report
from worker.core.catalog import Catalog, Columns, build_catalog
from worker.core.draw.answer import answer
from worker.core.draw.buckets import Buckets
from worker.core.draw.derived import Derived
from worker.core.draw.plans import Plan
from worker.core.draw.prepare import Snapshots, Unanswerable, prepare
from worker.core.draw.sampling import draw
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights, normalise
from worker.core.wire import LARGEST_SIZE, Request, Terms

CHUNKS, BATCHES, BUDGET_S, SIZE, TURNS = 1_000_000, 500, 600.0, 64, 200
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


def _library(law: str, audioset: Path | None) -> tuple[Floats, Integers]:
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
        seconds, codes = _library(law, audioset)
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


def _cost() -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(3)
    seconds = np.clip(np.exp(rng.normal(2.0, 0.7, CHUNKS)), 0.3, 40.0)
    catalog, weights = _catalog(seconds, rng.integers(0, len(CATEGORIES), CHUNKS))
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, 0)
    padded = Terms(size=LARGEST_SIZE, budget_s=BUDGET_S, buckets=10, encoding="packed")
    prepared = prepare(padded, snapshots)
    assert not isinstance(prepared, Unanswerable)
    budget_s = round(BUDGET_S * SIZE / prepared.batch.size, 3)
    for method in ("random", "stratified"):
        terms = {
            "plain": Terms(size=SIZE, encoding="packed", method=method),
            "buckets 10": padded._replace(budget_s=budget_s, method=method),
        }
        for count in (1, 64):
            least = dict.fromkeys(terms, float("inf"))
            for _ in range(TURNS):
                for name, one in terms.items():
                    requests = [Request(f"{i}-0", "r", one) for i in range(count)]
                    began = time.process_time()
                    answer(requests, snapshots, rng)
                    least[name] = min(least[name], time.process_time() - began)
            us = {f"{name} us": 1e6 * spent / count for name, spent in least.items()}
            yield {"method": method, "requests": count, **us, "ratio": us["buckets 10 us"] / us["plain us"]}


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__)
    parser.add_argument("--audioset", type=Path, help="a manifest of AudioSet, CSV with category and duration_s")
    parser.add_argument("--lhotse", help="an interpreter that has Lhotse and PyTorch")
    given = parser.parse_args()
    report("buckets: padding of batches of 600 s", list(_padding(given.audioset, given.lhotse)), as_json=given.json)
    report("buckets: cost of a request of 64 ids", list(_cost()), as_json=given.json)


if __name__ == "__main__":
    main()
