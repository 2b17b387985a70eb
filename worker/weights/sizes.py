"""How large the categories of the library are, for weights that start from that."""

import math
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from worker.adapters.postgres.counts import READY, ChunkCount, count_chunks, counts_of
from worker.core.catalog.parts import TRAIN
from worker.core.keys import CATEGORY_PATTERN
from worker.core.weights.left_out import named
from worker.core.weights.values import MAX_CATEGORIES
from worker.core.wording import plural
from worker.errors import WeightsError
from worker.settings.servers import ServerSettings

By = Literal["chunks", "hours"]
"""The unit of sizes."""

_DRAWN: Final = ("", TRAIN)  # splits that a request draws from without naming one
_S_AN_HOUR: Final = 3600


class Sizes(NamedTuple):
    """How large the categories are, as a request without a split sees them.

    Attributes:
        by: The unit.
        sizes: Category -> READY chunks, or their hours; each finite and above 0.
        notes: Sentences about what has no size, and is left out.
    """

    by: By
    sizes: dict[str, float]
    notes: tuple[str, ...]


async def read_sizes(settings: ServerSettings, by: By) -> Sizes:
    """Read the sizes of categories from PostgreSQL.

    Args:
        settings: They name the library.
        by: The unit.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
        WeightsError: No category has a size, or too many have.
    """
    ignored = 0
    if settings.chunks_query:
        from worker.adapters.postgres.catalog import PostgresCatalog  # noqa: PLC0415 - numpy, where a query is read

        source = PostgresCatalog(settings.database_url, settings.chunks_query, with_durations=by == "hours")
        loaded = await source.load()
        counts, ignored = counts_of(loaded), loaded.ignored
    else:
        counts = await count_chunks(settings.database_url)
    found = measure(counts, by)
    if not ignored:
        return found
    why = "no name of a category or split" if by == "chunks" else "no such name, or no duration"
    return found._replace(notes=(*found.notes, f"{plural(ignored, 'READY chunk')} not counted: {why}"))


def measure(counts: Iterable[ChunkCount], by: By) -> Sizes:
    """Add up the sizes of categories.

    Args:
        counts: The chunks of each category, status and split.
        by: The unit.

    Raises:
        WeightsError: No category has a size, or too many have.
    """
    sizes: dict[str, float] = {}
    undated = 0
    known = [one for one in counts if CATEGORY_PATTERN.fullmatch(one.category or "")]
    ready = [one for one in known if one.status == READY and one.split in _DRAWN]
    for one in ready:
        size = one.count if by == "chunks" else (one.duration_s or 0.0) / _S_AN_HOUR
        sizes[one.category] = sizes.get(one.category, 0.0) + size
        undated += one.undated
    kept = {name: size for name, size in sorted(sizes.items()) if 0 < size < math.inf}
    if not 0 < len(kept) <= MAX_CATEGORIES:
        has = f"{len(kept):,} categories have a size" if kept else f"no category has {_wanted(by)}"
        raise WeightsError(f"{has}; accepted: a library where 1 to {MAX_CATEGORIES:,} have")
    return Sizes(by, kept, tuple(_notes({one.category for one in known}, sizes, kept, undated if by == "hours" else 0)))


def _wanted(by: By) -> str:
    return "READY chunks" if by == "chunks" else "READY chunks with a duration_s"


def _notes(all_: set[str], ready: dict[str, float], kept: dict[str, float], undated: int) -> list[str]:
    """Write which categories are left out, and which chunks do not count."""
    notes = []
    if empty := sorted(all_ - ready.keys()):
        notes.append(f"left out, without READY chunks: {named(empty)}")
    if unsized := sorted(ready.keys() - kept.keys()):
        notes.append(f"left out, without a duration_s that counts: {named(unsized)}")
    if undated:
        notes.append(f"{plural(undated, 'READY chunk')} without a duration_s: they count as 0 hours")
    return notes
