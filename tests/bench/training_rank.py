"""One rank of the training of training.py: a loop that notes what it hears; kill it, and start it again.

RANK=0 python tests/bench/training_rank.py NOTES CHECKPOINT --batches N [--step-ms MS] [--loaders L]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

sys.path.insert(0, str(Path(__file__).parents[2]))

from worker.client.torch import ChunkIdStream

SIZE = 32
PREFETCH = 4
CHECKPOINT_EVERY = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--step-ms", type=float, default=4.0)
    parser.add_argument("--loaders", type=int, default=4)
    asked = parser.parse_args()
    stream = ChunkIdStream(
        SIZE, name="training", batches=asked.batches, prefetch=PREFETCH, session="run", method="epoch"
    )
    loader = StatefulDataLoader(stream, batch_size=None, num_workers=asked.loaders)
    trained = 0
    if asked.checkpoint.exists():
        saved = torch.load(asked.checkpoint, weights_only=False)
        trained = saved["trained"]
        loader.load_state_dict(saved["loader"])
    with asked.notes.open("a", buffering=1) as notes:
        asked_at = time.perf_counter()
        for in_this_life, sample in enumerate(loader, 1):
            heard_at = time.perf_counter()
            line = {"at": time.time(), "trained": trained + in_this_life, "in_this_life": in_this_life}
            line |= {"request_id": sample.request_id, "chunk_ids": sample.chunk_ids.tolist(), "counts": sample.counts}
            line |= {
                "passes": sample.passes,
                "weights_version": sample.weights_version,
                "waited_s": heard_at - asked_at,
            }
            time.sleep(asked.step_ms / 1000)  # what a step on an accelerator leaves this thread to do
            if line["trained"] % CHECKPOINT_EVERY == 0:
                _save(asked.checkpoint, {"trained": line["trained"], "loader": loader.state_dict()})
            notes.write(json.dumps({**line, "trained_s": time.perf_counter() - heard_at}) + "\n")
            asked_at = time.perf_counter()


def _save(path: Path, state: dict[str, object]) -> None:
    """Replace the checkpoint in one step: whoever is killed meanwhile has the old one."""
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


if __name__ == "__main__":
    main()
