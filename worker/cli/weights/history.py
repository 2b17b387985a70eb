"""What `weights history` and `weights rollback` do."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import check_dataset, open_redis
from worker.cli.printing import print_json, print_text
from worker.cli.weights.store import Storing, check_version, tell_change
from worker.cli.words import ago_text
from worker.core.keys import NAME_PATTERN
from worker.core.weights.changes import WantedChange
from worker.core.weights.history import Change, moves, moves_text
from worker.core.weights.in_force import preset_name, preset_of
from worker.core.wording import did_you_mean
from worker.errors import SettingsError
from worker.settings.environment import user
from worker.weights.change import roll_back, time_text


def show_history(dataset: str | None, preset: str | None, count: int, *, as_json: bool) -> None:
    """Print the newest changes of weights.

    Args:
        dataset: Of this dataset alone.
        preset: Of this preset alone.
        count: At most this many.
        as_json: Whether to print JSON.
    """
    name = _name(dataset, preset)

    def is_wanted(change: Change) -> bool:
        return name in {None, change.name}

    print_newest(is_wanted, count, f"no change{_of(name)} is in the history", name, as_json=as_json)


def roll_back_weights(version: str | None, dataset: str | None, preset: str | None, storing: Storing) -> None:
    """Undo the last change of some weights, or go back to a version.

    Args:
        version: The version; None: undo.
        dataset: Whose weights: this dataset's.
        preset: Or this preset's; without either, the global ones.
        storing: Why and how; its name is not used.
    """
    check_version(version)
    name = _name(dataset, preset)
    order = WantedChange(None, user(), storing.reason)
    tell_change(lambda writer: roll_back(writer, name, order, version=version), replace(storing, name=name))


def _name(dataset: str | None, preset: str | None) -> str | None:
    """Return the name of the weights that options mean."""
    if preset is None:
        return check_dataset(dataset)
    if dataset is not None:
        raise SettingsError("--dataset and --preset exclude each other; accepted: one of them")
    if not NAME_PATTERN.fullmatch(preset):
        raise SettingsError(f"--preset {preset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return preset_name(preset)


def print_newest(
    is_wanted: Callable[[Change], bool], count: int, nothing: str, name: str | None, *, as_json: bool
) -> None:
    """Print the newest changes of weights.

    Args:
        is_wanted: Which are wanted.
        count: At most this many.
        nothing: What is said if there are none.
        name: Whose changes are wanted; if there are none, a near name is asked for. None: anybody's.
        as_json: Whether to print JSON.
    """
    names: set[str] = set()

    async def work() -> list[Change]:
        found: list[Change] = []
        async with open_redis() as opened:
            async for change in RedisWeightsWriter(opened.client, opened.keys).history():
                names.add(change.name or "")
                if is_wanted(change):
                    found.append(change)
                    if len(found) == count:
                        break
        return found

    changes = asyncio.run(work())
    if as_json:
        print_json([_document(change) for change in changes])
    elif not changes:
        print_text(f"{nothing}{_near(name, names)}")
    else:
        for change in changes:
            _print_change(change)


def _of(name: str | None) -> str:
    """Write whose changes are meant."""
    preset = preset_of(name)
    return f" of preset {preset}" if preset else f" of dataset {name}" if name else ""


def _near(name: str | None, names: Collection[str]) -> str:
    """Ask for the dataset or preset that may have been meant; empty if none is near."""
    if preset := preset_of(name):
        return did_you_mean(preset, list(filter(None, map(preset_of, names))))
    return did_you_mean(name, [one for one in names if one and not preset_of(one)]) if name else ""


def _print_change(change: Change) -> None:
    """Print a change as a block of short lines: nothing is cut, however narrow the terminal is."""
    versions = f"{change.version_before or 'none'} -> {change.version_after or 'none'}"
    notes = [change.reason] if change.reason else []
    if change.until_ms is not None:
        notes.append(f"until {time_text(change.until_ms)}")
    if change.lapsed_ms is not None:
        notes.append(f"no return at {time_text(change.lapsed_ms)}")
    print_text(f"{time_text(change.at_ms)}, {ago_text(change.at_ms)}, by {change.who}")
    print_text(f"  {change.name or 'global'}  {versions}")
    print_text(f"  {'; '.join([moves_text(change), *notes])}")


def _document(change: Change) -> dict[str, Any]:
    return {
        "entry": change.id,
        "at_ms": change.at_ms,
        "dataset": change.name,
        "who": change.who,
        "reason": change.reason,
        "version_before": change.version_before or None,
        "version_after": change.version_after or None,
        "before": change.before or None,
        "after": change.after or None,
        "points": dict(moves(change)),
        "until_ms": change.until_ms,
        "lapsed_ms": change.lapsed_ms,
        "returned_ms": change.returned_ms,
    }
