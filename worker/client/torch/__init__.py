"""Samples for PyTorch's DataLoader: a stream of chunk ids for any number of its workers, and a batch sampler."""

try:
    import torch  # noqa: F401 - whatever follows needs it
except ModuleNotFoundError as error:
    _HOW = "pip install 'sampling-worker[torch]'; for PyTorch's build for CPU install that first, as its site says"
    raise ImportError(f"there is no PyTorch: {_HOW}") from error

from worker.client.torch.batches import Drawn, WeightedBatchSampler, WithSample
from worker.client.torch.stream import ChunkIdStream

__all__ = ["ChunkIdStream", "Drawn", "WeightedBatchSampler", "WithSample"]
