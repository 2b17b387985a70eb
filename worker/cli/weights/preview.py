"""`weights preview`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.admin.weights_in_use import live_workers, make_survey, unit_of
from worker.cli.context import (
    AsJson,
    Dataset,
    check_dataset,
    open_desk,
    print_json,
    print_table,
    print_text,
    run_async,
)
from worker.cli.numbers import whole
from worker.cli.output import complain
from worker.cli.typed_weights import temper
from worker.cli.weights.store import Temperature, Words, words_json
from worker.cli.words import Share
from worker.core.catalog import Catalog
from worker.core.draw.preview import PreviewRow, warnings
from worker.core.draw.preview import preview as preview_weights
from worker.core.weights.values import Weights, normalise, parse_weights
from worker.core.workers.states import WorkerState, disagreement
from worker.errors import RedisError, SettingsError, WeightsError
from worker.settings.model import Settings, load_settings

_GIVE = "accepted: the weights to look at, such as voice=0.7"


def preview(
    weights: Words = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    size: Annotated[
        int, typer.Option(parser=whole(1, 10**12), metavar="NUMBER", help="How many chunk ids would be drawn.")
    ] = 10_000,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what would be drawn under some weights, or without any under those in force; nothing is stored.

    Warns of categories without READY chunks, and of those whose chunks would be heard more than 16 times each.
    """
    check_dataset(dataset)
    chosen = parse_weights(words_json(weights, temperature).encode(), "redis") if weights else None

    async def work() -> tuple[Weights, Catalog, list[str]]:
        settings = load_settings(need=["database"] if chosen else ["redis", "database"])
        workers, problem = await _workers()
        unit, notes = _unit(settings, workers, problem)
        found = chosen or await _in_force(settings, dataset, temperature)
        catalog = await read_catalog(settings, unit)
        return found, catalog, [*notes, *_other_catalog(catalog, workers)]

    found, catalog, notes = run_async(work)
    parts = preview_weights(found, catalog, size)
    sentences = warnings(parts, catalog.categories)
    if as_json:
        categories = [asdict(part) for part in parts]
        empty = [part.category for part in parts if not part.ready]
        shown = {"version": found.version, "size": size, "categories": categories, "empty": empty}
        unit = "chunks" if catalog.durations is None else "seconds"
        print_json({**shown, "weight_unit": unit, "warnings": [*notes, *sentences]})
        return
    _print_parts(f"{size:,} chunk ids under weights {found.version}", parts)
    for sentence in sentences:
        print_text(sentence)
    for note in notes:
        complain(note)


async def read_catalog(settings: Settings, unit: str) -> Catalog:
    """Read the READY chunks as a worker would that goes by a unit of weights."""
    url = settings.database_url.get_secret_value()
    source = PostgresCatalog(url, settings.chunks_query, with_durations=unit == "seconds")
    return (await source.load()).catalog


async def _workers() -> tuple[list[WorkerState], str]:
    """List what live workers show, or tell why that is not known."""
    try:
        async with open_desk() as desk:
            return await live_workers(desk.client, desk.keys), ""
    except SettingsError:
        return [], "no REDIS_URL is given that is accepted"
    except RedisError as error:
        return [], str(error)


def _unit(settings: Settings, workers: Sequence[WorkerState], problem: str) -> tuple[str, list[str]]:
    """Choose the unit of weights: that of the live workers; say where it is not this shell's, or nobody's."""
    own, theirs = settings.weight_unit, unit_of(workers)
    if theirs is None:
        why = f"what workers have is not known, {problem}" if problem else "no worker runs"
        return own, [f"{why}: this goes by WORKER_WEIGHT_UNIT={own} of this shell"]
    notes = [told] if (told := disagreement(workers)) else []
    if theirs != own:
        notes.append(f"workers have WORKER_WEIGHT_UNIT={theirs}, which this goes by; this shell has {own}")
    return theirs, notes


def _other_catalog(catalog: Catalog, workers: Sequence[WorkerState]) -> list[str]:
    """Say that no worker draws from the catalog that was read here, where that is so."""
    told = [worker for worker in workers if worker.catalog_version]
    if not told or catalog.version in {worker.catalog_version for worker in told}:
        return []
    theirs = max(told, key=lambda worker: worker.catalog_at_ms)
    here = f"{len(catalog):,} chunks are READY by DATABASE_URL and WORKER_CHUNKS_QUERY of this shell"
    return [f"{here}, and workers draw from {theirs.chunks:,} others: they have other settings, or have just changed"]


async def _in_force(settings: Settings, dataset: str | None, temperature: float | None) -> Weights:
    """Tell the weights that workers draw under."""
    async with open_desk() as desk:
        use = (await make_survey(desk.client, desk.keys, settings, dataset)).use
    weights = None if use.shares is None else normalise(use.shares, use.source)
    if weights is None:
        raise WeightsError(f"workers draw under {use.version}, and what that weighs is not known here; {_GIVE}")
    return weights if temperature is None else normalise(temper(weights.shares, temperature), use.source) or weights


def _print_parts(title: str, parts: list[PreviewRow]) -> None:
    columns = ["category", "weight", "READY", "share", "expected", "spread", "each heard"]
    rows = [
        [
            p.category,
            Share(p.weight),
            p.ready,
            Share(p.share),
            round(p.expected, 1),
            round(p.spread, 1),
            round(p.plays, 2),
        ]
        for p in parts
    ]
    if any(part.expected_s is not None for part in parts):
        columns.append("seconds")
        rows = [[*row, round(part.expected_s or 0.0, 1)] for row, part in zip(rows, parts, strict=True)]
    print_table(title, columns, rows)
