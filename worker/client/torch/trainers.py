"""Trainers that shard or skip batches again: Accelerate and torchdata.

A stream or sampler of ours draws for its own rank only. Accelerate iterates it on each of n ranks and keeps every n-th
batch. The other batches would be drawn and thrown away. Neither library tells an iterable who iterates it. So these
functions look for its frames on the stack, once, when an iteration begins.
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
    """Return how often to hand out each batch, so that Accelerate's shards hand it out once.

    Raises:
        ValueError: Batches would still be drawn and thrown away.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - the caller of the caller
    shard = frame.f_locals.get("self") if _is_accelerate(frame) else None
    refuse_waste(depth=3)
    for owner in _owners(frame):
        if _skips_what_it_hides(owner):
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
    """Refuse an iteration by code that throws away what is drawn.

    Args:
        depth: Number of frames up to the one that iterates.

    Raises:
        ValueError: The iteration is by such code.
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


def _skips_what_it_hides(owner: Any) -> bool:
    """Return whether a loader of torchdata resumes from a state that does not hold that of its sampler."""
    is_loader = type(owner).__name__.startswith("_Stateful")
    if not is_loader or not getattr(owner, "_sampler_iter_yielded", 0):
        return False
    return not hasattr(owner._index_sampler, "load_state_dict")  # noqa: SLF001 - torchdata gives no other way


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
