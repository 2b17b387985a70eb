"""A training that notes each batch with the DataLoader's state in one step; kill it and start it again.

    python resuming.py URL PREFIX CHECKPOINT stream|sampler BATCHES STEPS

After so many steps it says so and waits to be killed, unless it has come to the end.
"""

import json
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from worker.client import Sample, SampleClient
from worker.client.torch import ChunkIdStream, WeightedBatchSampler

WORKERS = 2


def note(sample: Sample) -> list[int]:
    return list(map(int, sample.chunk_ids))


class Numbers(torch.utils.data.Dataset[int]):
    """A dataset whose items are their numbers."""

    def __getitem__(self, index: int) -> int:
        return index


def loader_of(kind: str, client: SampleClient, batches: int) -> StatefulDataLoader[Any]:
    session: Any = {"method": "epoch", "session": "s", "category": "voice"}
    if kind == "stream":
        stream = ChunkIdStream(5, name="run", batches=batches, client=client, **session)
        return StatefulDataLoader(stream, batch_size=None, num_workers=WORKERS, collate_fn=note)
    sampler = WeightedBatchSampler(5, name="run", batches=batches, index_of=int, client=client, **session)
    return StatefulDataLoader(Numbers(), batch_sampler=sampler, num_workers=WORKERS, collate_fn=list)


def main(client: SampleClient, checkpoint: Path, kind: str, batches: int, steps: int) -> None:
    loader = loader_of(kind, client, batches)
    done: list[list[int]] = []
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        done = saved["done"]
        loader.load_state_dict(saved["loader"])
    for step, ids in enumerate(loader, 1):
        done.append(ids)
        torch.save({"done": done, "loader": loader.state_dict()}, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)
        if step == steps:
            sys.stdout.write("taken\n")
            sys.stdout.flush()
            signal.pause()
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="'set_vital' is deprecated")  # torchdata says so of torch
    url, prefix, path, kind = sys.argv[1:5]
    main(SampleClient(url, prefix=prefix, timeout_s=60), Path(path), kind, int(sys.argv[5]), int(sys.argv[6]))
