"""What `weights preview` does."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.exclusions import RedisExclusions
from worker.cli.context import check_dataset, check_list, open_redis
from worker.cli.near import near_list
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.typed_weights import words_json
from worker.cli.weights.starting import Start, chunks_of, weigh
from worker.cli.words import Clock, Share, share_text
from worker.core.catalog import Catalog, without
from worker.core.draw.batch_preview import BatchRow, preview_batches
from worker.core.draw.preview import PreviewRow, preview, warnings
from worker.core.weights.values import Weights, normalise, parse_weights, temper
from worker.core.wire import LARGEST_SIZE, Budget, Terms
from worker.core.workers.states import WorkerState, disagreement
from worker.errors import RedisError, RequestError, SettingsError, WeightsError
from worker.settings.servers import ServerSettings, read_server_settings
from worker.weights.in_use import live_workers, make_survey, unit_of

_SIZE = 10_000
_GIVE = "accepted: the weights to look at, such as voice=0.7"


class Wanted(NamedTuple):
    """What to show.

    Attributes:
        size: How many chunk ids would be drawn; None: as many as the budget has, or 10,000.
        budget_s: The budget of batches that are shown, too, in seconds; None: none are.
        buckets: Their length buckets.
        exclude: The exclusion list whose chunks are left out; None: none.
        is_sum: Whether the durations of a batch add up to the budget, instead of count x longest.
    """

    size: int | None
    budget_s: float | None = None
    buckets: int = 1
    exclude: str | None = None
    is_sum: bool = False


def preview_weights(start: Start, dataset: str | None, wanted: Wanted, *, as_json: bool) -> None:
    """Print what would be drawn under some weights.

    Args:
        start: What they are made of; nothing: those in force.
        dataset: Whose weights in force; None: the global ones.
        wanted: What to show.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)
    words, temperature = start.words, start.temperature
    chosen = parse_weights(words_json(words, temperature).encode(), "redis") if words and not start.is_by_size else None

    async def work() -> tuple[Weights, Catalog, list[str], int]:
        is_given = chosen is not None or start.is_by_size
        settings = read_server_settings(need=["database"] if is_given else ["redis", "database"])
        workers, problem = await _workers()
        unit, notes = _unit(settings, workers, problem)
        found, drawn = chosen, wanted.size
        if start.is_by_size:
            found, told = await _by_size(start, settings, unit)
            notes += told
            drawn = wanted.size or chunks_of(start, unit)
        found = found or await _in_force(settings, dataset, temperature)
        catalog = await read_catalog(settings, unit, with_lengths=wanted.budget_s is not None)
        notes += _other_catalog(catalog, workers)
        if wanted.exclude is not None:
            catalog = await _without(catalog, wanted.exclude)
        return found, catalog, notes, drawn or _SIZE

    found, catalog, notes, drawn = asyncio.run(work())
    parts = preview(found, catalog, drawn)
    sentences, rows = warnings(parts, catalog.categories), _batches(found, catalog, wanted)
    if as_json:
        unit = "chunks" if catalog.durations is None else "seconds"
        shown = _document(parts, rows)
        shown |= {"version": found.version, "size": drawn, "weight_unit": unit, "warnings": [*notes, *sentences]}
        print_json(shown)
        return
    _print_parts(f"{drawn:,} chunk ids under weights {found.version}", parts)
    if rows:
        summed = ", summed" if wanted.is_sum and wanted.buckets == 1 else ""  # several buckets are drawn as padded ones
        _print_batches(f"batches of {wanted.budget_s:g} s{summed}", rows)
    for sentence in sentences:
        print_text(sentence, "waits")
    for note in notes:
        complain(note)


def _document(parts: Sequence[PreviewRow], rows: Sequence[BatchRow]) -> dict[str, Any]:
    """Return what would be drawn as plain data."""
    categories = [asdict(part) for part in parts]
    empty = [part.category for part in parts if not part.ready]
    return {"categories": categories, "empty": empty} | ({"batches": [asdict(row) for row in rows]} if rows else {})


async def read_catalog(settings: ServerSettings, unit: str, *, with_lengths: bool = False) -> Catalog:
    """Read the READY chunks as a worker would that goes by a unit of weights, if wanted with their durations."""
    in_seconds = unit == "seconds"
    held = ("duration_s",) if with_lengths and not in_seconds else ()
    source = PostgresCatalog(settings.database_url, settings.chunks_query, with_durations=in_seconds, held=held)
    return (await source.load()).catalog


