"""Weights as people type them, and for how long they are meant to last."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from worker.core.weights.values import parse_weights
from worker.errors import WeightsError

_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")
_LONGEST_MS = 366 * 86_400_000
_LEAST = 1e-300
_DECIMAL = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")


def is_decimal(text: str) -> bool:
    """Tell whether a text is a number as people write it: ASCII digits and perhaps a point, such as 0.7."""
    return _DECIMAL.fullmatch(text) is not None


def values_from_words(words: Sequence[str]) -> dict[str, float]:
    """Read words such as `voice=0.7`.

    Raises:
        WeightsError: A word is not of this form, or a category comes twice.
    """
    values: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        if not is_decimal(text):
            what = "category=weight, such as voice=0.7, with a finite number in plain decimal digits"
            raise WeightsError(f"{word!r} is not accepted; accepted: {what}")
        if name in values:
            raise WeightsError(f"{name!r} is given twice; accepted: each category once")
        values[name] = float(text)
    return values


def weights_json(values: Mapping[str, float]) -> str:
    """Write weights as their key holds them.

    Raises:
        WeightsError: They would be refused by the workers.
    """
    text = json.dumps(dict(values))
    parse_weights(text.encode(), "redis")
    return text


def temper(values: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Raise weights to a power, so that 0 evens them out, 1 keeps them, and above 1 the heavy ones win.

    Args:
        values: Category -> finite number >= 0.
        temperature: The power, >= 0.

    Returns:
        Category -> weight: 1 for the heaviest, 0 exactly for those that weighed 0.

    Raises:
        WeightsError: The temperature is not accepted.

    Source: google-research/bert, multilingual.md, "Data Source and Sampling": languages are drawn by their share to the
    power of 0.7, so that rare ones are heard more often.
    """
    if not 0 <= temperature < math.inf:
        raise WeightsError(f"temperature {temperature} is not accepted; accepted: a finite number >= 0, such as 0.5")
    heaviest = max(values.values(), default=0.0)
    # Too small a number for a float would be 0, and its category lost.
    return {name: max((value / heaviest) ** temperature, _LEAST) if value else 0.0 for name, value in values.items()}


def span_ms(text: str) -> int:
    """Read a time span such as `90s`, `30m`, `2h` or `1d`, as ms.

    Raises:
        WeightsError: It is none.
    """
    found = _SPAN.fullmatch(text)
    span = round(float(found[1]) * _UNITS_MS[found[2]]) if found else 0
    if not 0 < span <= _LONGEST_MS:
        raise WeightsError(
            f"{text!r} is no time span; accepted: a number and s, m, h or d, up to 366d, such as 90s or 2h"
        )
    return span
