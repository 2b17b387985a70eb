"""Mixes that somebody made elsewhere: what a document of JSON or YAML says that a training should hear.

Our own shape is `{"weights": {"voice": 0.7, ...}}`, or phases one after the other:
`{"phases": [{"name": "warm-up", "until": {"chunks": 1e6}, "weights": {...}}, ...]}`. Other tools write other shapes,
which `worker.core.adjust.weight_lists` reads. A document names sources as its own tool does.
`worker.core.adjust.sources` decides which category of the library a source is.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from worker.core.adjust.values import shown
from worker.core.adjust.weight_lists import SHAPES, Source, plain_sources, read_sources
from worker.errors import WeightsError

UNITS: Final = ("chunks", "requests", "hours")
"""What a phase may last by."""

ACCEPTED: Final = (
    'an object of weights, {"weights": {...}}, {"phases": [{"name", "until", "weights"}]}, or the output of '
    f"{', '.join(SHAPES)}"
)
_MOST_PHASES: Final = 1000
_MOST_AMOUNT: Final = 1e18
_LONGEST_NAME: Final = 200
_PHASES, _WEIGHTS, _UNTIL, _NAME = "phases", "weights", "until", "name"


class Until(NamedTuple):
    """Where a phase ends.

    Attributes:
        unit: One of `UNITS`.
        amount: How much of it was heard by then, since the first phase began; finite and above 0.
    """

    unit: str
    amount: float


class Phase(NamedTuple):
    """A part of a training with weights of its own.

    Attributes:
        name: Its name; empty where the document has no phases.
        sources: What is heard in it; at least one weighs something.
        until: Where it ends; None: it does not. Only the last phase has none.
    """

    name: str
    sources: Sequence[Source]
    until: Until | None = None


def phases_of(document: object) -> tuple[Phase, ...]:
    """Read the phases of a mix, at least one.

    Args:
        document: What JSON or YAML holds: objects, lists, texts, numbers.

    Raises:
        WeightsError: It is no mix. The sentence says what was wrong, and what is accepted.
    """
    if isinstance(document, Mapping) and isinstance(document.get(_PHASES), Sequence):
        phases = tuple(_read_phases(document[_PHASES]))
        _check_order(phases)
        return phases
    if isinstance(document, Mapping) and isinstance(document.get(_WEIGHTS), Mapping):
        return (_phase("", plain_sources(document[_WEIGHTS])),)
    found = read_sources(document)
    if found is None:
        raise WeightsError(f"this is no mix; accepted: {ACCEPTED}")
    return (_phase("", found),)


def schedule_of(phases: Sequence[Phase], weights: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Write phases as parameters of the rule `schedule`: each begins where the one before it ends.

    Args:
        phases: The phases, as `phases_of` returns them.
        weights: Category -> weight, of each phase.
    """
    ends = [phase.until for phase in phases if phase.until is not None]
    starts = [0.0, *(until.amount for until in ends)]
    points = [{"at": at, "weights": dict(one)} for at, one in zip(starts, weights, strict=False)]
    return {"points": points, "unit": ends[0].unit if ends else UNITS[0]}


def _phase(name: str, sources: Sequence[Source], until: Until | None = None) -> Phase:
    if not all(math.isfinite(source.weight) for source in sources):
        raise WeightsError("a weight that is made of several is infinite; accepted: finite numbers >= 0")
    if not any(source.weight for source in sources):
        where = f"of phase {shown(name)} " if name else ""
        raise WeightsError(f"all weights {where}are zero; accepted: at least one above zero")
    return Phase(name, sources, until)


def _read_phases(listed: Sequence[object]) -> Iterator[Phase]:
    if isinstance(listed, str) or not 0 < len(listed) <= _MOST_PHASES:
        raise WeightsError(f"{_PHASES} is no list of phases; accepted: a list of 1 to {_MOST_PHASES:,}")
    for number, one in enumerate(listed, 1):
        if not isinstance(one, Mapping) or not isinstance(one.get(_WEIGHTS), Mapping):
            raise WeightsError(f'phase {number} has no weights; accepted: {{"name", "until", "weights": {{...}}}}')
        name = one.get(_NAME, str(number))
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise WeightsError(
                f"the name of phase {number} is {shown(name)}; accepted: 1 to {_LONGEST_NAME} characters"
            )
        until = one.get(_UNTIL)
        yield _phase(name, plain_sources(one[_WEIGHTS]), None if until is None else _until(name, until))


def _until(name: str, until: object) -> Until:
    """Read where a phase ends."""
    if isinstance(until, Mapping) and len(until) == 1:
        [(unit, amount)] = until.items()
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if unit in UNITS and is_number and 0 < amount <= _MOST_AMOUNT:
            return Until(unit, float(amount))
    what = f"one of {', '.join(UNITS)} and a number above 0, such as {{'chunks': 1000000}}"
    raise WeightsError(f"until of phase {shown(name)} is {shown(until)}; accepted: {what}")


def _check_order(phases: Sequence[Phase]) -> None:
    """Refuse phases that cannot follow one another."""
    for name, count in Counter(phase.name for phase in phases).items():
        if count > 1:
            raise WeightsError(f"phase {shown(name)} is there {count} times; accepted: each name once")
    for phase, after in pairwise(phases):
        if phase.until is None:
            raise WeightsError(f"phase {shown(phase.name)} has no until; accepted: only the last phase has none")
        if after.until is not None and after.until.unit != phase.until.unit:
            told = f"phases last by {phase.until.unit} and by {after.until.unit}"
            raise WeightsError(f"{told}; accepted: one of {', '.join(UNITS)} for all")
        if after.until is not None and after.until.amount <= phase.until.amount:
            told = f"phase {shown(after.name)} ends at {after.until.amount:,.15g} {after.until.unit}"
            raise WeightsError(f"{told}, and the one before it at {phase.until.amount:,.15g}; accepted: ends that grow")
