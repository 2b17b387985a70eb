"""`catalog show`: the library as the workers read it."""

from typing import Any

import numpy as np

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.chunks import ChunkCount, count_chunks
from worker.cli.context import AsJson, print_json, print_table, print_text, run_async
from worker.cli.output import complain
from worker.cli.words import counted
from worker.core.keys import CATEGORY_PATTERN
from worker.ports import ROWS_SHOWN, LoadedCatalog
from worker.settings.model import Settings, load_settings

TABLE, QUERY = "audio_chunks", "WORKER_CHUNKS_QUERY"
_READY, _IGNORED = "READY", "IGNORED"
_MS_A_SECOND = 1000


def show(*, as_json: AsJson = False) -> None:
    """Show how many chunks each category has, by status, where the workers read them.

    That is the table audio_chunks, or what the setting WORKER_CHUNKS_QUERY selects. Chunks that workers leave out are
    counted as IGNORED: their category is no category name, or WORKER_WEIGHT_UNIT=seconds and they have no duration.
    """
    settings = load_settings(need=["database"])
    counts, ignored = run_async(lambda: _read(settings))
    catalog = PostgresCatalog(settings.database_url.get_secret_value(), settings.chunks_query)
    if not counts and (tables := run_async(catalog.hiding)):
        complain(f"row level security of {', '.join(tables)} may hide rows from this role; {ROWS_SHOWN}")
    source = QUERY if settings.chunks_query else TABLE
    if as_json:
        print_json(_document(counts, ignored, source))
        return
    ready = sum(count.count for count in counts if count.status == _READY)
    title = f"{counted(ready, 'READY chunk')}, by {source}"
    if counts:
        rows = [(c.category, c.status, c.count, "" if c.duration_s is None else c.duration_s) for c in counts]
        print_table(title, ("category", "status", "count", "seconds"), rows)
    else:
        print_text(f"0 chunks, by {source}")
    if ignored:
        print_text(f"{counted(ignored, 'READY chunk')} left out by the workers: no category name, or no duration")


def warn_of_query(settings: Settings) -> None:
    """Warn who fills the table that the workers read something else."""
    if settings.chunks_query:
        complain(f"{QUERY} is set: workers read what it selects, and the table {TABLE} only where it names that")


async def _read(settings: Settings) -> tuple[list[ChunkCount], int]:
    """Read the counts, and how many READY chunks the workers leave out."""
    url, by_seconds = settings.database_url.get_secret_value(), settings.weight_unit == "seconds"
    if not settings.chunks_query and not by_seconds:
        counts = await count_chunks(url)
        unnamed = [c for c in counts if c.status == _READY and not CATEGORY_PATTERN.fullmatch(c.category or "")]
        return counts, sum(count.count for count in unnamed)
    loaded = await PostgresCatalog(url, settings.chunks_query, with_durations=by_seconds).load()
    counts = _counts(loaded) if settings.chunks_query else await count_chunks(url)
    return counts, loaded.ignored


def _counts(loaded: LoadedCatalog) -> list[ChunkCount]:
    """Count what a query selects: READY chunks."""
    catalog = loaded.catalog
    sums: list[float | None] = [None] * len(catalog.categories)
    if catalog.durations is not None and sums:
        totals = np.add.reduceat(catalog.durations.milliseconds, catalog.bounds[:-1], dtype=np.int64)
        sums = [total / _MS_A_SECOND for total in totals.tolist()]
    return [
        ChunkCount(name, _READY, count, seconds)
        for (name, count), seconds in zip(catalog.ready.items(), sums, strict=True)
    ]


def _document(counts: list[ChunkCount], ignored: int, source: str) -> list[dict[str, Any]]:
    rows = [
        {"category": c.category, "status": c.status, "count": c.count, "duration_s": c.duration_s, "source": source}
        for c in counts
    ]
    left_out = {"category": None, "status": _IGNORED, "count": ignored, "duration_s": None, "source": source}
    return [*rows, left_out] if ignored else rows
