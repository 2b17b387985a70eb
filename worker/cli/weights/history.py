"""`weights history` and `rollback`."""

from typing import Annotated, Any

import typer

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.admin.weights import roll_back, time_text
from worker.cli.context import (
    AsJson,
    Dataset,
    check_dataset,
    open_desk,
    print_json,
    print_text,
    run_async,
)
from worker.cli.numbers import whole
from worker.cli.weights.store import TIMEOUT_S, Reason, Storing, Timeout, Wait, check_version, make_change, user
from worker.core.keys import NAME_PATTERN
from worker.core.weights.changes import WantedChange
from worker.core.weights.history import Change, moves, moves_text
from worker.core.weights.in_force import preset_name
from worker.errors import SettingsError

Preset = Annotated[str | None, typer.Option(metavar="NAME", help="A stored preset instead.")]


def history(
    dataset: Dataset = None,
    preset: Preset = None,
    count: Annotated[int, typer.Option(parser=whole(1, 10_000), metavar="NUMBER", help="Most changes to print.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Show who changed the weights, when and why, the newest first: of all, or of one dataset or preset.

    What changed is in points: hundredths of the whole. What others store (a plain SET) leaves no trace here.
    """
    name = _name(dataset, preset)

    async def work() -> list[Change]:
        found: list[Change] = []
        async with open_desk() as desk:
            async for change in RedisWeightsWriter(desk.client, desk.keys).history():
                if name in {None, change.name}:
                    found.append(change)
                    if len(found) == count:
                        break
        return found

    _print_history(run_async(work), as_json=as_json)


def rollback(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="A version of the history.")] = None,
    dataset: Dataset = None,
    preset: Preset = None,
    reason: Reason = "",
    timeout: Timeout = TIMEOUT_S,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Undo the last change of the global weights, of a dataset's or of a preset's, or go back to a VERSION.

    Undo again, and it goes on further back; it never toggles. What was undone comes back by its VERSION. Every rollback
    is itself a change in the history, and one to a VERSION can be undone.
    """
    check_version(version)
    name = _name(dataset, preset)
    order = WantedChange(None, user(), reason)
    storing = Storing(name, wait_s=timeout if wait else None, as_json=as_json)
    make_change(lambda writer: roll_back(writer, name, order, version=version), storing)


def _name(dataset: str | None, preset: str | None) -> str | None:
    """Name the weights key that options mean."""
    if preset is None:
        return check_dataset(dataset)
    if dataset is not None:
        raise SettingsError("--dataset and --preset exclude each other; accepted: one of them")
    if not NAME_PATTERN.fullmatch(preset):
        raise SettingsError(f"--preset {preset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return preset_name(preset)


def _print_history(changes: list[Change], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(change) for change in changes])
    elif not changes:
        print_text("no change is in the history")
    else:
        for change in changes:
            _print_change(change)


def _print_change(change: Change) -> None:
    """Print a change on two lines: none of its words is cut, however narrow the terminal is."""
    versions = f"{change.version_before or 'none'} -> {change.version_after or 'none'}"
    notes = [change.reason] if change.reason else []
    if change.until_ms is not None:
        notes.append(f"until {time_text(change.until_ms)}")
    if change.lapsed_ms is not None:
        notes.append(f"no return at {time_text(change.lapsed_ms)}")
    print_text(f"{time_text(change.at_ms)}  {change.name or 'global'}  {versions}  by {change.who}")
    print_text(f"    {'; '.join([moves_text(change), *notes])}")


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
