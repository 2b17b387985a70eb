"""What `weights remove` does, and what every verb does that stores weights."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import Opened, check_dataset, open_redis
from worker.cli.output import complain
from worker.cli.prefixes import run_in_one, try_in_each
from worker.cli.typed_weights import span_ms, weights_json
from worker.cli.weights.told import Attempt, Outcome, tell, tell_each
from worker.core.weights.changes import StoredWeights, WantedChange
from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of
from worker.core.weights.values import temper
from worker.errors import SettingsError, WeightsError
from worker.settings.environment import user
from worker.weights.change import change_weights
from worker.weights.step import Made, Place, Work, make_change

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
        prefixes: Where, see `worker.cli.prefixes`; none: in that of the settings.
    """

    name: str | None
    reason: str = ""
    lasts: str | None = None
    if_version: str | None = None
    wait_s: float | None = None
    as_json: bool = False
    prefixes: tuple[str, ...] = ()


def because(done: str, reason: str) -> str:
    """Write the reason of a change: what was done, and what its author says of it."""
    return f"{done}: {reason}" if reason else done


def remove_weights(storing: Storing) -> None:
    """Remove the weights that were set, and print what came of it."""
    check_dataset(storing.name)
    held: list[bool] = []

    def nothing(found: StoredWeights) -> None:
        held.append(found.value is not None)

    store(nothing, storing)
    if storing.name is not None and not any(held):
        complain(asyncio.run(_had_none(storing.name, *storing.prefixes[:1])))


async def _had_none(dataset: str, prefix: str | None = None) -> str:
    """Write that a dataset had no weights of its own, and which name is similar."""
    from worker.cli.near import near_dataset  # noqa: PLC0415 - where a name may be mistyped

    async with open_redis(prefix=prefix) as opened:
        return f"dataset {dataset} had no weights of its own{await near_dataset(opened, dataset)}"


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
    lasts_ms, who = check_storing(storing), user()

    def wanted(found: StoredWeights) -> WantedChange:
        return WantedChange(make(found), who, storing.reason, lasts_ms, storing.lasts or "")

    async def work(writer: RedisWeightsWriter) -> Change:
        return await change_weights(writer, storing.name, wanted, if_version=storing.if_version)

    tell_change(work, storing)


def check_storing(storing: Storing) -> int | None:
    """Check how weights are to be stored; return how long they last, in ms.

    Raises:
        SettingsError: The version is none.
        WeightsError: The time span is none.
    """
    check_version(storing.if_version)
    return None if storing.lasts is None else span_ms(storing.lasts)


def tell_change(work: Work, storing: Storing) -> None:
    """Make a change, wait until it is applied where that is wanted, and print what came of it.

    Args:
        work: Makes it.
        storing: Whose, and how.
    """
    attempts = {prefix: Attempt(work) for prefix in storing.prefixes}

    async def run(opened: Opened) -> Made:
        attempt = attempts.setdefault(opened.keys.prefix, Attempt(work))
        place = Place(opened.client, opened.keys, opened.settings)
        made = await make_change(place, storing.name, attempt.make, storing.wait_s)
        return await _with_doubt(opened, made)

    if len(storing.prefixes) > 1:
        found = zip(storing.prefixes, try_in_each(storing.prefixes, run), strict=True)
        outcomes = [Outcome(prefix, made, attempts[prefix].is_stored(made)) for prefix, made in found]
        tell_each(outcomes, storing.wait_s, as_json=storing.as_json)
    else:
        tell(run_in_one(storing.prefixes, run), storing.wait_s, as_json=storing.as_json)


async def _with_doubt(opened: Opened, made: Made) -> Made:
    """Add a warning if a dataset has weights of its own for the first time, and another may be meant."""
    change = made.change
    if change.before or not change.after or change.name is None or preset_of(change.name):
        return made
    from worker.cli.near import near_dataset  # noqa: PLC0415 - where a name may be mistyped

    if not (near := await near_dataset(opened, change.name)):
        return made
    doubt = f"dataset {change.name} had no weights of its own before{near}"
    return made._replace(mix=replace(made.mix, warnings=(*made.mix.warnings, doubt)))


def check_version(version: str | None) -> None:
    """Refuse what is not a version.

    Raises:
        SettingsError: The sentence says what is accepted.
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise SettingsError(f"{version!r} is no version; accepted: 12 hex digits, as `weights history` prints them")
