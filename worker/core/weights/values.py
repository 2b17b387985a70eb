"""Weights: how much of each category a training should hear, as an immutable, versioned snapshot."""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from worker.core.keys import CATEGORY_PATTERN, NAME_PATTERN
from worker.errors import WeightsError

BUILT_IN: Final = ("voice", "music", "documentary", "conference", "custom")
DEFAULTS: Final[Mapping[str, float]] = MappingProxyType(
    {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1, "custom": 0.0}
)
MAX_CATEGORIES = 10_000
MAX_BYTES = 1 << 20
ABSENT: Final = b"absent"
WRONG_TYPE: Final = b"wrong type"
_PRESET: Final = "preset:"
_DECIMALS = 9
_LEAST_SHARE = 1e-10
_NORMALISED = 1e-12  # so near to 1 is what rounding leaves of it: weights that were normalised stay what they are
_SCALE_DOWN = -64  # a power of two, which is exact: so that the sum of the largest numbers is finite


@dataclass(frozen=True, eq=False)
class Weights:
    """Hold normalised weights.

    Attributes:
        shares: Category -> weight, each > 0, summing to 1.
        source: Where they come from, a `weights_source` of the wire contract.
    """

    shares: Mapping[str, float]
    source: str

    @cached_property
    def rounded(self) -> Mapping[str, float]:
        """Round them as their version knows them; one that rounds to zero stays, as zero."""
        return {name: round(share, _DECIMALS) for name, share in self.shares.items()}

    @cached_property
    def text(self) -> str:
        """Write them as JSON: zero weights left out, rounded to 9 decimals, keys sorted, no spaces."""
        return json.dumps(self.rounded, sort_keys=True, separators=(",", ":"))

    @property
    def exact_text(self) -> str:
        """Write them as JSON to the last bit: read again, they have the same version."""
        return json.dumps(dict(self.shares), separators=(",", ":"))

    def drawn_share(self, category: str) -> float:
        """Tell a category's share in draws, > 0, by the rounded weights: equal versions draw alike."""
        return self.rounded[category] or _LEAST_SHARE

    @cached_property
    def version(self) -> str:
        """Tell the version: the first 12 hex digits of the SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Held:
    """Hold what is known of one weights key.

    Attributes:
        mark: What the key held when it was last read: the SHA-1 of its value in hex, `ABSENT` or `WRONG_TYPE`.
        weights: The weights in force by this key; None while it has none.
    """

    mark: bytes
    weights: Weights | None


UNREAD: Final = Held(b"", None)


NO_WEIGHTS: Final = Weights(MappingProxyType({}), "preset")


class InForce(NamedTuple):
    """Hold the weights in force by one name, with what they were read from.

    Attributes:
        dataset: Whose weights these are: a dataset with weights of its own, a preset (see `preset_name`), or None for
            the global ones.
        weights: The weights; those of a preset that nobody stored are `NO_WEIGHTS`.
        marks: Key's name -> mark, of each key that decided it; settling holds the keys against them.
    """

    dataset: str | None
    weights: Weights
    marks: tuple[tuple[str | None, bytes], ...]


def parse_weights(value: bytes, source: str) -> Weights | None:
    """Read a weights value.

    Args:
        value: A JSON object category -> weight.
        source: Where it comes from.

    Returns:
        The weights, or None when all are zero, which means none.

    Raises:
        WeightsError: It is not valid; the sentence says why and what is accepted.
    """
    if len(value) > MAX_BYTES:
        raise WeightsError(f"the value has {len(value)} bytes; accepted: at most {MAX_BYTES}")
    try:
        pairs = json.loads(value.decode(), object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the value is not JSON ({error}); accepted: {_ACCEPTED}") from None
    if not isinstance(pairs, _Pairs):
        raise WeightsError(f"the value is not a JSON object; accepted: {_ACCEPTED}")
    return normalise(dict(_checked(pairs)), source)


def normalise(values: Mapping[str, float], source: str) -> Weights | None:
    """Scale weights to sum 1, leaving zeros out.

    Args:
        values: Category -> finite number >= 0.
        source: Where they come from.

    Returns:
        The weights, or None when all are zero.
    """
    try:
        total = math.fsum(values.values())
    except OverflowError:
        return normalise({name: math.ldexp(value, _SCALE_DOWN) for name, value in values.items()}, source)
    if total == 0:
        return None
    if abs(total - 1.0) <= _NORMALISED:
        total = 1.0
    shares = {name: values[name] / total for name in sorted(values)}
    return Weights(MappingProxyType({name: share for name, share in shares.items() if share > 0}), source)


@cache
def default_weights() -> Weights:
    """Make the weights that hold where nobody set any."""
    weights = normalise(DEFAULTS, "default")
    assert weights is not None  # noqa: S101 - the defaults are not all zero
    return weights


def defaults_for(ready: Collection[str]) -> Weights:
    """Make the weights that hold where nobody set any, for a library.

    Where none of the categories that the defaults weigh has READY chunks, all that have some weigh alike. Else a
    library of other categories could not answer a request before somebody has set weights.

    Args:
        ready: Categories that have READY chunks; of more than `MAX_CATEGORIES` no weights can be made.
    """
    if not 0 < len(ready) <= MAX_CATEGORIES or any(name in ready for name in default_weights().shares):
        return default_weights()
    weights = normalise(dict.fromkeys(ready, 1.0), "default")
    assert weights is not None  # noqa: S101 - there is a category, and none is zero
    return weights


@lru_cache(maxsize=1024)
def single_category(category: str) -> Weights:
    """Make the weights of a request that names its category."""
    return Weights(MappingProxyType({category: 1.0}), "category")


def mark_of(value: bytes | None) -> bytes:
    """Tell the mark of a key's value; None stands for an absent key."""
    return ABSENT if value is None else hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()


