"""A library to draw from, skewed as real ones are."""

from collections.abc import Iterator

from worker.core.catalog import Catalog
from worker.core.catalog.manifest import ChunkRow

_SHARES = (("voice", 0.55), ("music", 0.28), ("conference", 0.1), ("custom", 0.065), ("documentary", 0.005))
_PENDING_EVERY = 50


def describe_chunks(count: int) -> Iterator[ChunkRow]:
    """Make up chunks: every fiftieth is still PENDING, and few are documentary.

    Args:
        count: How many.
    """
    number = 0
    for place, (category, share) in enumerate(_SHARES):
        last = place == len(_SHARES) - 1
        for _ in range(count - number if last else int(count * share)):
            status = "PENDING" if number % _PENDING_EVERY == 0 else "READY"
            yield ChunkRow(f"demo/{category}/{number:07}.flac", category, status, 2.0 + number % 9)
            number += 1


def ready_by_id(catalog: Catalog) -> dict[int | str, str]:
    """List chunk id -> category."""
    return {chunk: name for name, ids, _ in catalog.segments() for chunk in ids.tolist()}
