"""What `catalog show` does: the library as the workers read it."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from worker.adapters.postgres.counts import READY, ChunkCount, count_chunks, counts_of
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import Clock, counted
from worker.core.keys import CATEGORY_PATTERN, SPLIT_PATTERN
from worker.core.wording import did_you_mean
from worker.ports import ROWS_SHOWN
from worker.settings.servers import ServerSettings, read_server_settings

TABLE, QUERY = "audio_chunks", "WORKER_CHUNKS_QUERY"
_IGNORED = "IGNORED"


def show_library(*, as_json: bool) -> None:
    """Print how many chunks each category has, by status."""
    settings = read_server_settings(need=["database"])
    counts, ignored = asyncio.run(_read(settings))
    if not counts and (tables := asyncio.run(_tables_that_hide_rows(settings))):
        complain(f"row level security of {', '.join(tables)} may hide rows from this role; {ROWS_SHOWN}")
    source = QUERY if settings.chunks_query else TABLE
    if as_json:
        print_json(_document(counts, ignored, source))
    elif counts:
        _print_counts(counts, source)
    else:
        print_text(f"0 chunks, by {source}")
    if ignored and not as_json:
        print_text(
            f"{counted(ignored, 'READY chunk')} left out by the workers: no name of a category or split, or no duration"
        )


def warn_of_query(settings: ServerSettings) -> None:
    """Print a warning if workers read something else than the table."""
    if settings.chunks_query:
        complain(f"{QUERY} is set: workers read what it selects, and the table {TABLE} only where it names that")


def warn_of_held(held: int) -> None:
    """Print a warning about chunks that stay QUARANTINED, whatever status was given for them."""
    if held:
        stay, back = ("stays", "it") if held == 1 else ("stay", "them")
        complain(f"{counted(held, 'chunk')} {stay} QUARANTINED; `catalog release` puts {back} back")


def _print_counts(counts: list[ChunkCount], source: str) -> None:
    ready = sum(count.count for count in counts if count.status == READY)
    has_splits = any(count.split for count in counts)
    rows = [
        (
            *((c.category, c.split) if has_splits else (c.category,)),
            *(c.status, c.count, "" if c.duration_s is None else Clock(c.duration_s)),
        )
        for c in counts
    ]
    title = f"{counted(ready, 'READY chunk')}, by {source}"
    print_table(title, ("category", *(("split",) if has_splits else ()), "status", "count", "h:min:s"), rows)


async def _read(settings: ServerSettings) -> tuple[list[ChunkCount], int]:
    """Read the counts, and how many READY chunks the workers leave out."""
    url, by_seconds = settings.database_url, settings.weight_unit == "seconds"
    if not settings.chunks_query and not by_seconds:
        counts = await count_chunks(url)
        return counts, sum(count.count for count in counts if count.status == READY and not _is_named(count))
    from worker.adapters.postgres.catalog import PostgresCatalog  # noqa: PLC0415 - numpy, where chunks are read

    loaded = await PostgresCatalog(url, settings.chunks_query, with_durations=by_seconds).load()
    counts = counts_of(loaded) if settings.chunks_query else await count_chunks(url)
    return counts, loaded.ignored


async def unknown_parts(settings: ServerSettings, categories: Sequence[str], split: str | None) -> list[str]:
    """Return sentences about the categories and the split that no READY chunk has, with similar names."""
    counts, _ = await _read(settings)
    ready = [count for count in counts if count.status == READY]
    return [
        *_unknown("READY chunk is of category", categories, {count.category or "" for count in ready}),
        *_unknown("READY chunk is of split", [split] if split else (), {count.split or "" for count in ready}),
    ]


async def unknown_categories(database_url: str, categories: Sequence[str]) -> list[str]:
    """Return sentences about the categories that no chunk of the table has, with similar names."""
    if not categories:
        return []
    counts = await count_chunks(database_url)
    return _unknown("chunk is of category", categories, {one.category or "" for one in counts})


def _unknown(what: str, names: Sequence[str], known: Collection[str]) -> list[str]:
    return [f"no {what} {name}{did_you_mean(name, known)}" for name in names if name not in known]


async def _tables_that_hide_rows(settings: ServerSettings) -> list[str]:
    """List the tables whose row level security may hide rows from this role."""
    from worker.adapters.postgres.catalog import PostgresCatalog  # noqa: PLC0415 - numpy, where nothing was found

    return list(await PostgresCatalog(settings.database_url, settings.chunks_query).hiding())


def _is_named(count: ChunkCount) -> bool:
    """Return whether workers draw chunks of this category and split."""
    is_category = CATEGORY_PATTERN.fullmatch(count.category or "") is not None
    return is_category and (not count.split or SPLIT_PATTERN.fullmatch(count.split) is not None)


def _document(counts: list[ChunkCount], ignored: int, source: str) -> list[dict[str, Any]]:
    left_out = ChunkCount("", _IGNORED, ignored, None)
    return [
        {
            "category": c.category or None,
            "split": c.split or None,
            "status": c.status,
            "count": c.count,
            "duration_s": c.duration_s,
            "source": source,
        }
        for c in (*counts, *((left_out,) if ignored else ()))
    ]
