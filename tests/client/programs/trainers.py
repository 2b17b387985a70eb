"""Ranks that go through some trainings one after the other, each driven by a trainer; started as torchrun starts them.

    python trainers.py RANKS URL PREFIX WHAT...

It writes the chunks that every rank heard in each of them, or the sentence of its error.

WHAT is `accelerate-sampler`, `accelerate-stream`, `lightning-sampler` and so on, with what departs from it behind dots.
"""

import os
import sys
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.support.ranks import launch
from worker.client import SampleClient
from worker.client.torch import ChunkIdStream, WeightedBatchSampler, WithSample

BATCHES, SIZE = 5, 5
RESUMED_AT = 2  # steps: here a training ends, and another one goes on
MODULES = {"accelerate": "accelerate", "lightning": "lightning.pytorch"}


def tensor_of(sample: Any) -> torch.Tensor:
    return torch.as_tensor(sample.chunk_ids)


def ids_of(batch: Any) -> list[int]:
    """List the chunks of a batch, whichever way it came."""
    if isinstance(batch, torch.Tensor):
        return list(map(int, batch))
    if isinstance(batch, (list, tuple)):
        chunks, sample = batch
        assert sorted(chunks[0].tolist()) == sorted(map(int, sample.chunk_ids))
        return list(map(int, sample.chunk_ids))
    return list(map(int, batch.chunk_ids))


def loader_of(what: str, client: SampleClient, workers: int | None = None) -> Any:
    options: Any = {"batches": BATCHES, "name": what, "client": client}
    options |= {"session": what, "method": "epoch", "category": "voice"}
    workers = (2 if ".workers" in what or ".fewer" in what else 0) if workers is None else workers
    make = StatefulDataLoader if ".resumed" in what else DataLoader
    if "sampler" in what:
        sampler = WeightedBatchSampler(4 if ".split" in what else SIZE, index_of=int, **options)
        return make(WithSample(TensorDataset(torch.arange(4000))), batch_sampler=sampler, num_workers=workers)
    collate = None if ".raw" in what else tensor_of
    return make(ChunkIdStream(SIZE, **options), batch_size=None, collate_fn=collate, num_workers=workers)


def accelerate(what: str, client: SampleClient) -> list[int]:
    from accelerate import Accelerator, DataLoaderConfiguration, skip_first_batches

    settings: dict[str, Any] = {}
    if ".split" in what:
        settings = {"split_batches": True}
    if ".undispatched" in what:
        settings = {"dispatch_batches": False}
    if ".stateful" in what:
        settings = {"use_stateful_dataloader": True}
    accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(**settings))
    loader = loader_of(what, client)
    if ".undispatched" in what:
        loader = DataLoader(loader.dataset, batch_size=2, collate_fn=list)
    loader = accelerator.prepare(loader)
    if ".skip" in what:
        loader = skip_first_batches(loader, 2)
    if ".stateful" in what:
        next(iter(loader))
        loader.load_state_dict(loader.state_dict())
    if "sampler" in what:
        assert len(loader) == BATCHES
    return [chunk for batch in loader for chunk in ids_of(batch)]


def lightning(what: str, client: SampleClient) -> list[int]:
    from lightning.pytorch import Callback, LightningModule, Trainer

    heard: list[int] = []

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            heard.extend(ids_of(batch))
            loss: torch.Tensor = self.layer(torch.ones(1, 1)).sum()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    class Stop(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == RESUMED_AT:
                trainer.save_checkpoint(what)
                trainer.should_stop = True

    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "barebones": False}
    is_own = ".undistributed" in what or ".resumed" in what
    options: dict[str, Any] = {"use_distributed_sampler": False} if is_own else {}
    options |= {"accelerator": "cpu", "strategy": "ddp", "devices": int(os.environ["WORLD_SIZE"]), "max_epochs": 1}
    options |= quiet
    if ".resumed" in what:  # of a program that is stopped, only the checkpoint is left
        Trainer(callbacks=[Stop()], **options).fit(Module(), loader_of(what, client))
        goes_on: dict[str, Any] = {"ckpt_path": what, "weights_only": False}  # NumPy's types are in a loader's state
        Trainer(**options).fit(Module(), loader_of(what, client, 1 if ".fewer" in what else None), **goes_on)
        return heard
    Trainer(**options).fit(Module(), loader_of(what, client))
    return heard


def heard_by(what: str, client: SampleClient) -> list[int]:
    return (lightning if "lightning" in what else accelerate)(what, client)


if __name__ == "__main__":
    launch(heard_by, MODULES[sys.argv[4].partition("-")[0]], *sys.argv[1:])
