"""Weights as a client shows and changes them, as plain values."""

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypedDict, get_type_hints

from worker.errors import WeightsError

Values = Mapping[str, float] | Iterable[tuple[str, float]]
"""Category -> finite number >= 0, such as `{"voice": 0.7, "music": 0.2}`; also a `worker.models.CategoryWeights`."""

WAIT_S: Final = 15.0
_LONGEST_WAIT_S: Final = 86_400
_LONGEST_S: Final = 366 * 86_400
_VERSION: Final = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsInForce:
    """The weights that workers draw under.

    Attributes:
        dataset: The dataset whose own weights they are; None: they are the global ones.
        weights: Category -> weight, each > 0, summing to 1; None if that is not known here.
        version: Their version, a `weights_version` of samples.
        source: Where they come from, a `weights_source` of samples; empty if not known.
        workers: Workers that draw under them; empty: a worker that is asked now would.
        others: Version -> workers that draw under other weights, as for a moment after each change.
        who: Who set them; None if the history does not say.
        reason: Why.
        set_at_ms: When, Unix time in ms.
        until_ms: When these temporary weights end, Unix time in ms; None: they are not temporary.
        problem: Why what the key holds is refused, so that older weights stay in force; None: it is not.
        left_out: Category -> weight, of those without a READY chunk; None where that is not known.
        unweighted: Categories with READY chunks that have no weight, as far as they are known: nobody hears them.
        warnings: What is left out, in sentences.
    """

    dataset: str | None
    weights: Mapping[str, float] | None
    version: str
    source: str
    workers: tuple[str, ...]
    others: Mapping[str, tuple[str, ...]]
    who: str | None
    reason: str | None
    set_at_ms: int | None
    until_ms: int | None
    problem: str | None
    left_out: Mapping[str, float] | None
    unweighted: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsChange:
    """One change of weights, as the history has it; and what came of it, if this client has made it.

    Attributes:
        entry: Id of its entry in the history.
        dataset: Whose weights; None: the global ones, or a preset's.
        preset: Whose weights; None: no preset's.
        who: Who made it.
        reason: Why.
        at_ms: When, Unix time in ms by the clock of Redis.
        version: Version of the weights by this key since then; None if it has none of its own.
        version_before: The same, before.
        before: Category -> weight before; empty if there were none of its own, or they are not known.
        after: The same, after.
        until_ms: When these temporary weights end, Unix time in ms; None: they are not temporary.
        applied_by: Workers that have applied it; None where that was not waited for.
        missing: Workers that had not when the wait ended.
        unasked: Workers that were not asked for this dataset lately; they read its weights with the first request.
        waited_ms: How long that took.
        left_out: Category -> weight, of those without a READY chunk; None where that is not known.
        warnings: What is not as wanted, in sentences.
    """

    entry: str
    dataset: str | None
    preset: str | None
    who: str
    reason: str
    at_ms: int
    version: str | None
    version_before: str | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    until_ms: int | None = None
    applied_by: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    waited_ms: float | None = None
    left_out: Mapping[str, float] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Weights by name.

    Attributes:
        name: The name, as `sample(preset=...)` takes it.
        is_built_in: Whether it is built in; otherwise somebody has stored it.
        weights: Category -> weight; None if not known: what is stored is refused, or what is READY is not known.
        version: Their version.
    """

    name: str
    is_built_in: bool
    weights: Mapping[str, float] | None
    version: str | None


class RollBackOptions(TypedDict, total=False):
    """The keyword arguments of every change of weights.

    Attributes:
        preset: Change this preset, and not the weights in force.
        reason: Why, for the history.
        who: Who wants it, for the history; default: the user who runs this process.
        wait: Whether to wait until all live workers have applied it; default: True.
        timeout_s: Longest such wait, in seconds; default: 15.
    """

    preset: str | None
    reason: str | None
    who: str | None
    wait: bool
    timeout_s: float


class RemoveOptions(RollBackOptions, total=False):
    """The keyword arguments of `remove_weights`.

    Attributes:
        if_version: Change nothing unless this version is in force.
    """

    if_version: str | None


class SetOptions(RemoveOptions, total=False):
    """The keyword arguments of `set_weights`.

    Attributes:
        for_s: How long these weights last, in seconds; then the previous ones return. None: for good.
    """

    for_s: float | None


class Wanted(NamedTuple):
    """The options of a change, checked; see `SetOptions`.

    Attributes:
        wait_s: How long to wait until workers have applied it; None: not at all.
    """

    preset: str | None
    reason: str
    who: str | None
    if_version: str | None
    for_s: float | None
    wait_s: float | None


def check_options(options: Mapping[str, Any], accepted: type) -> Wanted:
    """Check the options of a change.

    Args:
        options: What was given.
        accepted: One of the classes of options above.

    Raises:
        TypeError: An option is not known, or of another type.
        WeightsError: A value is not accepted.
    """
    names = get_type_hints(accepted)
    if unknown := options.keys() - names.keys():
        raise TypeError(f"{min(unknown)} is not an argument; accepted: {', '.join(names)}")
    texts = {name: check_text(name, options.get(name)) for name in ("preset", "reason", "who", "if_version")}
    version = texts["if_version"]
    if version is not None and not _VERSION.fullmatch(version):
        raise WeightsError(f"if_version is {version!r}; accepted: 12 hex digits, as a sample and weights() have them")
    wait = options.get("wait", True)
    if not isinstance(wait, bool):
        raise TypeError(f"wait is {wait!r}; accepted: True or False")
    timeout_s = _seconds("timeout_s", options.get("timeout_s", WAIT_S), _LONGEST_WAIT_S)
    for_s = options.get("for_s")
    lasts_s = None if for_s is None else _seconds("for_s", for_s, _LONGEST_S)
    return Wanted(texts["preset"], texts["reason"] or "", texts["who"], version, lasts_s, timeout_s if wait else None)


def check_text(name: str, value: object) -> str | None:
    """Return a text or None as it is.

    Raises:
        TypeError: It is neither.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{name} is {value!r}; accepted: a text")


def plain_pairs(weights: Values) -> list[tuple[object, object]]:
    """Return weights as pairs, with plain numbers for those of NumPy and PyTorch.

    Raises:
        WeightsError: These are no weights.
    """
    try:
        pairs = list(weights.items() if isinstance(weights, Mapping) else weights)
        return [(name, _plain(value)) for name, value in pairs]
    except (TypeError, ValueError):
        wanted = 'a dict, such as {"voice": 0.7, "music": 0.2}'
        raise WeightsError(f"{ascii(weights)[:80]} are no weights; accepted: {wanted}") from None


def _plain(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    return float(value) if isinstance(value, numbers.Real) else value


def _seconds(name: str, value: object, largest: float) -> float:
    accepted = f"seconds from 0.001 to {largest:,}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}; accepted: {accepted}")
    seconds = float(value)
    if math.isfinite(seconds) and 0.001 <= seconds <= largest:  # noqa: PLR2004 - what Redis can tell apart
        return seconds
    raise WeightsError(f"{name} is {value!r}; accepted: {accepted}")
