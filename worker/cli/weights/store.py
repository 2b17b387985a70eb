"""What `weights set` and `weights remove` do, and what every verb does that stores weights."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import check_dataset, open_desk
from worker.cli.mix import until_text
from worker.cli.output import complain
from worker.cli.printing import print_json, print_text, shares_text
from worker.cli.typed_weights import span_ms, temper, weights_json, words_json
from worker.cli.words import counted, span_text
from worker.core.weights.changes import StoredWeights, WantedChange
from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of, source_of
from worker.core.weights.values import parse_weights
from worker.errors import SettingsError, WeightsError
from worker.weights.change import Applied, change_weights, time_text
from worker.weights.step import Made, Place, Work, make_change, user

_VERSION = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Storing:
    """Whose weights are stored, and how, as options say it.

    Attributes:
        name: A dataset, or a preset (see `worker.core.weights.in_force.preset_name`); None: the global weights.
        reason: Why.
        lasts: For how long; None: for good.
        if_version: The version that has to be in force; None: any.
        wait_s: How long to wait until the workers have applied it; None: not at all.
        as_json: Whether to print JSON.
    """

    name: str | None
    reason: str = ""
    lasts: str | None = None
    if_version: str | None = None
    wait_s: float | None = None
    as_json: bool = False


def set_weights(words: Sequence[str], temperature: float | None, storing: Storing) -> None:
    """Store weights, and print what came of it.

    Args:
        words: Weights as people type them; none: those in force.
        temperature: The power that they are raised to; None: as they are.
        storing: Whose, and how.

    Raises:
        SettingsError: Neither weights nor a temperature are given.
    """
    if not words and temperature is None:
        raise SettingsError("no weights are given; accepted: category=weight, such as voice=0.7, or --temperature")
    check_dataset(storing.name)
    value = words_json(words, temperature) if words else None
    store(lambda found: value or tempered(found, temperature), storing)


def remove_weights(storing: Storing) -> None:
    """Remove the weights that were set, and print what came of it."""
    check_dataset(storing.name)
    store(lambda _: None, storing)


def tempered(found: StoredWeights, temperature: float | None) -> str:
    """Apply a temperature to the weights in force.

    Raises:
        WeightsError: It is not accepted, or what the key holds is refused: each worker keeps its own last ones.
    """
    if found.problem is not None:
        raise WeightsError(
            f"what the key holds now is refused: {found.problem}; give the weights along with --temperature"
        )
    return weights_json(temper(found.in_force.weights.shares, 1.0 if temperature is None else temperature))


def store(make: Callable[[StoredWeights], str | None], storing: Storing) -> None:
    """Store weights, and print what came of it.

    Args:
        make: Makes the value by what stands there; None: the key is removed.
        storing: Whose, and how.
    """
    check_version(storing.if_version)
    lasts_ms = None if storing.lasts is None else span_ms(storing.lasts)
    who = user()

    def wanted(found: StoredWeights) -> WantedChange:
        return WantedChange(make(found), who, storing.reason, lasts_ms, storing.lasts or "")

    async def work(writer: RedisWeightsWriter) -> Change:
        return await change_weights(writer, storing.name, wanted, if_version=storing.if_version)

    tell_change(work, storing)


def tell_change(work: Work, storing: Storing) -> None:
    """Make a change, wait until it is applied where that is wanted, and print what came of it.

    Args:
        work: Makes it.
        storing: Whose, and how.
    """

    async def run() -> Made:
        async with open_desk() as desk:
            place = Place(desk.client, desk.keys, desk.settings)
            return await make_change(place, storing.name, work, storing.wait_s)

    made = asyncio.run(run())
    if storing.as_json:
        print_json(_document(made))
    else:
        _print_change(made)
    for sentence in made.mix.warnings:
        complain(sentence)
    if made.applied is not None:
        _tell_applied(made.applied, storing)


def check_version(version: str | None) -> None:
    """Refuse what is not a version.

    Raises:
        SettingsError: The sentence says what is accepted.
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise SettingsError(f"{version!r} is no version; accepted: 12 hex digits, as `weights history` prints them")


def _shares(change: Change) -> dict[str, float]:
    try:
        weights = parse_weights(change.after.encode(), source_of(change.name)) if change.after else None
    except WeightsError:
        return {}
    return dict(weights.shares) if weights else {}


def _document(made: Made) -> dict[str, Any]:
    change, applied = made.change, made.applied
    document: dict[str, Any] = {
        "dataset": change.name,
        "weights": _shares(change),
        "version": change.version_after or None,
        "version_before": change.version_before or None,
        "entry": change.id,
        "until_ms": change.until_ms,
        "lapsed_ms": change.lapsed_ms,
        **made.mix.document,
    }
    if applied is not None:
        document |= {"applied": applied.applied, "missing": applied.missing, "unasked": applied.unasked}
        document["took_ms"] = round(applied.took_s * 1000, 1)
    return document


def _print_change(made: Made) -> None:
    change = made.change
    if shares := _shares(change):
        print_text(f"version {change.version_after}  {shares_text(shares)}")
    elif preset_of(change.name):
        print_text("the preset is removed")
    else:
        held = "the defaults" if change.name is None else "the global weights"
        print_text(f"{'all weights are zero' if change.after else 'no weights are stored'}: {held} are in force")
    if change.until_ms is not None:
        print_text(until_text(change.until_ms, change.until_ms - change.at_ms, made.pending, change.name))
    if change.lapsed_ms is not None:
        print_text(f"they are there for good: the return of {time_text(change.lapsed_ms)} is off")


def _tell_applied(applied: Applied, storing: Storing) -> None:
    """Print how many workers have applied it; one that has not is status 1."""
    holders = len(applied.applied) + len(applied.missing)
    if not holders + len(applied.unasked):
        complain("the weights are stored, but no worker is alive, so that none has applied it")
        raise click.exceptions.Exit(1)
    if applied.missing:
        late = f"applied by {len(applied.applied)} of {counted(holders, 'worker')} within {storing.wait_s:g} s"
        complain(f"{late}; not by {', '.join(applied.missing)}")
        raise click.exceptions.Exit(1)
    if storing.as_json:
        return
    if holders:
        print_text(f"applied by {holders} of {counted(holders, 'worker')} in {span_text(applied.took_s)}", "fits")
    if applied.unasked:
        have = "worker has" if len(applied.unasked) == 1 else "workers have"
        rest = f"{len(applied.unasked)} {have} not been asked for this dataset lately"
        print_text(f"{rest}: they read its weights with the first request", "waits")
