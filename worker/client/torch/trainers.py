"""What Accelerate and torchdata do to a loader that they do not know: shard it again, or skip what they draw.

A stream or sampler of ours draws for its own rank alone. Accelerate goes through it on each rank, and hands out every
n-th batch of n ranks; the others would be drawn, and thrown away. None of them tells whom it iterates, so that only
their frames on the stack show them. Ours is the call that begins an iteration, which these look at once.
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
    """Deliver how often each batch has to be handed out, so that Accelerate's shards hand out each of them once.

    Raises:
        ValueError: Batches would be drawn and thrown away all the same.
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
    """Refuse to be iterated by who throws away what is drawn.

    Args:
        depth: How many frames above is the one that iterates.

    Raises:
        ValueError: It is.
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
    """Deliver whether a loader of torchdata goes on from a state, around a sampler whose state it does not know."""
    is_loader = type(owner).__name__.startswith("_Stateful")
    if not is_loader or not getattr(owner, "_sampler_iter_yielded", 0):
        return False
    return not hasattr(owner._index_sampler, "load_state_dict")  # noqa: SLF001 - torchdata gives no other way


def _owners(frame: FrameType | None) -> Iterator[Any]:
    """List the objects of Accelerate and torchdata whose methods are on the stack."""
    for _ in range(_FRAMES):
        if frame is None:
            return
        if _is_accelerate(frame) or frame.f_globals.get("__name__", "").startswith("torchdata."):
            yield frame.f_locals.get("self")
        frame = frame.f_back


def _is_accelerate(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__") == _ACCELERATE)
