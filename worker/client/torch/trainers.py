"""Detect trainers that would throw samples away: Accelerate shards a loader again, torchdata skips batches.

A stream or sampler of ours draws for its own rank only. Accelerate iterates it on each of n ranks, and hands out every
n-th batch; the others would be drawn and thrown away. Neither library tells the iterable who iterates it. So we look
for their frames on the stack, once, when an iteration begins.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch.utils.data import default_convert

_ACCELERATE = "accelerate.data_loader"
_FRAMES = 16
_ANOTHER_LOADER = "a StatefulDataLoader that is not prepared by Accelerate; prepare the model and the optimizer alone"


def times_to_repeat() -> int:
    """Return how often each batch must be yielded, so that the shards of Accelerate hand out each batch once.

    Raises:
        ValueError: Batches would still be drawn and thrown away.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - the caller of the caller
    shard = frame.f_locals.get("self") if _is_accelerate(frame) else None
    refuse_waste(depth=3)
    for owner in _owners(frame):
        if _skips_batches(owner):
            raise ValueError(
                "this loader's state does not hold the sampler's, and batches would be drawn and thrown away to come "
                f"to its place; accepted: {_ANOTHER_LOADER}"
            )
    if shard is None or not hasattr(shard, "num_processes"):
        return 1
    if shard.split_batches:
        raise ValueError(
            "Accelerate would throw away a part of each batch that was drawn; accepted: split_batches=False, with the "
            "batch size of one rank"
        )
    return int(shard.num_processes)


def refuse_waste(depth: int = 2) -> None:
    """Refuse a trainer that would throw samples away.

    Args:
        depth: Number of stack frames up to the one that iterates.

    Raises:
        ValueError: Such a trainer iterates.
    """
    for owner in _owners(sys._getframe(depth)):  # noqa: SLF001 - the same
        kind = type(owner).__name__
        if kind == "IterableDatasetShard":
            raise ValueError(
                "Accelerate would shard this stream again, and throw away what it drew for other ranks; accepted: "
                "dispatch_batches=None or True, or a DataLoader that is not prepared"
            )
        if kind == "DataLoaderDispatcher" and owner.collate_fn is default_convert:
            raise ValueError(
                "Accelerate hands tensors on to other ranks, and no samples; accepted: a collate_fn that makes tensors "
                "of a sample, such as lambda sample: torch.as_tensor(sample.chunk_ids)"
            )
        if kind in {"SkipBatchSampler", "SkipDataLoader"} and owner.skip_batches:
            raise ValueError(
                f"skip_first_batches would draw {owner.skip_batches} batches and throw them away; accepted: the state "
                f"of {_ANOTHER_LOADER}"
            )


def _skips_batches(owner: Any) -> bool:
    """Return whether a loader of torchdata resumes from a state without the state of our sampler."""
    is_loader = type(owner).__name__.startswith("_Stateful")
    if not is_loader or not getattr(owner, "_sampler_iter_yielded", 0):
        return False
    return not hasattr(owner._index_sampler, "load_state_dict")  # noqa: SLF001 - torchdata has no other way


def _owners(frame: FrameType | None) -> Iterator[Any]:
    """Yield the objects of Accelerate and torchdata whose methods are on the stack."""
    for _ in range(_FRAMES):
        if frame is None:
            return
        if _is_accelerate(frame) or frame.f_globals.get("__name__", "").startswith("torchdata."):
            yield frame.f_locals.get("self")
        frame = frame.f_back


def _is_accelerate(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__") == _ACCELERATE)