def observe(held: Held, mark: bytes, value: bytes | None, source: str) -> tuple[Held, str | None]:
    """Take in what a weights key holds now.

    Args:
        held: What was known of the key.
        mark: The mark of what it holds now.
        value: Its value; None when absent or of a wrong type.
        source: Whose key it is, see `source_of`.

    Returns:
        What is known now, and why the value was refused (None when it was not).
    """
    if mark == held.mark:
        return held, None
    if mark == ABSENT:
        return Held(mark, None), None
    try:
        return Held(mark, _parse_held(value, source)), None
    except WeightsError as error:
        last = held.weights
        return Held(mark, last and replace(last, source="last_known")), str(error)


def preset_name(preset: str) -> str:
    """Name a preset among the weights keys: no dataset has a colon in its name."""
    return f"{_PRESET}{preset}"


def is_weights_name(name: str) -> bool:
    """Tell whether a dataset or a preset (see `preset_name`) can have this name."""
    return NAME_PATTERN.fullmatch(name.removeprefix(_PRESET)) is not None


def preset_of(name: str | None) -> str:
    """Tell the preset that a weights key belongs to; empty where it is none's."""
    return name.removeprefix(_PRESET) if source_of(name) == "preset" and name is not None else ""


def source_of(name: str | None) -> str:
    """Tell the `weights_source` of what a weights key holds.

    Args:
        name: A dataset, a preset (see `preset_name`), or None for the global weights.
    """
    if name is None:
        return "redis"
    return "preset" if name.startswith(_PRESET) else "dataset"


def in_force(dataset: str | None, own: Held | None, shared: Held, defaults: Weights | None = None) -> InForce:
    """Decide which weights hold for a dataset: its own, or the global ones behind; behind a preset there are none.

    Args:
        dataset: The dataset asked for, or a preset (see `preset_name`); None for the global weights.
        own: What is known of its key; None for the global weights.
        shared: What is known of the global key.
        defaults: What holds where nobody set any, see `defaults_for`; None: the built-in ones.
    """
    marks: tuple[tuple[str | None, bytes], ...] = ()
    if own is not None:
        marks = ((dataset, own.mark),)
        if own.weights is not None:
            return InForce(dataset, own.weights, marks)
        if source_of(dataset) == "preset":
            return InForce(None, NO_WEIGHTS, marks)  # counted below no name: anybody may make up any number of them
    return InForce(None, shared.weights or defaults or default_weights(), (*marks, (None, shared.mark)))


def _parse_held(value: bytes | None, source: str) -> Weights | None:
    if value is None:
        raise WeightsError(f"the key does not hold a string; accepted: {_ACCEPTED}")
    return parse_weights(value, source)


_ACCEPTED = 'an object of category names and finite numbers >= 0, such as {"voice": 0.7, "music": 0.2}'


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, repeated names included."""


def _refuse_constant(name: str) -> float:
    raise WeightsError(f"a weight is {name}; accepted: finite numbers >= 0")


def _checked(pairs: _Pairs) -> dict[str, float]:
    if len(pairs) > MAX_CATEGORIES:
        raise WeightsError(f"the object has {len(pairs)} categories; accepted: at most {MAX_CATEGORIES}")
    values: dict[str, float] = {}
    for name, value in pairs:
        shown = ascii(name)[:80]
        if not CATEGORY_PATTERN.fullmatch(name):
            raise WeightsError(f"{shown} is not a category name; accepted: [a-z0-9_-], 1 to 64 characters")
        if name in values:
            raise WeightsError(f"{shown} is given twice; accepted: each category once")
        values[name] = _number(shown, value)
    return values


def _number(shown: str, value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WeightsError(f"the weight of {shown} is not a number; accepted: finite numbers >= 0")
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise WeightsError(f"the weight of {shown} is {number}; accepted: finite numbers >= 0")
    return number
