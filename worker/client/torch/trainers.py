"""Detect trainers that would throw samples away: Accelerate shards a loader again, torchdata and Lhotse skip batches.

A stream or sampler of ours draws for its own rank only. Accelerate iterates it on each of n ranks, and hands out every
n-th batch; the others would be drawn and thrown away. No library lets the iterable know what iterates it. So we look
for their frames on the stack, once, when an iteration begins.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch.utils.data import IterableDataset, default_convert

from worker.client.torch.state import unlike

_ACCELERATE = "accelerate.data_loader"
_LHOTSE = "lhotse.dataset.sampling."
_FRAMES = 16
_MOST_FRAMES = 100  # each filter and map of Lhotse's has one of its own, and a worker those of its parent below
_ANOTHER_LOADER = "a StatefulDataLoader that is not prepared by Accelerate; prepare the model and the optimizer alone"


def times_to_repeat() -> int:
    """Return how often each batch must be yielded, so that the shards of Accelerate hand out each batch once.

    Raises:
        ValueError: Batches would still be drawn and thrown away, or a state is of other DataLoader workers.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - the caller of the caller
    shard = frame.f_locals.get("self") if _is_accelerate(frame) else None
    refuse_waste(depth=3)
    _refuse_other_workers(frame)
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
    frame = sys._getframe(depth)  # noqa: SLF001 - the same
    _refuse_lhotse(frame)
    _refuse_wrapper(frame)
    for owner in _owners(frame):
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
        if getattr(owner, "skip_batches", 0):
            raise ValueError(
                f"skip_first_batches would draw {owner.skip_batches} batches and throw them away; accepted: the state "
                f"of {_ANOTHER_LOADER}"
            )


def _refuse_other_workers(frame: FrameType) -> None:
    """Refuse a loader's state that was taken with another number of workers: torchdata does so without words.

    Raises:
        ValueError: The number differs.
    """
    for caller in _callers(frame):
        state, loader = caller.f_locals.get("next_iter_state"), caller.f_locals.get("loader")
        if state is None or loader is None or not _is_torchdata(caller):
            continue
        then = state.get("_snapshot", {}).get("_main_snapshot", {}).get("_num_workers", 0)
        if then != loader.num_workers:
            raise ValueError(unlike("num_workers", loader.num_workers, then))


def _refuse_lhotse(frame: FrameType) -> None:
    """Refuse a sampler of Lhotse that draws cuts which no training uses.

    Raises:
        ValueError: One of several ranks would draw for all, or cuts are drawn to be counted or passed over.
    """
    for caller in _callers(frame, _MOST_FRAMES):
        if not caller.f_globals.get("__name__", "").startswith(_LHOTSE):
            continue
        ranks = getattr(caller.f_locals.get("self"), "world_size", 1)
        if ranks > 1:
            raise ValueError(
                f"this sampler of Lhotse would draw {ranks} batches for each that it hands out, and throw the others "
                "away; accepted: world_size=1, rank=0, as each rank asks for itself"
            )
        if caller.f_code.co_name == "_fast_forward":
            raise ValueError(
                "this sampler of Lhotse would draw as many batches as its state has counted, and throw them away; "
                "accepted: a sampler without a state, or batches of ours, whose loader has one"
            )
        if caller.f_code.co_name == "estimate_duration_buckets":
            raise ValueError(
                "this sampler of Lhotse would draw cuts to find its buckets, and throw them away; accepted: "
                "duration_bins=estimate_duration_buckets(...) of the cuts of the manifest"
            )


def _refuse_wrapper(frame: FrameType) -> None:
    """Refuse a state of a dataset around a stream that has none: torchdata would draw and skip to come to its place.

    Raises:
        ValueError: It would.
    """
    for caller in _callers(frame, _MOST_FRAMES):
        state, dataset = caller.f_locals.get("next_iter_state"), getattr(caller.f_locals.get("loader"), "dataset", None)
        if not state or not _is_torchdata(caller) or not isinstance(dataset, IterableDataset):
            continue
        snapshot = state.get("_snapshot")
        parts = [part for part in snapshot["_worker_snapshots"].values() if part] if snapshot else [state]
        skipped = snapshot["_snapshot_step"] + state["_steps_since_snapshot"] if snapshot else state["_num_yielded"]
        if skipped and all(_is_without_state(part) for part in parts):
            raise ValueError(
                f"the state of this loader does not hold that of the stream, as {type(dataset).__name__} has no "
                f"state_dict, and {skipped} batches would be drawn and thrown away; accepted: no state, or a dataset "
                "that hands on state_dict and load_state_dict of its stream"
            )


def _is_without_state(part: Any) -> bool:
    """Return whether a process of torchdata's has told no state of its iterable dataset."""
    return part["dataset_state"] is None and part["fetcher_state"]["dataset_iter_state"] is None


def _skips_batches(owner: Any) -> bool:
    """Return whether a loader of torchdata resumes from a state without the state of our sampler."""
    is_loader = type(owner).__name__.startswith("_Stateful")
    if not is_loader or not getattr(owner, "_sampler_iter_yielded", 0):
        return False
    return not hasattr(owner._index_sampler, "load_state_dict")  # noqa: SLF001 - torchdata has no other way


def _owners(frame: FrameType | None) -> Iterator[Any]:
    """Yield the objects of Accelerate and torchdata whose methods are on the stack."""
    for caller in _callers(frame):
        if _is_accelerate(caller) or _is_torchdata(caller):
            yield caller.f_locals.get("self")


def _callers(frame: FrameType | None, most: int = _FRAMES) -> Iterator[FrameType]:
    """Yield a frame and those above it, up to a bound."""
    for _ in range(most):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _is_torchdata(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__", "").startswith("torchdata."))


def _is_accelerate(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__") == _ACCELERATE)
