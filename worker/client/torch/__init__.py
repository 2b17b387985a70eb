"""Samples for PyTorch's DataLoader: a stream of chunk ids for any number of its workers, and a batch sampler."""

from worker.client.torch.batches import Drawn, WeightedBatchSampler, WithSample
from worker.client.torch.stream import ChunkIdStream

__all__ = ["ChunkIdStream", "Drawn", "WeightedBatchSampler", "WithSample"]
