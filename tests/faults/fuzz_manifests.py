"""Read manifests that are written otherwise or broken, and count what is read as something else.

    python tests/faults/fuzz_manifests.py [--seconds 60] [--seed 1] [--show]

A manifest is taken as it is meant, or refused with its line: anything else is silently different. Exit status 1 when
one is. `--show` prints each of these.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.manifest_mutations import Draft, is_never, mutated
from tests.faults.manifest_reader import Row, read_strictly
from worker.core.catalog.manifest import Manifest
from worker.errors import ManifestError

OUTCOMES = ("taken", "told", "refused", "silently different")


def outcome_of(draft: Draft, chance: random.Random) -> str:
    """Read a manifest in portions, and return the outcome."""
    size = chance.choice([1, 7, 64, 1 << 18])
    portions = [draft.content[start : start + size] for start in range(0, len(draft.content), size)]
    manifest = Manifest("fuzzed", portions)
    try:
        rows = [(row.path, row.category, row.status, row.duration_s) for row in manifest.rows()]
        manifest.problems.raise_any()
    except ManifestError as error:
        is_told = all(sentence.startswith("fuzzed") for sentence in error.sentences)
        return "refused" if error.sentences and is_told else "silently different"
    if _contradict(rows):
        return "refused"  # by PostgreSQL, which sees each path
    if rows == _meant(draft):
        return "taken"
    return "told" if draft.may_be_told and manifest.notes.sentences() else "silently different"


def _contradict(rows: list[Row]) -> bool:
    return len({row[0] for row in rows}) < len(set(rows))


def _meant(draft: Draft) -> list[Row] | None:
    if is_never(draft):
        return None
    return read_strictly(draft.content) if draft.rows is None else draft.rows


def main() -> int:
    """Read until the time is over, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    over, seed = time.monotonic() + options.seconds, options.seed * 1_000_000_000
    while time.monotonic() < over:
        draft = mutated(seed)
        outcome = outcome_of(draft, random.Random(seed))
        counts[outcome] += 1
        if outcome == OUTCOMES[-1] and options.show:
            print(f"{seed} {draft.done}: {draft.content!r}")
        seed += 1
    print(f"{counts.total():,} files: " + ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES))
    return int(counts[OUTCOMES[-1]] > 0)


if __name__ == "__main__":
    sys.exit(main())
