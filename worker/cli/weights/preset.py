"""`weights preset`: save, list, show, apply and remove weights by name."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any

import typer

from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.admin.weights_in_use import live_workers, make_survey, unit_of
from worker.cli.context import (
    AsJson,
    Dataset,
    Desk,
    check_dataset,
    open_desk,
    print_json,
    print_table,
    run_async,
    shares_text,
)
from worker.cli.typed_weights import temper, weights_json
from worker.cli.weights.preview import read_catalog
from worker.cli.weights.store import (
    TIMEOUT_S,
    IfVersion,
    Lasts,
    Reason,
    Storing,
    Temperature,
    Timeout,
    Wait,
    Words,
    store,
    words_json,
)
from worker.cli.words import Share
from worker.core.keys import NAME_PATTERN
from worker.core.weights.changes import StoredWeights
from worker.core.weights.in_force import UNREAD, observe, preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, BY_READY, built_in_preset
from worker.core.weights.values import Weights, parse_weights
from worker.core.workers.ready import ready_of
from worker.errors import SettingsError, WeightsError
from worker.settings.model import load_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name.")]


@app.command(epilog="Example: sampling-worker weights preset save night voice=0.2 music=0.8")
def save(
    name: Name,
    weights: Words = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    reason: Reason = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Keep weights under a name, for requests with preset=NAME; without weights those in force now."""
    _check_own(name)
    check_dataset(dataset)
    value = words_json(weights, temperature) if weights else run_async(lambda: _in_force(dataset, temperature))
    if parse_weights(value.encode(), "preset") is None:
        raise WeightsError("all weights are zero; accepted: at least one above zero")
    store(lambda _: value, Storing(preset_name(name), reason, as_json=as_json))


@app.command("list", epilog="Example: sampling-worker weights preset list")
def list_(*, as_json: AsJson = False) -> None:
    """List the presets: those that are built in, and those that were saved."""

    async def work() -> list[tuple[str, Weights | None]]:
        built_in = [(name, None if name in BY_READY else built_in_preset(name, {})) for name in BUILT_IN_PRESETS]
        async with open_desk() as desk:
            names = await RedisWeightsWriter(desk.client, desk.keys).presets()
            stored = [weights for weights, _ in await _read_stored(desk, names)]
            return [*built_in, *zip(names, stored, strict=True)]

    _print_list(run_async(work), as_json=as_json)


@app.command(epilog="Example: sampling-worker weights preset show balanced")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show what a preset weighs now."""
    weights = run_async(lambda: _preset(name))
    if as_json:
        print_json({"preset": name, "weights": dict(weights.shares), "version": weights.version})
    else:
        print_table(f"preset {name}, weights {weights.version}", ("category", "weight"), _rows(weights))


@app.command(epilog="Example: sampling-worker weights preset apply voice-heavy --for 30m")
def apply(
    name: Name,
    dataset: Dataset = None,
    reason: Reason = "",
    lasts: Lasts = None,
    if_version: IfVersion = None,
    timeout: Timeout = TIMEOUT_S,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Store what a preset weighs now as the weights: later changes of the preset do not follow."""
    check_dataset(dataset)
    text = weights_json(run_async(lambda: _preset(name)).shares)
    why = f"preset {name}: {reason}" if reason else f"preset {name}"
    store(lambda _: text, Storing(dataset, why, lasts, if_version, timeout if wait else None, as_json))


@app.command(epilog="Example: sampling-worker weights preset remove night")
def remove(name: Name, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Forget a preset: requests that name it get unknown_preset."""
    _check_own(name)

    def nothing(found: StoredWeights) -> None:
        if found.value is None:
            raise WeightsError(f"preset {name!r} is not stored; accepted: one that `weights preset list` prints")

    store(nothing, Storing(preset_name(name), reason, as_json=as_json))


def _rows(weights: Weights) -> list[tuple[str, Share]]:
    return [(name, Share(share)) for name, share in weights.shares.items()]


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise SettingsError(f"preset {name!r} is not accepted; accepted: {NAME_PATTERN.pattern}")


def _check_own(name: str) -> None:
    _check_name(name)
    if name in BUILT_IN_PRESETS:
        raise SettingsError(f"preset {name!r} is built in; accepted: another name than {', '.join(BUILT_IN_PRESETS)}")


async def _in_force(dataset: str | None, temperature: float | None) -> str:
    """Write the weights that workers draw under."""
    async with open_desk() as desk:
        use = (await make_survey(desk.client, desk.keys, desk.settings, dataset)).use
    if use.shares is None:
        raise WeightsError(
            f"workers draw under {use.version}, and what that weighs is not known here; give the weights"
        )
    return weights_json(temper(use.shares, 1.0 if temperature is None else temperature))


async def _preset(name: str) -> Weights:
    """Find what a preset weighs now."""
    _check_name(name)
    if name in BUILT_IN_PRESETS:
        return built_in_preset(name, await _ready() if name in BY_READY else {})
    async with open_desk() as desk:
        [(weights, problem)] = await _read_stored(desk, [name])
        if problem is not None:
            raise WeightsError(f"what preset {name!r} holds is refused: {problem}")
        if weights is None:
            names = [*BUILT_IN_PRESETS, *await RedisWeightsWriter(desk.client, desk.keys).presets()]
            raise WeightsError(f"preset {name!r} is not known; accepted: {', '.join(names)}")
        return weights


async def _ready() -> Mapping[str, int]:
    """Count READY chunks by category, as workers have them; where none tells, as PostgreSQL has them."""
    async with open_desk() as desk:
        workers = await live_workers(desk.client, desk.keys)
    if (known := ready_of(workers).known) is not None:
        return known
    settings = load_settings(need=["database"])
    return (await read_catalog(settings, unit_of(workers) or settings.weight_unit)).ready


async def _read_stored(desk: Desk, names: Sequence[str]) -> list[tuple[Weights | None, str | None]]:
    """Read stored presets; None for what is not there or refused, and why it is refused."""
    with closing(RedisWeights(desk.client, desk.keys)) as reader:
        readings = await reader.read([preset_name(name) for name in names])
    seen = [observe(UNREAD, reading.mark, reading.value, "preset") for reading in readings]
    return [(held.weights, problem) for held, problem in seen]


def _print_list(presets: Sequence[tuple[str, Weights | None]], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(name, weights) for name, weights in presets])
        return
    rows = [
        (
            name,
            "built in" if name in BUILT_IN_PRESETS else "saved",
            weights.version if weights else "",
            shares_text(weights.shares) if weights else _unweighed(name),
        )
        for name, weights in presets
    ]
    print_table("presets", ("name", "kind", "version", "weights"), rows)


def _unweighed(name: str) -> str:
    return "those with READY chunks alike, built-in ones first" if name in BY_READY else "no valid weights stand there"


def _document(name: str, weights: Weights | None) -> dict[str, Any]:
    return {
        "preset": name,
        "built_in": name in BUILT_IN_PRESETS,
        "weights": dict(weights.shares) if weights else None,
        "version": weights.version if weights else None,
    }
