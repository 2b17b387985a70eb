"""The job that every peer does: draw chunk ids by weights out of a library held in memory."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

CATEGORIES = ("voice", "music", "documentary", "conference", "custom")
WEIGHTS = (0.4, 0.3, 0.2, 0.1, 0.0)
CHUNKS = 1_000_000


class Request(TypedDict):
    """A request: how many chunk ids to draw."""

    request_id: str
    size: int


class Result(TypedDict):
    """What was drawn."""

    request_id: str
    chunk_ids: list[int]
    counts: dict[str, int]


class Library:
    """READY chunks, with the same ids and categories as those that our worker reads from PostgreSQL."""

    def __init__(self) -> None:
        chunks = np.arange(1, CHUNKS + 1)
        self._ids = chunks[np.argsort(chunks % len(CATEGORIES), kind="stable")]
        self._lengths = np.bincount(chunks % len(CATEGORIES))
        self._starts = np.cumsum(self._lengths) - self._lengths
        cumulative = np.cumsum(WEIGHTS)
        self._limits = cumulative / cumulative[-1]
        self._rng = np.random.default_rng()

    def draw(self, requests: Sequence[Request]) -> list[Result]:
        """Answer requests by one vectorised draw."""
        total = sum(request["size"] for request in requests)
        categories = np.searchsorted(self._limits, self._rng.random(total), side="right")
        positions = (self._rng.random(total) * self._lengths[categories]).astype(np.int64)
        ids = self._ids[self._starts[categories] + positions].tolist()
        results, start = [], 0
        for request in requests:
            drawn = slice(start, start := start + request["size"])
            counts = zip(CATEGORIES, np.bincount(categories[drawn]).tolist(), strict=False)
            results.append(Result(request_id=request["request_id"], chunk_ids=ids[drawn], counts=dict(counts)))
        return results


def is_good(result: Result, size: int) -> bool:
    """Return whether a result has as many ids as asked for, and counts that fit them."""
    counts = dict.fromkeys(CATEGORIES, 0)
    for chunk in result["chunk_ids"]:
        counts[CATEGORIES[chunk % len(CATEGORIES)]] += 1
    told = {category: count for category, count in result["counts"].items() if count}
    return len(result["chunk_ids"]) == size and told == {name: count for name, count in counts.items() if count}
