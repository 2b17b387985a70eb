"""`weights preview`."""

from dataclasses import asdict
from typing import Annotated

import typer

from worker.adapters.postgres_catalog import PostgresCatalog
from worker.cli.context import AsJson, Dataset, check_dataset, open_desk, print_json, print_table, print_text, run_async
from worker.cli.numbers import whole
from worker.cli.weights.show import read_weights
from worker.cli.weights.store import Temperature, Words, words_json
from worker.core.catalog import Catalog
from worker.core.preview import Part, warnings
from worker.core.preview import preview as preview_weights
from worker.core.weights import Weights, default_weights, normalise, parse_weights
from worker.core.weights_text import temper
from worker.settings.model import Settings, load_settings


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
    chosen = None if not weights else parse_weights(words_json(weights, temperature).encode(), "redis")

    async def work() -> tuple[Weights, Catalog]:
        if weights:
            return chosen or default_weights(), await read_catalog(load_settings(need=["database"]))
        async with open_desk(["redis", "database"]) as desk:
            held, _ = await read_weights(desk, dataset)
            return _tempered(held.weights, temperature), await read_catalog(desk.settings)

    found, catalog = run_async(work)
    parts = preview_weights(found, catalog, size)
    sentences = warnings(parts)
    if as_json:
        categories = [asdict(part) for part in parts]
        empty = [part.category for part in parts if not part.ready]
        shown = {"version": found.version, "size": size, "categories": categories, "empty": empty}
        print_json({**shown, "warnings": sentences})
        return
    _print_parts(f"{size:,} chunk ids under weights {found.version}", parts)
    for sentence in sentences:
        print_text(sentence)


async def read_catalog(settings: Settings) -> Catalog:
    """Read the READY chunks as a worker would."""
    url = settings.database_url.get_secret_value()
    source = PostgresCatalog(url, settings.chunks_query, with_durations=settings.weight_unit == "seconds")
    return (await source.load()).catalog


def _print_parts(title: str, parts: list[Part]) -> None:
    columns = ["category", "weight", "READY", "share", "expected", "spread", "each heard"]
    rows = [
        [p.category, p.weight, p.ready, p.share, round(p.expected, 1), round(p.spread, 1), round(p.plays, 2)]
        for p in parts
    ]
    if any(part.expected_s is not None for part in parts):
        columns.append("seconds")
        rows = [[*row, round(part.expected_s or 0.0, 1)] for row, part in zip(rows, parts, strict=True)]
    print_table(title, columns, rows)


def _tempered(weights: Weights, temperature: float | None) -> Weights:
    if temperature is None:
        return weights
    return normalise(temper(weights.shares, temperature), weights.source) or weights
