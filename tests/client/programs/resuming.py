"""Be a training that notes each batch with the DataLoader's state in one step; kill it and start it again.

python resuming.py URL PREFIX CHECKPOINT stream|sampler WORKERS BATCHES
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from worker.client import Sample, SampleClient
from worker.client.torch import ChunkIdStream, WeightedBatchSampler


def note(sample: Sample) -> list[int]:
    return list(map(int, sample.chunk_ids))


class Numbers(torch.utils.data.Dataset[int]):
    """Hold at each place its number."""

    def __getitem__(self, index: int) -> int:
        return index


def loader_of(kind: str, client: SampleClient, workers: int, batches: int) -> StatefulDataLoader[Any]:
    session: Any = {"method": "epoch", "session": "s", "category": "voice"}
    if kind == "stream":
        stream = ChunkIdStream(5, name="run", batches=batches, client=client, **session)
        return StatefulDataLoader(stream, batch_size=None, num_workers=workers, collate_fn=note)
    sampler = WeightedBatchSampler(5, name="run", batches=batches, client=client, **session)
    return StatefulDataLoader(Numbers(), batch_sampler=sampler, num_workers=workers, collate_fn=list)


def main(url: str, prefix: str, checkpoint: Path, kind: str, workers: int, batches: int) -> None:
    loader = loader_of(kind, SampleClient(url, prefix=prefix, timeout_s=60), workers, batches)
    done: list[list[int]] = []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        done = saved["done"]
        loader.load_state_dict(saved["loader"])
    for ids in loader:
        done.append(ids)
        torch.save({"done": done, "loader": loader.state_dict()}, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
