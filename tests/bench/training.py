"""A training on AudioSet's library while somebody moves the sliders: what it heard, beside the weights in force.

Two ranks with four DataLoader workers each go through one session by `method="epoch"`. Every few seconds other weights
are set. One rank is killed on the way and goes on from its last checkpoint. What both noted is then counted:

- samples heard twice or never in a pass,
- batches that came again otherwise than before,
- how much older than the weights in force a batch was when it was heard,
- the time that the loops waited for samples.

The picture shows the mix of each 1,000 samples.

    python tests/bench/training.py [--batches N] [--step-ms MS] [--picture FILE] [--json] [--server redis7]
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, report, servers, worker
from tests.bench.training_picture import draw_training
from tests.bench.training_rank import CHECKPOINT_EVERY
from tests.support.children import ending_with_us
from tests.support.command import run_command
from tests.support.library import ready_in, session
from tests.support.manifest import audioset_manifest
from worker.core.keys import Keys
from worker.core.weights.values import normalise
from worker.settings.environment import environment_with

PROGRAM = Path(__file__).with_name("training_rank.py")
RANKS = 2
FIRST = 25  # batches of a life: until DataLoader workers have been started
MOVES: Sequence[Mapping[str, float]] = (
    {"voice": 0.4, "music": 0.3, "documentary": 0.1, "conference": 0.1, "custom": 0.1},
    {"voice": 0.7, "music": 0.2, "documentary": 0.02, "conference": 0.05, "custom": 0.03},
    {"voice": 0.1, "music": 0.1, "documentary": 0.05, "conference": 0.05, "custom": 0.7},
    {"voice": 0.2, "music": 0.6, "documentary": 0.1, "conference": 0.05, "custom": 0.05},
    {"voice": 0.34, "music": 0.33, "documentary": 0.01, "conference": 0.16, "custom": 0.16},
)


@dataclass(frozen=True, slots=True)
class Move:
    """Weights that were set, and when their writer knew (Unix time, s)."""

    at: float
    weights: Mapping[str, float]
    version: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard: a line for each batch that counts for the model, in order of time; and what came twice.

    Attributes:
        batches: Of all ranks.
        again: Pairs of a batch that was lost by a kill, and the same batch when it came again.
        away: When a rank was killed, and when it heard something again (Unix time, s).
    """

    batches: Sequence[Mapping[str, Any]]
    again: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    away: tuple[float, float]


class Rank:
    """One rank's process."""

    def __init__(self, number: int, at: Servers, folder: Path, words: Sequence[str]) -> None:
        self.notes = folder / f"rank-{number}.jsonl"
        self._environment = environment_with({"REDIS_URL": at.redis_url, "RANK": str(number)})
        self._command = [
            sys.executable,
            "-W",
            "ignore",
            str(PROGRAM),
            str(self.notes),
            str(folder / f"rank-{number}.pt"),
            *words,
        ]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(ending_with_us(*self._command), env=self._environment, start_new_session=True)

    def kill_and_start_again(self) -> None:
        """Kill the rank and its DataLoader workers as a lost machine does, and restart it from its checkpoint."""
        os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process = self._start()

    def trained(self) -> int:
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        whole = self.notes.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole]


@contextmanager
def moving_sliders(at: Servers, every_s: float) -> Iterator[list[Move]]:
    """Set other weights every so often; yield what was set so far."""
    moves: list[Move] = []
    ended = threading.Event()

    def move() -> None:
        key = Keys("audio").weights()
        with redis.Redis.from_url(at.redis_url) as client:
            while True:
                weights = normalise(MOVES[len(moves) % len(MOVES)], "redis")
                assert weights is not None
                client.set(key, json.dumps(dict(weights.shares)))
                moves.append(Move(time.time(), weights.shares, weights.version))
                client.publish(key, "x")
                if ended.wait(every_s):
                    return

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield moves
    finally:
        ended.set()
        mover.join()


def train(at: Servers, folder: Path, batches: int, step_ms: float) -> tuple[Heard, list[Move]]:
    """Run the training; return what was heard, and which weights were set."""
    words = ["--batches", str(batches), "--step-ms", str(step_ms)]
    with moving_sliders(at, every_s=batches * step_ms / 1000 / len(MOVES) * 1.4) as moves:
        ranks = [Rank(number, at, folder, words) for number in range(RANKS)]
        while (trained := ranks[-1].trained()) < batches // 4 or trained % CHECKPOINT_EVERY < CHECKPOINT_EVERY // 2:
            time.sleep(0.01)
        killed_at = time.time()
        ranks[-1].kill_and_start_again()
        for rank in ranks:
            assert rank.process.wait() == 0, "a rank failed"
    told = heard([rank.lines() for rank in ranks], killed_at)
    return told, [move for move in moves if move.at < told.batches[-1]["at"]]


