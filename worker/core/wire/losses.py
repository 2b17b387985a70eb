"""The losses in a report: a JSON object, category -> what was measured."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from worker.core.keys import CATEGORY_PATTERN
from worker.core.wire.fields import invalid, shown
from worker.errors import RequestError

MAX_CATEGORIES: Final = 10_000
MAX_BYTES: Final = 1 << 20
LARGEST_SUM: Final = 1e18
LARGEST_SQUARES: Final = LARGEST_SUM**2
LARGEST_COUNT: Final = 10**12
ACCEPTED: Final = 'an object of category names, such as {"voice": 1.2, "music": {"sum": 31.0, "count": 20}}'
_ROUNDING: Final = 1e-3  # of squares: a device may have added them up in few bits
_SHOWN: Final = 80
_LOSS: Final = "a number, or an object with sum and count"
_PARTS: Final = frozenset({"sum", "count", "squares"})


@dataclass(frozen=True, slots=True)
class LossSum:
    """Some losses of one category, added up.

    Attributes:
        sum: Their sum.
        count: How many they are, >= 1.
        squares: The sum of their squares; if the report has none, that of as many equal losses.
    """

    sum: float
    count: int
    squares: float


def read_losses(name: str, value: bytes) -> Mapping[str, LossSum]:
    """Read the losses.

    Args:
        name: Name of the field, for the sentence.
        value: The text.

    Returns:
        Category -> its losses; one with count 0 is left out.

    Raises:
        RequestError: They are not accepted.
    """
    if len(value) > MAX_BYTES:
        raise invalid(f"{name} has {len(value)} bytes; accepted: at most {MAX_BYTES}")
    try:
        pairs = json.loads(value.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise invalid(f"{name} is {shown(value)}, which is no JSON; accepted: {ACCEPTED}") from None
    if not isinstance(pairs, _Pairs) or not pairs:
        raise invalid(f"{name} is {shown(value)}; accepted: {ACCEPTED}")
    if len(pairs) > MAX_CATEGORIES:
        raise invalid(f"{name} has {len(pairs)} categories; accepted: at most {MAX_CATEGORIES}")
    found: dict[str, LossSum | None] = {}
    for category, loss in pairs:
        if not CATEGORY_PATTERN.fullmatch(category):
            shape = "[a-z0-9_-], 1 to 64 characters"
            raise invalid(f"{_quoted(category)} in {name} is not a category name; accepted: {shape}")
        if category in found:
            raise invalid(f"{_quoted(category)} is given twice in {name}; accepted: each category once")
        found[category] = _loss(category, loss)
    return MappingProxyType({category: loss for category, loss in found.items() if loss is not None})


def _loss(category: str, loss: object) -> LossSum | None:
    """Read what was measured of one category; None if that is nothing.

    Raises:
        RequestError: It is not accepted.
    """
    if not isinstance(loss, _Pairs):
        number = _number("the loss", category, loss, LARGEST_SUM)
        return LossSum(number, 1, number * number)
    parts: dict[str, object] = {}
    for part, value in loss:
        if part in parts and part in _PARTS:
            raise invalid(f"{part} of {_quoted(category)} is given twice; accepted: each part once")
        parts[part] = value
    if "sum" not in parts or "count" not in parts:
        missing = "count" if "sum" in parts else "sum"
        raise invalid(f"{missing} of {_quoted(category)} is missing; accepted: {_LOSS}")
    total = _number("sum", category, parts["sum"], LARGEST_SUM)
    count = _count(category, parts["count"])
    if count == 0:
        if total:
            raise invalid(f"count of {_quoted(category)} is 0, and its sum is not; accepted: a count from 1")
        return None
    least = total * total / count
    if "squares" not in parts:
        return LossSum(total, count, least)
    squares = _number("squares", category, parts["squares"], LARGEST_SQUARES)
    if squares < least * (1 - _ROUNDING):
        accepted = f"the sum of squares, here at least {least:g}"
        raise invalid(f"squares of {_quoted(category)} is {squares:g}; accepted: {accepted}")
    return LossSum(total, count, max(squares, least))


def _number(part: str, category: str, value: object, largest: float) -> float:
    """Read a finite number.

    Raises:
        RequestError: It is none, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(part, category, "not a number", largest)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= largest:
        raise _wrong(part, category, f"{number:g}", largest)
    return number


def _wrong(part: str, category: str, found: str, largest: float) -> RequestError:
    """Make the error of a number."""
    kinds = "a number" if part in _PARTS else _LOSS
    return invalid(
        f"{part} of {_quoted(category)} is {found}; accepted: {kinds}, finite and at most {largest:,.10g} either way"
    )


def _count(category: str, value: object) -> int:
    """Read a count; programs that know one kind of numbers may write it as 20.0.

    Raises:
        RequestError: It is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, int | float) and is_number and 0 <= value <= LARGEST_COUNT and value == int(value):
        return int(value)
    found = str(value)[:_SHOWN] if is_number else "not a number"
    raise invalid(f"count of {_quoted(category)} is {found}; accepted: a whole number from 0 to {LARGEST_COUNT}")


def _quoted(category: str) -> str:
    return ascii(category)[:_SHOWN]


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, repeated names included."""
