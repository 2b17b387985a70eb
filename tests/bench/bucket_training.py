"""A training on sounds of very different lengths, with length buckets and without: what an epoch costs and hears.

The program writes WAV files with the durations of read speech (`buckets.py`: about 8 s, up to 35 s). The categories
differ in length. `catalog scan` scans the files and puts a fifth aside. Convolutional networks learn the pitch of each
sound from its spectrogram. Each batch is padded to its longest sound, so a step costs what its padded seconds cost. All
networks begin alike, and train in turns under the same weights until each has heard as much. An epoch is as many
seconds of audio as the library has.

- `size N`: as many sounds as fit into the budget if each were the longest, so the same memory as with buckets.
- `size M`: about as many sounds a batch as ten buckets give, which takes several times the memory.
- `buckets 10`, `buckets 30`: batches of the budget, of one length bucket each.

Seconds are CPU time of the steps, on one thread. `mix off by` is in points, and `z` in standard deviations of the
batches' own departures: of five categories, the largest is above 3 in about one run of 75.

    python tests/bench/bucket_training.py [--sounds N] [--epochs N] [--budget S] [--json] [--keep] [--server redis7]
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.buckets import make_library
from tests.bench.harness import Servers, arguments, keep, report, servers, worker
from tests.support.command import run_command
from worker.client import Sample, SampleClient

RATE: Final = 4000
WINDOW: Final = 256
PITCHES: Final = np.geomspace(250.0, 900.0, 8)
CHANNELS: Final = 64
NAMES: Final = ("commands", "calls", "talks", "lectures", "songs")
WEIGHTS: Final = {"commands": 0.35, "calls": 0.25, "talks": 0.2, "lectures": 0.15, "songs": 0.05}
SPEED: Final = 2e-3
COLUMNS: Final = ("category", "path", "duration_s")
CHUNKS_AT_ONCE: Final = 16  # sounds put aside that are heard in one go


@dataclass(slots=True)
class Heard:
    """What one training heard, a line for each batch.

    Attributes:
        real_s: Seconds of audio.
        padded_s: Seconds once all sounds are padded to the longest.
        step_s: CPU seconds of the step.
        departures: Counts less number of sounds x weight, by category.
        sounds: Number of sounds.
    """

    real_s: list[float] = field(default_factory=list)
    padded_s: list[float] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)
    departures: list[list[float]] = field(default_factory=list)
    sounds: list[int] = field(default_factory=list)


def write_sounds(folder: Path, count: int) -> None:
    """Write sounds: a tone under noise, in a folder for each category."""
    seconds, codes = make_library("speech", None)
    chance = np.random.default_rng(1)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
    for number, (lasting, code) in enumerate(zip(seconds[:count].tolist(), codes[:count].tolist(), strict=True)):
        place, times = int(chance.integers(len(PITCHES))), np.arange(int(lasting * RATE)) / RATE
        pitch = PITCHES[place] * chance.uniform(0.96, 1.04)
        sound = np.sin(2 * np.pi * pitch * times) + (3.0 + code) * chance.standard_normal(len(times))
        path = folder / NAMES[code] / f"{number:05}-{place}.wav"
        soundfile.write(path, (sound / 30).astype(np.float32), RATE, subtype="PCM_16")


class Shelf:
    """A reader of sounds from files, which keeps their spectra."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._window = torch.hann_window(WINDOW)

    def read(self, paths: Sequence[str]) -> tuple[Any, Any, Any]:
        """Return spectra, shape (n, bins, frames), which frames are sound, (n, frames), and pitches, (n,)."""
        each = [self._spectrum(path) for path in paths]
        longest = max(one.shape[1] for one in each)
        padded = torch.stack([functional.pad(one, (0, longest - one.shape[1])) for one in each])
        lengths = torch.tensor([one.shape[1] for one in each])
        pitches = torch.tensor([int(Path(path).stem.partition("-")[2]) for path in paths])
        return padded, torch.arange(longest) < lengths[:, None], pitches

    def _spectrum(self, path: str) -> Any:
        if path not in self._kept:
            sound = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
            found = torch.stft(sound, WINDOW, hop_length=WINDOW, window=self._window, return_complex=True)
            whole = torch.log1p(10 * found.abs())
            self._kept[path] = (whole - whole.mean()) / whole.std()
        return self._kept[path]


