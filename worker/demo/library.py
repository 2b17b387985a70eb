"""A library for the demo, as unbalanced as real ones are."""

from collections.abc import Iterator

from worker.core.catalog import Catalog
from worker.core.catalog.manifest import ChunkRow

_SHARES = (("voice", 0.55), ("music", 0.28), ("conference", 0.1), ("custom", 0.065), ("documentary", 0.005))
_PENDING_EVERY = 50


def describe_chunks(count: int) -> Iterator[ChunkRow]:
    """Generate chunks. Every fiftieth is still PENDING, and few are documentary.

    Args:
        count: Number of chunks.
    """
    number = 0
    for i, (category, share) in enumerate(_SHARES):
        is_last = i == len(_SHARES) - 1
        for _ in range(count - number if is_last else int(count * share)):
            status = "PENDING" if number % _PENDING_EVERY == 0 else "READY"
            yield ChunkRow(f"demo/{category}/{number:07}.flac", category, status, 2.0 + number % 9)
            number += 1


def ready_by_id(catalog: Catalog) -> dict[int | str, str]:
    """Return chunk id -> category."""
    return {chunk: name for name, ids in catalog.segments() for chunk in ids.tolist()}