def heard(notes: Sequence[Sequence[Mapping[str, Any]]], killed_at: float) -> Heard:
    """Remove what a rank heard after the checkpoint that it resumed from, since the model lost it."""
    batches: list[Mapping[str, Any]] = []
    again: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for lines in notes:
        kept: dict[int, Mapping[str, Any]] = {}
        vain: dict[str, Mapping[str, Any]] = {}
        for line in lines:
            if line["trained"] in kept:
                vain |= {kept.pop(step)["request_id"]: kept_line for step, kept_line in _from(kept, line["trained"])}
            kept[line["trained"]] = line
        again += [(vain[line["request_id"]], line) for line in kept.values() if line["request_id"] in vain]
        batches += kept.values()
    back_at = min(line["at"] for line in notes[-1] if line["at"] > killed_at)
    return Heard(sorted(batches, key=lambda line: float(line["at"])), again, (killed_at, back_at))


def _from(kept: Mapping[int, Mapping[str, Any]], step: int) -> list[tuple[int, Mapping[str, Any]]]:
    return [(number, line) for number, line in sorted(kept.items()) if number >= step]


def count_passes(batches: Sequence[Mapping[str, Any]], category_of: Mapping[int, str]) -> tuple[int, int, int]:
    """Count chunks that came twice in a pass, chunks missing from a whole pass, and whole passes."""
    drawn: dict[tuple[str, int], Counter[int]] = {}
    for batch in batches:
        left = {name: [int(p) for p, n in spans.items() for _ in range(n)] for name, spans in batch["passes"].items()}
        for chunk in batch["chunk_ids"]:
            name = category_of[chunk]
            drawn.setdefault((name, left[name].pop(0)), Counter())[chunk] += 1
    sizes = Counter(category_of.values())
    last = {name: max(number for other, number in drawn if other == name) for name, _ in drawn}
    whole = [(key, counts) for key, counts in drawn.items() if key[1] < last[key[0]]]
    twice = sum(count - 1 for counts in drawn.values() for count in counts.values())
    never = sum(sizes[name] - len(counts) for (name, _), counts in whole)
    return twice, never, len(whole)


def staleness(batches: Sequence[Mapping[str, Any]], moves: Sequence[Move]) -> tuple[int, float]:
    """Return how many batches at most were drawn before a change and heard after it, and how late (s)."""
    numbers: dict[str, list[int]] = {}
    for number, move in enumerate(moves):
        numbers.setdefault(move.version, []).append(number)
    most, longest = 0, 0.0
    for number, move in enumerate(moves[1:], 1):
        until = moves[number + 1].at if number + 1 < len(moves) else float("inf")
        older = [
            batch
            for batch in batches
            if move.at <= batch["at"] < until and number not in numbers.get(batch["weights_version"], [])
        ]
        most = max(most, len(older))
        longest = max([longest, *(float(batch["at"]) - move.at for batch in older)])
    return most, longest


async def _categories(database_url: str) -> dict[int, str]:
    async with session(database_url) as connection:
        return {int(chunk): name for name, ids in (await ready_in(connection)).items() for chunk in ids}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=3000, help="batches of 32 that each rank trains on")
    parser.add_argument("--step-ms", type=float, default=5.0, help="how long a step of the training takes")
    parser.add_argument("--picture", type=Path, help="draw what was heard: an .svg or .png file")
    asked = parser.parse_args()
    with servers(asked.server) as at, tempfile.TemporaryDirectory() as folder:
        settings = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url}
        for words in (["migrate"], ["catalog", "import", str(audioset_manifest(Path(folder)))]):
            run_command(*words, settings=settings, cwd=Path(folder)).check_returncode()
        with worker(at, cores=range(os.cpu_count() or 1)):
            told, moves = train(at, Path(folder), asked.batches, asked.step_ms)
        category_of = asyncio.run(_categories(at.database_url))
    twice, never, whole = count_passes(told.batches, category_of)
    most, longest_s = staleness(told.batches, moves)
    steady = [batch for batch in told.batches if batch["in_this_life"] > FIRST]
    waited, trained = (sum(float(batch[name]) for batch in steady) for name in ("waited_s", "trained_s"))
    row = {
        "samples": sum(len(batch["chunk_ids"]) for batch in told.batches),
        "changes of weights": len(moves),
        "whole passes": whole,
        "came twice in a pass": twice,
        "never came in a whole pass": never,
        "batches again after the kill": len(told.again),
        "of these otherwise than before": sum(one["chunk_ids"] != two["chunk_ids"] for one, two in told.again),
        "most batches older than a change": most,
        "heard for so long after it (ms)": longest_s * 1000,
        "waited (% of the loops' time)": 100 * waited / (waited + trained),
    }
    report("training", [{"what": name, "value": value} for name, value in row.items()], as_json=asked.json)
    if asked.picture:
        asked.picture.write_bytes(draw_training(told.batches, moves, told.away, asked.picture.suffix))
    if twice or never or row["of these otherwise than before"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
