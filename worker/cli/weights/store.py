"""`weights set` and `remove`; and what every verb does that stores weights."""

import getpass
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import typer

from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.admin.weights import Applied, carry_out, time_text, wait_until_applied
from worker.admin.weights_in_use import try_to_find_ready
from worker.cli.context import (
    AsJson,
    Dataset,
    check_dataset,
    open_desk,
    print_json,
    print_text,
    run_async,
    shares_text,
)
from worker.cli.mix import Mix, look_at_mix, until_text
from worker.cli.numbers import LONGEST_S, decimal
from worker.cli.output import complain
from worker.cli.typed_weights import span_ms, temper, values_from_words, weights_json
from worker.core.weights.changes import StoredWeights, WantedChange
from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of, source_of
from worker.core.weights.temporary import Return
from worker.core.weights.values import parse_weights
from worker.errors import SettingsError, WeightsError

_VERSION = re.compile("[0-9a-f]{12}")

Words = Annotated[list[str] | None, typer.Argument(metavar="[CATEGORY=WEIGHT]...", help="Others weigh 0.")]
Temperature = Annotated[
    float | None,
    typer.Option(
        parser=decimal(0, 1000),
        metavar="NUMBER",
        help="Store each weight to this power: 0 evens out the categories that weigh anything, 1 keeps.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
IfVersion = Annotated[
    str | None, typer.Option(metavar="VERSION", help="Store only if this version is in force; status 1 if not.")
]
Lasts = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="90s, 30m, 2h, 1d: then what stood before returns, by any live worker."),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until all live workers have applied it; status 1 if they have not.")
]
Timeout = Annotated[
    float, typer.Option(parser=decimal(0.1, LONGEST_S), metavar="SECONDS", help="Longest wait, in seconds.")
]
TIMEOUT_S = 15.0  # longer than a worker that was killed is listed


@dataclass(frozen=True, slots=True)
class Storing:
    """Say whose weights are stored and under which conditions, as options say it.

    Attributes:
        name: A dataset, a preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
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


class Made(NamedTuple):
    """Hold what came of a change.

    Attributes:
        change: The change.
        applied: Who has applied it; None where that was not waited for.
        mix: What it leaves out.
        pending: The return that is to come from now on.
    """

    change: Change
    applied: Applied | None
    mix: Mix
    pending: Return | None


def set_(
    weights: Words = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    reason: Reason = "",
    *,
    lasts: Lasts = None,
    if_version: IfVersion = None,
    timeout: Timeout = TIMEOUT_S,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Store weights and ring the bell in one step: they are in force for the next request.

    With --temperature and without weights, it is applied to those in force. Warns of categories without READY chunks.
    """
    if not weights and temperature is None:
        raise SettingsError("no weights are given; accepted: category=weight, such as voice=0.7, or --temperature")
    value = words_json(weights, temperature) if weights else None
    storing = Storing(check_dataset(dataset), reason, lasts, if_version, timeout if wait else None, as_json)
    store(lambda found: value or tempered(found, temperature), storing)


def remove(
    dataset: Dataset = None,
    reason: Reason = "",
    if_version: IfVersion = None,
    timeout: Timeout = TIMEOUT_S,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Remove the weights that were set: the defaults hold again, or for a dataset the global weights."""
    store(lambda _: None, Storing(check_dataset(dataset), reason, None, if_version, timeout if wait else None, as_json))


def words_json(words: list[str], temperature: float | None) -> str:
    """Read weights as people type them, and write them as their key holds them.

    Raises:
        WeightsError: They are not accepted.
    """
    text = weights_json(values := values_from_words(words))
    if not any(values.values()):
        wanted = "at least one above zero, or `weights remove` to end those that are set"
        raise WeightsError(f"all weights are zero; accepted: {wanted}")
    return text if temperature is None else weights_json(temper(values, temperature))


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

    def order(found: StoredWeights) -> WantedChange:
        return WantedChange(make(found), who, storing.reason, lasts_ms, storing.lasts or "")

    async def work(writer: RedisWeightsWriter) -> Change:
        return await carry_out(writer, storing.name, order, if_version=storing.if_version)

    make_change(work, storing)


def make_change(work: Callable[[RedisWeightsWriter], Awaitable[Change]], storing: Storing) -> None:
    """Make a change, wait until it is applied where that is wanted, and print what came of it.

    Args:
        work: Makes it.
        storing: Whose, and how.
    """

    async def run() -> Made:
        async with open_desk() as desk:
            stats = RedisStats(desk.client, desk.keys)
            worker_keys = [] if storing.wait_s is None else await stats.worker_keys()
            ready = await try_to_find_ready(desk.client, desk.keys, desk.settings)
            writer = RedisWeightsWriter(desk.client, desk.keys, defaults=lambda: ready.defaults)
            change, applied = await work(writer), None
            if storing.wait_s is not None:
                applied = await wait_until_applied(stats, worker_keys, change, timeout_s=storing.wait_s)
            found = await writer.look(storing.name)
            return Made(change, applied, look_at_mix(found.in_force.weights.shares, ready), found.pending)

    made = run_async(run)
    if storing.as_json:
        print_json(_document(made))
    else:
        _print_change(made)
    for sentence in made.mix.warnings:
        complain(sentence)
    if made.applied is not None:
        _tell_applied(made.applied, storing)


def check_version(version: str | None) -> None:
    """Refuse what is no version.

    Raises:
        SettingsError: The sentence says what is accepted.
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise SettingsError(f"{version!r} is no version; accepted: 12 hex digits, as `weights history` prints them")


def user() -> str:
    """Tell who runs this; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid {os.getuid()}"


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
    """Say how many workers have applied it; one that has not is status 1."""
    holders = len(applied.applied) + len(applied.missing)
    if not holders + len(applied.unasked):
        complain("the weights are stored, but no worker is alive, so that none has applied it")
        raise typer.Exit(1)
    if applied.missing:
        late = f"applied by {len(applied.applied)} of {holders} workers within {storing.wait_s:g} s"
        complain(f"{late}; not by {', '.join(applied.missing)}")
        raise typer.Exit(1)
    if storing.as_json:
        return
    if holders:
        print_text(f"applied by {holders} of {holders} workers in {applied.took_s * 1000:.0f} ms")
    if applied.unasked:
        have = "worker has" if len(applied.unasked) == 1 else "workers have"
        rest = f"{len(applied.unasked)} {have} not been asked for this dataset lately"
        print_text(f"{rest}: they read its weights with the first request")
