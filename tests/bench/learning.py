"""A training in PyTorch on sounds from files, under weights that stand still, follow a schedule, or learn.

The program writes short WAV files of five difficulties. `catalog scan` scans them and puts a quarter aside. Four
networks begin alike and train side by side, step by step. Each gets samples of a dataset of its own. `static` has equal
shares. `schedule` begins with what is easy and ends with equal shares. `shadow` has equal shares and a rule that only
says what it would do. `on` has the same rule move the weights. All report their losses by `LossByCategory`. `shadow` is
`static` once more, by other draws: their difference is noise.

    python tests/bench/learning.py [--steps N] [--rule RULE] [--picture FILE] [--json] [--server redis7]
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, report, servers, worker
from tests.bench.learning_picture import draw_learning
from tests.bench.learning_sounds import KINDS, PITCHES, Shelf, write_sounds
from tests.support.command import run_command
from worker.client import LossByCategory, Sample, SampleClient
from worker.core.adjust.state import read_state
from worker.core.keys import Keys
from worker.core.weights.values import parse_weights

KEYS: Final = Keys("audio")
EACH: Final = 1200  # sounds of a category
SIZE: Final = 32
LOOKS: Final = 40  # how often weights and held-out losses are noted
STEP_S: Final = 0.008  # a step of one network takes no less, so that rules have time
HIDDEN: Final = 64
SPEED: Final = 1e-3
BLUR: Final = 0.5  # noise on spectra in training, so that few sounds are not learnt by heart
RUNS: Final = ("static", "schedule", "shadow", "on")


@dataclass(slots=True)
class Course:
    """What became of one network.

    Attributes:
        steps: Steps after which it was looked at.
        weights: Category -> share in force at each look.
        wanted: The same of the shares that a shadow would have set; empty for other runs.
        held_out: Category -> mean loss on sounds put aside, at each look.
    """

    steps: list[int] = field(default_factory=list)
    weights: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in KINDS})
    wanted: dict[str, list[float]] = field(default_factory=dict)
    held_out: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in KINDS})


class Learner:
    """One network, and its samples."""

    def __init__(self, name: str, client: SampleClient, shelf: Shelf, steps: int, width: int) -> None:
        torch.manual_seed(1)
        self.name = name
        self.course = Course()
        self._shelf = shelf
        self._model = torch.nn.Sequential(
            *(torch.nn.Dropout(0.2), torch.nn.Linear(width, HIDDEN), torch.nn.GELU()),
            *(torch.nn.Dropout(0.5), torch.nn.Linear(HIDDEN, len(PITCHES))),
        )
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=SPEED, weight_decay=0.05)
        self._samples: Iterator[Sample] = iter(
            client.stream(SIZE, count=steps, prefetch=2, dataset=name, columns=("category", "path"))
        )
        self._reported = LossByCategory(client, every=10, dataset=name)

    def train(self, step: int) -> None:
        """Make one step."""
        sample = next(self._samples)
        spectra, pitches = self._shelf.read([str(path) for path in sample.paths or ()])
        varied = spectra + BLUR * torch.randn_like(spectra)
        losses = functional.cross_entropy(self._model(varied), pitches, reduction="none")
        self._reported.update(sample, losses, step=step)
        self._optimizer.zero_grad()
        mean: Any = losses.mean()
        mean.backward()
        self._optimizer.step()

    def look(self, step: int, aside: Mapping[str, tuple[Any, Any]], server: Any) -> None:
        """Note the weights in force, and the losses on what was put aside."""
        self.course.steps.append(step)
        self._model.eval()
        with torch.no_grad():
            for name, (spectra, pitches) in aside.items():
                self.course.held_out[name].append(functional.cross_entropy(self._model(spectra), pitches).item())
        self._model.train()
        weights = parse_weights(server.get(KEYS.weights(self.name)), "redis")
        assert weights is not None
        _note(self.course.weights, weights.shares)
        if shadow := _shadow(server, self.name):
            self.course.wanted = self.course.wanted or {name: [] for name in KINDS}
            missing = len(self.course.steps) - 1 - len(self.course.wanted["clean"])
            for _ in range(missing):  # before its first step it would have left the weights as they were
                _note(self.course.wanted, weights.shares)
            _note(self.course.wanted, shadow)


def _note(into: Mapping[str, list[float]], shares: Mapping[str, float]) -> None:
    for name, course in into.items():
        course.append(shares.get(name, 0.0))


def _shadow(server: Any, name: str) -> Mapping[str, float]:
    text = server.hget(KEYS.adjust_state, name)
    return {} if text is None else read_state(text).shadow


def looks(steps: int) -> range:
    """Return the steps after which the networks are looked at: about `LOOKS`, or each where there are fewer."""
    return range(0, steps + 1, max(1, steps // LOOKS))


def _schedule(steps: int) -> str:
    """Write points that begin with what is easy, and are at equal shares after half of the training."""
    easy = " ".join(f"{name}={share}" for name, share in zip(KINDS, (16, 8, 4, 2, 1), strict=True))
    return f"points=0 {easy}; {max(1, steps // 2)} {' '.join(f'{name}=1' for name in KINDS)}"


def set_up(at: Servers, folder: Path, steps: int, rule: Sequence[str]) -> None:
    """Write the library, scan it, and set weights and rules, as a person does."""
    settings = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url}

    def run(*words: str) -> None:
        ended = run_command(*words, settings=settings, cwd=folder)
        assert ended.returncode == 0, ended.stderr

    write_sounds(folder / "sounds", EACH, seed=1)
    run("migrate")
    run("catalog", "scan", str(folder / "sounds"), "--split", "val=0.25")
    run("catalog", "export", str(folder / "aside.jsonl"), "--split", "val")
    for name in RUNS:
        run("weights", "set", *(f"{category}=1" for category in KINDS), "--dataset", name)
    schedule = (_schedule(steps), "between=linear", "unit=requests")
    run("adjust", "set", "schedule", *schedule, "--dataset", "schedule", "--mode", "on")
    for mode in ("shadow", "on"):
        run("adjust", "set", *rule, "--dataset", mode, "--mode", mode, "--interval", "1s")


def _aside(folder: Path, shelf: Shelf) -> dict[str, tuple[Any, Any]]:
    """Read the sounds that were put aside: category -> spectra and pitches."""
    rows = [json.loads(line) for line in (folder / "aside.jsonl").read_text().splitlines()]
    return {name: shelf.read([row["path"] for row in rows if row["category"] == name]) for name in KINDS}


def train(at: Servers, folder: Path, steps: int) -> dict[str, Course]:
    """Train all networks side by side; return what became of them."""
    shelf = Shelf()
    aside = _aside(folder, shelf)
    width = aside["clean"][0].shape[1]
    with ExitStack() as opened:
        server = opened.enter_context(redis.Redis.from_url(at.redis_url))
        client = opened.enter_context(SampleClient(at.redis_url))
        learners = [Learner(name, client, shelf, steps, width) for name in RUNS]
        due = time.monotonic()
        for step in range(steps + 1):
            if step in looks(steps):
                for one in learners:
                    one.look(step, aside, server)
            if step < steps:
                for one in learners:
                    one.train(step)
            due += STEP_S * len(learners)
            time.sleep(max(0.0, due - time.monotonic()))
    return {one.name: one.course for one in learners}


def rows_of(courses: Mapping[str, Course]) -> list[dict[str, Any]]:
    """Return the held-out losses at the end, and the shares that each training ended with."""
    rows = []
    for name, course in courses.items():
        for what, found in (("held-out loss", course.held_out), ("share at the end", course.weights)):
            last = {kind: values[-1] for kind, values in found.items()}
            rows.append({"weights": name, "what": what, **last, "mean": sum(last.values()) / len(last)})
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="steps of each training (default: 2000)")
    parser.add_argument("--rule", default="proportional", help="the rule that learns, and its parameters")
    parser.add_argument("--picture", type=Path, help="draw weights and losses: an .svg or .png file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with servers(asked.server) as at, tempfile.TemporaryDirectory() as folder:
        set_up(at, Path(folder), asked.steps, asked.rule.split())
        with worker(at, cores=range(os.cpu_count() or 1), WORKER_CATALOG_COLUMNS="path"):
            courses = train(at, Path(folder), asked.steps)
    report("learning", rows_of(courses), as_json=asked.json)
    if asked.picture:
        asked.picture.write_bytes(draw_learning(courses, asked.rule.split()[0], asked.picture.suffix))


if __name__ == "__main__":
    main()
