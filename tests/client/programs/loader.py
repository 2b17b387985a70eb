"""One rank of a training: go through a DataLoader over a ChunkIdStream several times, and write what came as JSON.

    python loader.py URL PREFIX fork|spawn STORE ROUNDS

Each round goes to the end; before the last one, one is left half-way.

`RANK` and `WORLD_SIZE` give the number of the rank and of all ranks. The ranks find each other by the file STORE.
"""

import json
import multiprocessing
import os
import sys
from typing import Any

from torch import distributed
from torch.utils.data import DataLoader

from worker.client import Sample, SampleClient
from worker.client.torch import ChunkIdStream

BATCHES, WORKERS = 7, 2


def note(sample: Sample) -> dict[str, Any]:
    """Return what came with a sample. It is a collate_fn, so it runs in the DataLoader's workers."""
    drawn = {"ids": list(map(int, sample.chunk_ids)), "version": sample.weights_version, "passes": sample.passes}
    return {"request": sample.request_id, "entry": sample.entry_id, "pid": os.getpid(), **drawn}


def main(url: str, prefix: str, how: str, store: str, rounds: int) -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    client = SampleClient(url, prefix=prefix, timeout_s=60)
    stream = ChunkIdStream(5, name="run", batches=BATCHES, client=client, method="epoch", session="s")
    options: Any = {"num_workers": WORKERS, "multiprocessing_context": how, "collate_fn": note}
    loader: DataLoader[Any] = DataLoader(stream, batch_size=None, **options)
    whole = [list(loader) for _ in range(rounds - 1)]
    half: list[Any] = []
    for batch in loader:
        half.append(batch)
        if len(half) == 3:
            break
    whole.append(list(loader))
    distributed.barrier()
    distributed.destroy_process_group()
    left = [child.pid for child in multiprocessing.active_children()]
    sys.stdout.write(json.dumps({"whole": whole, "half": half, "left": left, "length": len(loader)}))


if __name__ == "__main__":
    url, prefix, how, store, rounds = sys.argv[1:]
    main(url, prefix, how, store, int(rounds))
