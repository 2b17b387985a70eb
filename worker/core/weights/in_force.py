"""The weights in force by a name: what the weights keys in Redis hold, and which of them decides.

A *weights name* is a dataset, a preset (`preset:<name>`), or None for the global weights. Each name has one key.

1. A key that holds a valid value puts it in force. A key that is absent, or all zero, puts nothing in force.
2. A key whose value is refused keeps the last valid weights in force; their source becomes `last_known`.
3. A dataset without weights of its own uses the global ones; the global weights fall back to the defaults. A preset
   falls back to nothing: a request that names it is refused.

A *mark* identifies what a key held: the SHA-1 of its value, `ABSENT`, or `WRONG_TYPE`. `InForce` lists the marks of all
keys that decided. Settling compares them with the keys, so no result is written under weights that have changed.

A value that begins with a space is *positioned*: a rule stored it that moves weights by what was heard. What is drawn
under it is counted, and is not settled once a bound is met; `worker.core.stats.heard` says why that is exact.
"""

import hashlib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from worker.core.keys import NAME_PATTERN
from worker.core.weights.values import ACCEPTED, Weights, default_weights, parse_weights
from worker.errors import WeightsError

ABSENT: Final = b"absent"
WRONG_TYPE: Final = b"wrong type"
POSITIONED: Final = " "
"""Start of a value whose draws are counted. JSON allows it, and nobody writes it by chance."""
NO_WEIGHTS: Final = Weights(MappingProxyType({}), "preset")
_PRESET: Final = "preset:"


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one weights key.

    Attributes:
        mark: What the key held when it was last read: the SHA-1 of its value in hex, `ABSENT` or `WRONG_TYPE`.
        weights: The weights in force by this key; None while it has none.
        is_positioned: Whether the value is positioned.
    """

    mark: bytes
    weights: Weights | None
    is_positioned: bool = False


UNREAD: Final = Held(b"", None)


class InForce(NamedTuple):
    """The weights in force under one name, and the keys that decided so.

    Attributes:
        dataset: The name that the weights belong to: a dataset with weights of its own, a preset (see `preset_name`),
            or None for the global weights.
        weights: The weights; `NO_WEIGHTS` for a preset that nobody stored.
        marks: (weights name, mark) of each key that decided. Settling compares them with the keys.
        is_positioned: Whether the value that is in force is positioned.
    """

    dataset: str | None
    weights: Weights
    marks: tuple[tuple[str | None, bytes], ...]
    is_positioned: bool = False


def mark_of(value: bytes | None) -> bytes:
    """Return the mark of a key's value; None stands for an absent key."""
    return ABSENT if value is None else hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()


def observe(held: Held, mark: bytes, value: bytes | None, source: str) -> tuple[Held, str | None]:
    """Apply what a weights key holds now to what was known of it.

    Args:
        held: What was known of the key.
        mark: The mark of what it holds now.
        value: Its value; None when absent or of a wrong type.
        source: The source of its weights, see `source_of`.

    Returns:
        What is known now, and why the value was refused (None: it was not).
    """
    if mark == held.mark:
        return held, None
    if mark == ABSENT:
        return Held(mark, None), None
    is_positioned = value is not None and value.startswith(POSITIONED.encode()) and source != "preset"
    try:
        return Held(mark, _parse_held(value, source), is_positioned), None
    except WeightsError as error:
        last = held.weights
        return Held(mark, last and replace(last, source="last_known"), is_positioned), str(error)


def preset_name(preset: str) -> str:
    """Return the weights name of a preset. No dataset has a colon in its name."""
    return f"{_PRESET}{preset}"


def is_weights_name(name: str) -> bool:
    """Return whether a dataset or a preset (see `preset_name`) can have this name."""
    return NAME_PATTERN.fullmatch(name.removeprefix(_PRESET)) is not None


def preset_of(name: str | None) -> str:
    """Return the preset of a weights name; empty for other names."""
    return name.removeprefix(_PRESET) if source_of(name) == "preset" and name is not None else ""


def source_of(name: str | None) -> str:
    """Return the `weights_source` of what a weights key holds.

    Args:
        name: A dataset, a preset (see `preset_name`), or None for the global weights.
    """
    if name is None:
        return "redis"
    return "preset" if name.startswith(_PRESET) else "dataset"


def in_force(dataset: str | None, own: Held | None, shared: Held, defaults: Weights | None = None) -> InForce:
    """Decide which weights are in force under a name.

    Args:
        dataset: A dataset, a preset (see `preset_name`), or None for the global weights.
        own: What is known of its key; None for the global weights.
        shared: What is known of the global key.
        defaults: The weights in force while nobody has set any, see `values.defaults_for`; None: the built-in ones.
    """
    marks: tuple[tuple[str | None, bytes], ...] = ()
    if own is not None:
        marks = ((dataset, own.mark),)
        if own.weights is not None:
            return InForce(dataset, own.weights, marks, own.is_positioned)
        if source_of(dataset) == "preset":
            return InForce(None, NO_WEIGHTS, marks)  # not counted under its name: anybody can invent presets
    weights = shared.weights or defaults or default_weights()
    return InForce(None, weights, (*marks, (None, shared.mark)), shared.is_positioned)


def _parse_held(value: bytes | None, source: str) -> Weights | None:
    if value is None:
        raise WeightsError(f"the key does not hold a string; accepted: {ACCEPTED}")
    return parse_weights(value, source)
