"""Weights as people type them, and the durations that they last."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from worker.cli.numbers import is_decimal
from worker.core.weights.values import parse_weights, temper
from worker.errors import WeightsError

_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")
_LONGEST_MS = 366 * 86_400_000


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


def words_json(words: Sequence[str], temperature: float | None) -> str:
    """Read weights as people type them, and write them as their key holds them.

    Args:
        words: Such as `voice=0.7`.
        temperature: The power that they are raised to; None: as they are.

    Raises:
        WeightsError: They are not accepted.
    """
    text = weights_json(values := values_from_words(words))
    if not any(values.values()):
        wanted = "at least one above zero, or `weights remove` to end those that are set"
        raise WeightsError(f"all weights are zero; accepted: {wanted}")
    return text if temperature is None else weights_json(temper(values, temperature))


def span_ms(text: str) -> int:
    """Read a duration such as `90s`, `30m`, `2h` or `1d`, as ms.

    Raises:
        WeightsError: It is not a duration.
    """
    found = _SPAN.fullmatch(text)
    span = round(float(found[1]) * _UNITS_MS[found[2]]) if found else 0
    if not 0 < span <= _LONGEST_MS:
        raise WeightsError(
            f"{text!r} is no time span; accepted: a number and s, m, h or d, up to 366d, such as 90s or 2h"
        )
    return span
