"""What the verbs of `weights preset` do: save, list, show, apply and remove weights by name."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import check_dataset, open_redis
from worker.cli.near import near_preset
from worker.cli.printing import print_json, print_table, shares_text
from worker.cli.typed_weights import weights_json, words_json
from worker.cli.weights.store import Storing, because, store
from worker.cli.words import Share
from worker.core.keys import NAME_PATTERN
from worker.core.weights.changes import StoredWeights
from worker.core.weights.left_out import named
from worker.core.weights.presets import BUILT_IN_PRESETS, BY_READY, built_in_preset, own_preset_name
from worker.core.weights.values import Weights, parse_weights, temper
from worker.core.wording import did_you_mean
from worker.core.workers.ready import ready_of
from worker.errors import SettingsError, WeightsError
from worker.settings.servers import read_server_settings
from worker.weights.in_use import live_workers, make_survey, unit_of
from worker.weights.presets import all_presets, read_presets


def save_preset(name: str, words: Sequence[str], temperature: float | None, storing: Storing) -> None:
    """Store weights under a name.

    Args:
        name: The preset.
        words: Weights as people type them; none: those in force.
        temperature: The power that they are raised to; None: as they are.
        storing: Why and how; its name is the dataset whose weights in force are meant.
    """
    own = own_preset_name(name)
    dataset = check_dataset(storing.name)
    if words and dataset is not None:
        raise SettingsError("weights are given, and --dataset, whose weights in force are saved; accepted: one of both")
    value = words_json(words, temperature) if words else asyncio.run(_in_force(dataset, temperature))
    if parse_weights(value.encode(), "preset") is None:
        raise WeightsError("all weights are zero; accepted: at least one above zero")
    store(lambda _: value, replace(storing, name=own))


def list_presets(*, as_json: bool) -> None:
    """Print the presets: those that are built in, and those that were saved."""

    async def work() -> list[tuple[str, Weights | None]]:
        async with open_redis() as opened:
            return await all_presets(opened.client, opened.keys)

    _print_list(asyncio.run(work()), as_json=as_json)


def show_preset(name: str, *, as_json: bool) -> None:
    """Print the weights of a preset."""
    weights = asyncio.run(_preset(name))
    if as_json:
        print_json({"preset": name, "weights": dict(weights.shares), "version": weights.version})
    else:
        print_table(f"preset {name}, weights {weights.version}", ("category", "weight"), _rows(weights))


def apply_preset(name: str, storing: Storing) -> None:
    """Store the weights of a preset, as it is now, as the weights.

    Args:
        name: The preset.
        storing: Whose weights, why and how.
    """
    check_dataset(storing.name)
    text = weights_json(asyncio.run(_preset(name)).shares)
    store(lambda _: text, replace(storing, reason=because(f"preset {name}", storing.reason)))


def remove_preset(name: str, storing: Storing) -> None:
    """Remove a preset.

    Args:
        name: The preset.
        storing: Why and how; its name is not used.
    """
    own = own_preset_name(name)

    def nothing(found: StoredWeights) -> None:
        if found.value is None:
            raise WeightsError(f"preset {name!r} is not stored; accepted: one that `weights preset list` prints{near}")

    near = asyncio.run(_near_preset(name))
    store(nothing, replace(storing, name=own))


async def _near_preset(name: str) -> str:
    """Ask for the preset that may have been meant, should there be none of this name."""
    async with open_redis() as opened:
        return await near_preset(opened, name)


def _rows(weights: Weights) -> list[tuple[str, Share]]:
    return [(name, Share(share)) for name, share in weights.shares.items()]


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise SettingsError(f"preset {name!r} is not accepted; accepted: {NAME_PATTERN.pattern}")


async def _in_force(dataset: str | None, temperature: float | None) -> str:
    """Return the weights that workers draw under, as their key would hold them."""
    async with open_redis() as opened:
        use = (await make_survey(opened.client, opened.keys, opened.settings, dataset)).use
    if use.shares is None:
        raise WeightsError(
            f"workers draw under {use.version}, and what that weighs is not known here; give the weights"
        )
    return weights_json(temper(use.shares, 1.0 if temperature is None else temperature))


async def _preset(name: str) -> Weights:
    """Return the weights of a preset as they are now."""
    _check_name(name)
    if name in BUILT_IN_PRESETS:
        return built_in_preset(name, await _ready() if name in BY_READY else {})
    async with open_redis() as opened:
        [(weights, problem)] = await read_presets(opened.client, opened.keys, [name])
        if problem is not None:
            raise WeightsError(f"what preset {name!r} holds is refused: {problem}")
        if weights is None:
            names = [*BUILT_IN_PRESETS, *await RedisWeightsWriter(opened.client, opened.keys).presets()]
            raise WeightsError(f"preset {name!r} is not known; accepted: {named(names, 20)}{did_you_mean(name, names)}")
        return weights


async def _ready() -> Mapping[str, int]:
    """Count READY chunks by category, as workers have them; where none shows them, as PostgreSQL has them."""
    async with open_redis() as opened:
        workers = await live_workers(opened.client, opened.keys)
    if (known := ready_of(workers).known) is not None:
        return known
    from worker.cli.weights.preview import read_catalog  # noqa: PLC0415 - numpy and asyncpg, here alone

    settings = read_server_settings(need=["database"])
    return (await read_catalog(settings, unit_of(workers) or settings.weight_unit)).ready


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
