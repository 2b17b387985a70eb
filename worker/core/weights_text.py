"""Weights as people type them."""

import json
from collections.abc import Mapping, Sequence

from worker.core.weights import parse_weights
from worker.errors import WeightsError


def values_from_words(words: Sequence[str]) -> dict[str, float]:
    """Read words such as `voice=0.7`.

    Raises:
        WeightsError: A word is not of this form, or a category comes twice.
    """
    values: dict[str, float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        try:
            number = float(text)
        except ValueError:
            equals = ""
            number = 0.0
        if not equals:
            raise WeightsError(f"{word!r} is not accepted; accepted: category=weight, such as voice=0.7")
        if name in values:
            raise WeightsError(f"{name!r} is given twice; accepted: each category once")
        values[name] = number
    return values


def weights_json(values: Mapping[str, float]) -> str:
    """Write weights as their key holds them.

    Raises:
        WeightsError: They would be refused by the workers.
    """
    text = json.dumps(dict(values))
    parse_weights(text.encode(), "redis")
    return text
