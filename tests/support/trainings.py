"""Trainings that take states, are killed, and go on from one of them: each in a process that has torch already."""

import json
import os
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.pytorch import FORKS

ENDS_S = 240.0

Steps = dict[int, list[int]]


@dataclass(frozen=True)
class Training:
    """What is trained on, and how.

    Attributes:
        url: Of Redis.
        prefix: Start of every name there.
        folder: Where states and notes go.
        kind: `stream` or `sampler`.
        workers: Of the DataLoader.
        is_persistent: Whether its workers live on.
        batches: How many an iteration has.
        size: How many chunks a batch has.
        options: Further ones of the requests.
    """

    url: str
    prefix: str
    folder: Path
    kind: str = "stream"
    workers: int = 0
    is_persistent: bool = False
    batches: int = 4
    size: int = 5
    options: tuple[tuple[str, Any], ...] = (("method", "epoch"), ("session", "s"), ("category", "voice"))

    def state_at(self, step: int) -> Path:
        """Return the path of the state after a step."""
        return self.folder / f"state-{step}"

    def run(
        self, until: int, *, begins_with: int | None = None, saves_at: tuple[int, ...] = (), breaks_at: int = 0
    ) -> Steps:
        """Train until a step and be killed there, and return the chunks of each step.

        Args:
            until: The step.
            begins_with: The step whose state is gone on from; None: from the beginning.
            saves_at: Steps after which a state is taken; 0: before the first.
            breaks_at: The step at which an iteration is left before its end; 0: none is.
        """
        notes = self.folder / "notes"
        notes.unlink(missing_ok=True)
        words = (self, until, begins_with, saves_at, breaks_at, notes)
        process = FORKS.Process(target=_train, args=words)
        process.start()
        process.join(ENDS_S)
        assert process.exitcode == -signal.SIGKILL, process.exitcode
        return dict(map(json.loads, notes.read_text().splitlines()))


class Numbers:
    """A sequence with its index at each place."""

    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        return 10_000


def loader_of(training: Training) -> Any:
    """Make the loader of a training."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    from worker.client import SampleClient
    from worker.client.torch import ChunkIdStream, WeightedBatchSampler

    client = SampleClient(training.url, prefix=training.prefix, timeout_s=60)
    common: dict[str, Any] = {"name": "run", "batches": training.batches, "client": client, **dict(training.options)}
    options: dict[str, Any] = {"num_workers": training.workers, "persistent_workers": training.is_persistent}
    if training.workers:
        # Workers of a fork server are its children: PyTorch's do not notice that a training was killed, and stay.
        options["multiprocessing_context"] = "fork"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'set_vital' is deprecated")  # torchdata says so of torch
        warnings.filterwarnings(
            "ignore", message="This DataLoader will create"
        )  # more workers than a small machine has
        if training.kind == "stream":
            stream = ChunkIdStream(training.size, **common)
            return StatefulDataLoader(stream, batch_size=None, collate_fn=_ids_of, **options)
        sampler = WeightedBatchSampler(training.size, index_of=int, **common)
        return StatefulDataLoader(Numbers(), batch_sampler=sampler, collate_fn=list, **options)


def _ids_of(sample: Any) -> list[int]:
    return list(map(int, sample.chunk_ids))


def _train(
    training: Training, until: int, begins_with: int | None, saves_at: tuple[int, ...], breaks_at: int, notes: Path
) -> None:
    import torch

    loader = loader_of(training)
    if begins_with is not None:
        loader.load_state_dict(torch.load(training.state_at(begins_with)))
    step = begins_with or 0
    if 0 in saves_at:
        torch.save(loader.state_dict(), training.state_at(0))
    with notes.open("w") as log:
        while True:
            for ids in loader:
                step += 1
                log.write(json.dumps([step, ids]) + "\n")
                log.flush()
                if step in saves_at:
                    torch.save(loader.state_dict(), training.state_at(step))
                if step == until:
                    os.kill(os.getpid(), signal.SIGKILL)
                if step == breaks_at:
                    break