async def _without(catalog: Catalog, name: str) -> Catalog:
    """Leave out the chunks of an exclusion list.

    Raises:
        SettingsError: There is none of this name, or its ids are of another kind.
    """
    check_list(name)
    async with open_redis() as opened:
        found = await RedisExclusions(opened.client, opened.keys).read(name)
        if found is None:
            raise SettingsError(
                f"there is no exclusion list {name}; accepted: one that `exclude list` names"
                f"{await near_list(opened, name)}"
            )
    try:
        return without(catalog, found)
    except ValueError as error:
        raise SettingsError(f"exclusion list {name} is refused: {error}") from error


async def _workers() -> tuple[list[WorkerState], str]:
    """Return what live workers show, and why that is not known, if it is not."""
    try:
        async with open_redis() as opened:
            return await live_workers(opened.client, opened.keys), ""
    except SettingsError:
        return [], "no REDIS_URL is given that is accepted"
    except RedisError as error:
        return [], str(error)


def _unit(settings: ServerSettings, workers: Sequence[WorkerState], problem: str) -> tuple[str, list[str]]:
    """Choose the unit of weights, which is the workers'; note where it is not this shell's, or no worker runs."""
    own, theirs = settings.weight_unit, unit_of(workers)
    if theirs is None:
        why = f"what workers have is not known, {problem}" if problem else "no worker runs"
        return own, [f"{why}: this goes by WORKER_WEIGHT_UNIT={own} of this shell"]
    notes = [told] if (told := disagreement(workers)) else []
    if theirs != own:
        notes.append(f"workers have WORKER_WEIGHT_UNIT={theirs}, which this goes by; this shell has {own}")
    return theirs, notes


def _other_catalog(catalog: Catalog, workers: Sequence[WorkerState]) -> list[str]:
    """Note that no worker draws from the catalog that was read here, where that is so."""
    told = [worker for worker in workers if worker.catalog_version]
    if not told or catalog.version in {worker.catalog_version for worker in told}:
        return []
    theirs = max(told, key=lambda worker: worker.catalog_at_ms)
    here = f"{len(catalog):,} chunks are READY by DATABASE_URL and WORKER_CHUNKS_QUERY of this shell"
    return [f"{here}, and workers draw from {theirs.chunks:,} others: they have other settings, or have just changed"]


async def _by_size(start: Start, settings: ServerSettings, unit: str) -> tuple[Weights | None, list[str]]:
    """Return weights that are made of sizes, and what is to say of them."""
    made = await weigh(start, settings, unit)
    return normalise(made.weights, "redis"), list(made.notes)


async def _in_force(settings: ServerSettings, dataset: str | None, temperature: float | None) -> Weights:
    """Return the weights that workers draw under."""
    async with open_redis() as opened:
        use = (await make_survey(opened.client, opened.keys, settings, dataset)).use
    weights = None if use.shares is None else normalise(use.shares, use.source)
    if weights is None:
        raise WeightsError(f"workers draw under {use.version}, and what that weighs is not known here; {_GIVE}")
    return weights if temperature is None else normalise(temper(weights.shares, temperature), use.source) or weights


def _batches(weights: Weights, catalog: Catalog, wanted: Wanted) -> list[BatchRow]:
    """Return the batches of each bucket; none if they are not wanted.

    Raises:
        WeightsError: A worker would refuse such requests.
    """
    if wanted.budget_s is None:
        return []
    budget: Budget = "sum" if wanted.is_sum else "padded"
    terms = Terms(size=LARGEST_SIZE, budget_s=wanted.budget_s, budget=budget, buckets=wanted.buckets)
    try:
        return preview_batches(weights, catalog, terms)
    except RequestError as error:
        raise WeightsError(error.message) from None


def _print_batches(title: str, rows: list[BatchRow]) -> None:
    """Print a line for each bucket, and how much of all batches is padding."""
    columns = ["longest s", "ids", "batches", "audio s", "padded s", "padding"]
    cells = [
        [row.longest_s, row.chunks, Share(row.share), row.seconds, row.padded_s, Share(1 - row.seconds / row.padded_s)]
        for row in rows
    ]
    print_table(title, columns, cells)
    audio, padded = sum(row.share * row.seconds for row in rows), sum(row.share * row.padded_s for row in rows)
    print_text(f"  padding of all batches: {share_text(1 - audio / padded)}")


def _print_parts(title: str, parts: list[PreviewRow]) -> None:
    columns = ["category", "weight", "READY", "share", "expected", "std. dev.", "times heard"]
    rows = [
        [
            p.category,
            Share(p.weight),
            p.ready,
            Share(p.share),
            p.expected,
            p.spread,
            p.plays,
        ]
        for p in parts
    ]
    if any(part.expected_s is not None for part in parts):
        columns.append("h:min:s")
        rows = [[*row, Clock(part.expected_s or 0.0)] for row, part in zip(rows, parts, strict=True)]
    print_table(title, columns, rows)
