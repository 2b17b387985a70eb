"""Weights: how much of each category a training should hear, as an immutable, versioned value.

A weights value is a JSON object, category -> number. It is normalised once, when it is read: zeros go, the rest sums to
1. Its version is a hash of the weights rounded to 9 decimals, and draws use the rounded weights. So two weights of one
version draw alike.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Final

from worker.core.keys import CATEGORY_PATTERN
from worker.errors import WeightsError

BUILT_IN: Final = ("voice", "music", "documentary", "conference", "custom")
DEFAULTS: Final[Mapping[str, float]] = MappingProxyType(
    {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1, "custom": 0.0}
)
MAX_CATEGORIES = 10_000
MAX_BYTES = 1 << 20
ACCEPTED: Final = 'an object of category names and finite numbers >= 0, such as {"voice": 0.7, "music": 0.2}'
_DECIMALS = 9
_LEAST = 1e-300
_LEAST_SHARE = 1e-10
_NORMALISED = 1e-12  # a sum this near to 1 differs by rounding alone: such weights are normalised already
_SCALE_DOWN = -64  # exponent of a power of two, so scaling is exact; it makes the sum of the largest numbers finite


@dataclass(frozen=True, eq=False)
class Weights:
    """Normalised weights.

    Attributes:
        shares: Category -> weight, each > 0, summing to 1.
        source: Where they come from, a `weights_source` of the wire contract.
    """

    shares: Mapping[str, float]
    source: str

    @cached_property
    def rounded(self) -> Mapping[str, float]:
        """Return the shares rounded to 9 decimals; a share that rounds to zero stays, as zero."""
        return {name: round(share, _DECIMALS) for name, share in self.shares.items()}

    @cached_property
    def text(self) -> str:
        """Write the rounded shares as JSON: keys sorted, no spaces."""
        return json.dumps(self.rounded, sort_keys=True, separators=(",", ":"))

    @property
    def exact_text(self) -> str:
        """Write the shares as JSON to the last bit. Weights read from it have the same version."""
        return json.dumps(dict(self.shares), separators=(",", ":"))

    def drawn_share(self, category: str) -> float:
        """Return the share of a category in draws, > 0. It is the rounded one, so equal versions draw alike."""
        return self.rounded[category] or _LEAST_SHARE

    @cached_property
    def version(self) -> str:
        """Return the version: the first 12 hex digits of the SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def parse_weights(value: bytes, source: str) -> Weights | None:
    """Read a weights value.

    Args:
        value: A JSON object category -> weight.
        source: Where it comes from.

    Returns:
        The weights; None when all are zero, which means that there are none.

    Raises:
        WeightsError: The value is not valid. The sentence says why, and what is accepted.
    """
    return normalise(read_values(value), source)


def read_values(value: bytes) -> dict[str, float]:
    """Read a weights value as it was written, not normalised.

    Args:
        value: A JSON object category -> weight.

    Raises:
        WeightsError: The value is not valid.
    """
    if len(value) > MAX_BYTES:
        raise WeightsError(f"the value has {len(value)} bytes; accepted: at most {MAX_BYTES}")
    try:
        pairs = json.loads(value.decode(), object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the value is not JSON ({error}); accepted: {ACCEPTED}") from None
    if not isinstance(pairs, _Pairs):
        raise WeightsError(f"the value is not a JSON object; accepted: {ACCEPTED}")
    return check_values(pairs)


def check_values(pairs: Sequence[tuple[object, object]]) -> dict[str, float]:
    """Check weights that are not JSON any more.

    Args:
        pairs: Category and weight, a repeated category included.

    Returns:
        Category -> finite number >= 0.

    Raises:
        WeightsError: Workers would refuse them. The sentence says why, and what is accepted.
    """
    if len(pairs) > MAX_CATEGORIES:
        raise WeightsError(f"the object has {len(pairs)} categories; accepted: at most {MAX_CATEGORIES}")
    values: dict[str, float] = {}
    for name, value in pairs:
        shown = ascii(name)[:80]
        if not isinstance(name, str) or not CATEGORY_PATTERN.fullmatch(name):
            raise WeightsError(f"{shown} is not a category name; accepted: [a-z0-9_-], 1 to 64 characters")
        if name in values:
            raise WeightsError(f"{shown} is given twice; accepted: each category once")
        values[name] = check_weight(shown, value)
    return values


def check_weight(shown: str, value: object) -> float:
    """Return a weight, if it is one.

    Args:
        shown: What it is the weight of, in printable form.
        value: What somebody wrote.

    Raises:
        WeightsError: It is not a finite number >= 0.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WeightsError(f"the weight of {shown} is not a number; accepted: finite numbers >= 0")
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise WeightsError(f"the weight of {shown} is {number}; accepted: finite numbers >= 0")
    return number


def normalise(values: Mapping[str, float], source: str) -> Weights | None:
    """Scale weights to sum 1 and drop zeros.

    Args:
        values: Category -> finite number >= 0.
        source: Where they come from.

    Returns:
        The weights; None when all are zero.
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


def temper(values: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Raise weights or sizes to a power: 0 makes all alike, 1 changes nothing, and above 1 the heavy ones gain.

    Args:
        values: Category -> finite number >= 0.
        temperature: The power, >= 0.

    Returns:
        Category -> weight: 1 for the heaviest, 0 exactly for those that weighed 0.

    Raises:
        WeightsError: The temperature is not accepted.

    Source: google-research/bert, multilingual.md, "Data Source and Sampling": languages are drawn by their share to the
    power of 0.7, so that rare ones are heard more often. Arivazhagan et al. 2019, "Massively Multilingual Neural
    Machine Translation in the Wild: Findings and Challenges", write the power as 1/T.
    """
    if not 0 <= temperature < math.inf:
        raise WeightsError(f"temperature {temperature} is not accepted; accepted: a finite number >= 0, such as 0.5")
    heaviest = max(values.values(), default=0.0)
    # Too small a number for a float would be 0, and its category lost.
    return {name: max((value / heaviest) ** temperature, _LEAST) if value else 0.0 for name, value in values.items()}


@cache
def default_weights() -> Weights:
    """Return the built-in default weights."""
    weights = normalise(DEFAULTS, "default")
    assert weights is not None  # noqa: S101 - the defaults are not all zero
    return weights


def defaults_for(ready: Collection[str]) -> Weights:
    """Return the weights in force while nobody has set any, for one library.

    These are the built-in defaults if the library has READY chunks of a category that they weigh. Otherwise all its
    categories weigh the same. Without this rule, a library of other categories could answer no request before somebody
    sets weights.

    Args:
        ready: Categories that have READY chunks. No weights can be made of more than `MAX_CATEGORIES`.
    """
    if not 0 < len(ready) <= MAX_CATEGORIES or any(name in ready for name in default_weights().shares):
        return default_weights()
    weights = normalise(dict.fromkeys(ready, 1.0), "default")
    assert weights is not None  # noqa: S101 - there is a category, and none is zero
    return weights


@lru_cache(maxsize=1024)
def single_category(category: str) -> Weights:
    """Return the weights of a request that names its category."""
    return Weights(MappingProxyType({category: 1.0}), "category")


class _Pairs(list[tuple[object, object]]):
    """The members of a JSON object, repeated names included."""


def _refuse_constant(name: str) -> float:
    raise WeightsError(f"a weight is {name}; accepted: finite numbers >= 0")
