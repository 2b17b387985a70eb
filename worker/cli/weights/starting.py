"""What `weights set` does, and what it and `weights preview` make weights of: words, or sizes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from worker.cli.context import Opened, check_dataset
from worker.cli.output import complain
from worker.cli.prefixes import run_in_one
from worker.cli.typed_weights import weights_json, words_json
from worker.cli.weights.store import Storing, because, store, tempered
from worker.core.weights.left_out import named
from worker.errors import SettingsError
from worker.settings.servers import Server, ServerSettings
from worker.weights.in_use import live_workers, unit_of

if TYPE_CHECKING:
    from worker.weights.sizes import Sizes

_BOTH: Final[tuple[Server, ...]] = ("redis", "database")
_UNITS = {"chunks": "chunks", "hours": "seconds"}
"""The unit of sizes, and that of weights which fits it."""


@dataclass(frozen=True, slots=True)
class Start:
    """What weights are made of, by the options of the same names.

    Attributes:
        words: Weights as people type them.
        temperature: The power that weights or sizes are raised to; None: as they are.
        proportional: Whether to go by sizes.
        by: The unit of sizes, `chunks` or `hours`; None: the one that fits the unit of weights.
        unimax: How often a category may repeat; None: it is not by UniMax.
        budget: How much is heard in all.
    """

    words: Sequence[str] = ()
    temperature: float | None = None
    proportional: bool = False
    by: str | None = None
    unimax: float | None = None
    budget: float | None = None

    @property
    def is_by_size(self) -> bool:
        """Whether the sizes of categories decide.

        Raises:
            SettingsError: The options do not go together.
        """
        has_unimax = self.unimax is not None
        if has_unimax != (self.budget is not None):
            raise SettingsError("--unimax and --budget go together; accepted: both, such as --unimax 8 --budget 1e6")
        if not self.proportional and self.by is None and not has_unimax:
            return False
        if self.words:
            raise SettingsError("weights are given, and options that go by sizes; accepted: one of the two")
        if has_unimax and (self.proportional or self.temperature is not None):
            raise SettingsError("--unimax excludes --proportional and --temperature; accepted: one of them")
        if not has_unimax and not self.proportional and self.temperature is None:
            raise SettingsError("--by alone says nothing; accepted: with --proportional, --temperature or --unimax")
        return True


class Weighed(NamedTuple):
    """Weights that are made of sizes.

    Attributes:
        weights: Category -> share.
        reason: How they were made, for the history.
        notes: Sentences about what is left out, and what is not kept.
    """

    weights: Mapping[str, float]
    reason: str
    notes: Sequence[str]


def set_weights(start: Start, storing: Storing) -> None:
    """Store weights, and print what came of it.

    Args:
        start: What they are made of.
        storing: Whose, and how.

    Raises:
        SettingsError: The options do not go together, or say nothing.
    """
    check_dataset(storing.name)
    if start.is_by_size:
        _set_by_size(start, storing)
        return
    words, temperature = start.words, start.temperature
    if not words and temperature is None:
        wanted = "category=weight, such as voice=0.7, or --temperature, --proportional or --unimax"
        raise SettingsError(f"no weights are given; accepted: {wanted}")
    value = words_json(words, temperature) if words else None
    store(lambda found: value or tempered(found, temperature), storing)


def _set_by_size(start: Start, storing: Storing) -> None:
    """Store weights that are made of the sizes of categories."""
    settings, unit = _find_unit(storing.prefixes)
    made = asyncio.run(weigh(start, settings, unit))
    for note in made.notes:
        complain(note)
    value = weights_json(made.weights)
    store(lambda _: value, replace(storing, reason=because(made.reason, storing.reason)))


def _find_unit(prefixes: Sequence[str]) -> tuple[ServerSettings, str]:
    """Find the unit of weights: that of the workers, which have to agree.

    Raises:
        RedisError: Redis did not answer, or refused.
        SettingsError: Workers of several prefixes have several units.
    """
    found = [run_in_one([prefix], _look, _BOTH) for prefix in prefixes] or [run_in_one([], _look, _BOTH)]
    if len({unit for _, unit in found}) > 1:
        told = ", ".join(f"{prefix} has {unit}" for prefix, (_, unit) in zip(prefixes, found, strict=True))
        raise SettingsError(f"the unit of weights differs: {told}; accepted: prefixes of one WORKER_WEIGHT_UNIT")
    return found[0]


async def _look(opened: Opened) -> tuple[ServerSettings, str]:
    workers = await live_workers(opened.client, opened.keys)
    return opened.settings, unit_of(workers) or opened.settings.weight_unit


async def weigh(start: Start, settings: ServerSettings, unit: str) -> Weighed:
    """Make weights of the sizes of categories.

    Args:
        start: How; it goes by sizes.
        settings: They name the library.
        unit: The unit of weights.

    Raises:
        PostgresError: PostgreSQL did not answer, or refused.
        WeightsError: No category has a size.
    """
    from worker.core.adjust.starting import proportional  # noqa: PLC0415 - where it is wanted
    from worker.weights.sizes import read_sizes  # noqa: PLC0415 - numpy and asyncpg, here alone

    sizes = await read_sizes(settings, "hours" if _by(start, unit) == "hours" else "chunks")
    if start.unimax is not None and start.budget is not None:
        return _by_unimax(sizes, start.unimax, start.budget, unit)
    power = 1.0 if start.temperature is None else start.temperature
    reason = f"proportional by {sizes.by}" if power == 1 else f"size^{power:g} by {sizes.by}"
    return Weighed(proportional(sizes.sizes, power), reason, sizes.notes)


def chunks_of(start: Start, unit: str) -> int | None:
    """Return how many chunks the budget has; None: it has none, or is not in chunks."""
    if start.budget is None or _by(start, unit) != "chunks":
        return None
    return max(1, round(start.budget))


def _by(start: Start, unit: str) -> str:
    return start.by or next(by for by, fitting in _UNITS.items() if fitting == unit)


def _by_unimax(sizes: "Sizes", most: float, budget: float, unit: str) -> Weighed:
    """Make weights by UniMax, and say where it does not keep what it is asked for."""
    from worker.core.adjust.starting import unimax  # noqa: PLC0415 - where it is wanted

    mix, by, notes = unimax(sizes.sizes, most, budget), sizes.by, list(sizes.notes)
    if not mix.is_within:
        told = f"the budget is more than {most:g} times all {by}"
        notes.append(f"{told}: the weights are proportional, and each repeats {mix.repeats:,.3g} times")
    elif mix.capped:
        notes.append(f"repeated {most:g} times, as often as is allowed: {named(mix.capped)}")
    if unit != _UNITS[by]:
        told = f"weights are shares of {unit} (WORKER_WEIGHT_UNIT), and these are by {by}"
        notes.append(f"{told}: a category can repeat more than {most:g} times where its chunks differ in length")
    return Weighed(mix.shares, f"UniMax by {by}: {most:g} repeats, budget {budget:,.15g}", notes)
