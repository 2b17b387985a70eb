"""Ranks that train by the Trainer of Hugging Face.

    python hugging_face.py RANKS URL PREFIX RUN:HOW...

RUN names the run, whose checkpoints are in a folder of that name. HOW are words with dots between them: `own`, the
loader is the Trainer's own, as the client's page has it; `workers` and `one`, it has two workers, or one; `saved`, the
training ends at its checkpoint; `goes`, it goes on from there; `skips`, the Trainer is to skip what was heard; `moved`,
the weights change in the middle.
"""

import sys
from typing import Any

import torch
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from tests.support.ranks import launch
from worker.client import SampleClient
from worker.client.torch import ChunkIdStream

STEPS, SIZE, SAVED_AT, MOVED_AT = 5, 5, 2, 5
SMALL = 2  # so that what is drawn ahead leaves enough of a pass
QUIET: dict[str, Any] = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "log_level": "error"}


class Model(torch.nn.Module):
    """A model that remembers the chunks that it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.heard: list[int] = []

    def forward(self, chunks: torch.Tensor) -> dict[str, torch.Tensor]:
        self.heard.extend(map(int, chunks))
        return {"loss": self.layer(torch.ones(1, 1)).sum()}


class OwnLoader(Trainer):  # type: ignore[misc]
    """A Trainer whose loader Accelerate does not prepare."""

    own_loader: Any

    def get_train_dataloader(self) -> Any:
        return self.own_loader


class Callback(TrainerCallback):  # type: ignore[misc]
    """A callback that saves a loader's state in each checkpoint, and does what else HOW says at a step."""

    def __init__(self, how: set[str], client: SampleClient, loader: Any) -> None:
        self._how, self._client, self._loader = how, client, loader

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if "own" in self._how:
            torch.save(self._loader.state_dict(), place_of(args, state.global_step))
        control.should_training_stop |= "saved" in self._how

    def on_step_end(self, args: Any, state: Any, _: Any, **__: Any) -> None:
        if "moved" in self._how and state.global_step == MOVED_AT and args.process_index == 0:
            self._client.set_weights({"music": 1}, wait=False)


def place_of(args: Any, step: int) -> str:
    """Return where the state of a rank's loader is."""
    return f"{args.output_dir}/checkpoint-{step}/loader-{args.process_index}.pt"


def collate(samples: Any) -> dict[str, torch.Tensor]:
    """Make a batch of a sample, which is alone in a list where the loader is the Trainer's."""
    sample = samples[0] if isinstance(samples, list) else samples
    return {"chunks": torch.as_tensor(sample.chunk_ids)}


def heard_by(what: str, client: SampleClient) -> list[int]:
    """Train as one rank."""
    run, _, words = what.partition(":")
    how = set(words.split("."))
    steps = 40 if "moved" in how else STEPS
    options: Any = {} if "moved" in how else {"session": run, "method": "epoch", "category": "voice"}
    if "own" in how:
        options["batches"] = steps
    stream = ChunkIdStream(SIZE if "own" in how else SMALL, name=run, client=client, **options)
    workers = 2 if "workers" in how else int("one" in how)
    loader: Any = StatefulDataLoader(stream, batch_size=None, collate_fn=collate, num_workers=workers)

    args = TrainingArguments(
        run,
        max_steps=steps,
        save_steps=SAVED_AT,
        save_strategy="no" if "moved" in how else "steps",
        ignore_data_skip="skips" not in how,
        per_device_train_batch_size=1,
        dataloader_num_workers=workers,
        **QUIET,
    )
    model, make = Model(), OwnLoader if "own" in how else Trainer
    callbacks = [Callback(how, client, loader)]
    trainer = make(model, args, data_collator=collate, train_dataset=stream, callbacks=callbacks)
    trainer.own_loader = loader
    if {"own", "goes"} <= how:
        loader.load_state_dict(torch.load(place_of(args, SAVED_AT), weights_only=False))
    trainer.train(resume_from_checkpoint=f"{run}/checkpoint-{SAVED_AT}" if "goes" in how else None)
    return model.heard


if __name__ == "__main__":
    launch(heard_by, "transformers.trainer", *sys.argv[1:])
