"""What some weights would draw, by what live workers have READY: before anybody stores them."""

import math
from dataclasses import dataclass
from typing import Final

from worker.core.weights.values import Weights
from worker.core.workers.ready import Ready

_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one weighted category would give.

    Attributes:
        name: The category.
        weight: Its weight, 0 to 1.
        ready: Its READY chunks; None: not known.
        share: Its part of the draws, 0 to 1. The share of a category without READY chunks goes to the others.
        expected: The expected number of its chunks in a sample; None where weights are shares of audio time.
        spread: The standard deviation of that number under independent draws; None likewise.
        repeats_per_hour: How often each of its chunks would be heard in an hour; None: not known.
    """

    name: str
    weight: float
    ready: int | None
    share: float
    expected: float | None
    spread: float | None
    repeats_per_hour: float | None


def look_ahead(weights: Weights, ready: Ready, *, size: int, chunks_per_s: float | None, unit: str) -> list[Outlook]:
    """Compute what independent draws with replacement would give, the heaviest category first.

    Args:
        weights: The weights.
        ready: Which categories have READY chunks.
        size: How many chunks, >= 1.
        chunks_per_s: How many chunks are drawn now, each second; None: not known.
        unit: What weights are shares of: `chunks`, or `seconds`.
    """
    counts = ready.categories or {}
    is_empty = {name: name not in counts and ready.is_whole for name in weights.shares}
    total = math.fsum(share for name, share in weights.shares.items() if not is_empty[name])
    rows = []
    for name, weight in weights.shares.items():
        share = 0.0 if is_empty[name] else weight / total
        count = 0 if is_empty[name] else counts.get(name)
        chunks = share if unit == "chunks" else None  # part of the chunks; by time it hangs on how long they are
        expected = None if chunks is None else size * chunks
        spread = None if chunks is None else math.sqrt(size * chunks * (1 - chunks))
        repeats = None
        if chunks is not None and chunks_per_s is not None and count:
            repeats = _HOUR_S * chunks_per_s * chunks / count
        rows.append(Outlook(name, weight, count, share, expected, spread, repeats))
    return sorted(rows, key=lambda row: (-row.weight, row.name))