class Network(torch.nn.Module):
    """Three convolutions over time, the mean over the frames that are sound, and a pitch."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WINDOW // 2 + 1, CHANNELS, CHANNELS, CHANNELS)
        self.layers = torch.nn.ModuleList(torch.nn.Conv1d(*both, 5, padding=2) for both in pairwise(widths))
        self.last = torch.nn.Linear(CHANNELS, len(PITCHES))

    def forward(self, spectra: Any, is_sound: Any) -> Any:
        """Return the scores of each pitch, shape (n, pitches)."""
        mask = is_sound[:, None, :].float()
        for layer in self.layers:
            spectra = functional.gelu(layer(spectra)) * mask
        return self.last(spectra.sum(dim=2) / mask.sum(dim=2))


class Training:
    """One network, its batches, and what it heard."""

    def __init__(self, name: str, samples: Iterator[Sample], shelf: Shelf) -> None:
        torch.manual_seed(1)
        self.name, self.heard = name, Heard()
        self._samples, self._shelf = samples, shelf
        self._model = Network()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=SPEED)

    @property
    def heard_s(self) -> float:
        """Return how many seconds of audio it has heard."""
        return sum(self.heard.real_s)

    def train(self) -> None:
        """Make one step."""
        sample = next(self._samples)
        spectra, is_sound, pitches = self._shelf.read([str(path) for path in sample.paths or ()])
        began = time.thread_time()
        loss: Any = functional.cross_entropy(self._model(spectra, is_sound), pitches)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._note(sample, time.thread_time() - began)

    def _note(self, sample: Sample, step_s: float) -> None:
        lasting, count = [float(seconds or 0) for seconds in sample.durations_s or ()], len(sample.chunk_ids)
        self.heard.real_s.append(sum(lasting))
        self.heard.padded_s.append(max(lasting) * count)
        self.heard.step_s.append(step_s)
        self.heard.sounds.append(count)
        self.heard.departures.append([sample.counts.get(name, 0) - count * share for name, share in WEIGHTS.items()])

    def loss_on(self, aside: Sequence[str]) -> float:
        """Return the mean loss on sounds put aside."""
        self._model.eval()
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(aside), CHUNKS_AT_ONCE):
                spectra, is_sound, pitches = self._shelf.read(aside[start : start + CHUNKS_AT_ONCE])
                scores = self._model(spectra, is_sound)
                total += functional.cross_entropy(scores, pitches, reduction="sum").item()
        return total / len(aside)


def set_up(at: Servers, folder: Path, count: int) -> Sequence[Mapping[str, Any]]:
    """Write the library, scan it, and set weights; return the rows of the sounds that were put aside."""
    settings = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url}

    def run(*words: str) -> None:
        ended = run_command(*words, settings=settings, cwd=folder)
        assert ended.returncode == 0, ended.stderr

    write_sounds(folder / "sounds", count)
    run("migrate")
    run("catalog", "scan", str(folder / "sounds"), "--split", "val=0.2")
    run("catalog", "export", str(folder / "aside.jsonl"), "--split", "val")
    run("weights", "set", *(f"{name}={share}" for name, share in WEIGHTS.items()))
    return [json.loads(line) for line in (folder / "aside.jsonl").read_text().splitlines()]


def train(at: Servers, budget_s: float, epoch_s: float, longest_s: float) -> dict[str, Training]:
    """Train all networks in turns, whichever has heard least; return what became of them."""
    shelf, size = Shelf(), int(budget_s // longest_s)
    with ExitStack() as opened:
        client = opened.enter_context(SampleClient(at.redis_url))
        asked: dict[str, dict[str, Any]] = {f"size {size}": {"size": size}}
        probes = client.sample_many([{"budget_s": budget_s, "buckets": 10}] * 200)
        large = round(sum(len(one.chunk_ids) for one in probes) / len(probes))
        asked[f"size {large}"] = {"size": large}
        asked |= {f"buckets {count}": {"budget_s": budget_s, "buckets": count} for count in (10, 30)}
        trainings = [
            Training(name, iter(client.stream(prefetch=2, columns=COLUMNS, **words)), shelf)
            for name, words in asked.items()
        ]
        while (least := min(trainings, key=lambda one: one.heard_s)).heard_s < epoch_s:
            least.train()
    return {one.name: one for one in trainings}


def row_of(training: Training, epoch_s: float, plain: Training) -> dict[str, Any]:
    """Return what an epoch of a training cost and heard, seconds in proportion to what it heard in all."""
    heard, departures = training.heard, np.array(training.heard.departures)
    total, epochs = departures.sum(axis=0), training.heard_s / epoch_s
    per_s = sum(heard.step_s) / training.heard_s
    return {
        "batches": training.name,
        "steps": len(heard.step_s),
        "sounds a batch": float(np.mean(heard.sounds)),
        "fullest s": max(heard.padded_s),
        "padding %": 100 * (1 - sum(heard.real_s) / sum(heard.padded_s)),
        "CPU s an epoch": sum(heard.step_s) / epochs,
        "of plain": per_s / (sum(plain.heard.step_s) / plain.heard_s),
        "off by": float(100 * np.abs(total).max() / sum(heard.sounds)),
        "z": float(np.abs(total / np.sqrt(np.square(departures).sum(axis=0))).max()),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sounds", type=int, default=2000, help="sounds of the library (default: 2000)")
    parser.add_argument("--epochs", type=float, default=8.0, help="how many each training hears (default: 8)")
    parser.add_argument("--budget", type=float, default=240.0, help="padded seconds of a batch (default: 240)")
    parser.add_argument("--keep", action="store_true", help="write the figures of README.md as well")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with servers(asked.server) as at, tempfile.TemporaryDirectory() as folder:
        aside = set_up(at, Path(folder), asked.sounds)
        lasting = make_library("speech", None)[0][: asked.sounds]
        epoch_s = float(lasting.sum()) - sum(row["duration_s"] for row in aside)
        with worker(at, WORKER_CATALOG_COLUMNS="path,duration_s"):
            trainings = train(at, asked.budget, epoch_s * asked.epochs, float(lasting.max()))
        plain = next(iter(trainings.values()))
        rows = [
            row_of(one, epoch_s, plain) | {"held-out loss": one.loss_on([row["path"] for row in aside])}
            for one in trainings.values()
        ]
    report("bucket_training", rows, as_json=asked.json)
    if asked.keep:
        keep("bucket_training", rows)


if __name__ == "__main__":
    main()
