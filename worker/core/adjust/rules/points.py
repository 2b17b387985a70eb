"""The points of a schedule, as people write them.

As JSON: `[{"at": 0, "weights": {"voice": 0.7, "music": 0.3}}, {"at": 10000, "preset": "balanced"}]`. As text, the same:
`0 voice=0.7 music=0.3; 10000 balanced`. A position of the unit `time` is written as `2026-12-24T18:00:00Z`.

A rule takes the weights of a built-in preset by what is READY at each step. A preset that people store is resolved when
the rule is set, by `resolve_presets`. Its weights are then written into the point.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from worker.core.adjust.values import number, refuse_unknown, shown
from worker.core.weights.presets import BUILT_IN_PRESETS
from worker.core.weights.values import MAX_CATEGORIES, check_values
from worker.errors import AdjustError, WeightsError

MOST_POINTS: Final = 1000
_LARGEST: Final = 1e15
_MOST_WEIGHTS: Final = 100_000
_NAMES: Final = ("at", "weights", "preset")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?)?Z?")
_ACCEPTED: Final = (
    'accepted: a list such as [{"at": 0, "weights": {"voice": 1}}, {"at": 1000, "preset": "balanced"}], '
    'or a text such as "0 voice=0.7 music=0.3; 1000 balanced"'
)


def read_points(value: object, unit: str) -> list[dict[str, Any]]:
    """Read the points of a schedule.

    Args:
        value: A list, or a text.
        unit: What positions are of; `time` may be written as text.

    Returns:
        Each with `at` and either `weights` or `preset`, in the order of their positions.

    Raises:
        AdjustError: They are not accepted. The sentence says why, and what is accepted.
    """
    points = _split(value) if isinstance(value, str) else value
    if not isinstance(points, Sequence) or not points:
        raise AdjustError(f"points {'is missing' if value is None else f'is {shown(value)}'}; {_ACCEPTED}")
    if len(points) > MOST_POINTS:
        raise AdjustError(f"there are {len(points)} points; accepted: at most {MOST_POINTS}")
    found = [_read_point(point, f"point {place}", unit) for place, point in enumerate(points, 1)]
    for place, (point, after) in enumerate(pairwise(found), 1):
        if after["at"] <= point["at"]:
            raise AdjustError(
                f"point {place + 1} is at {after['at']:.12g}, and point {place} at {point['at']:.12g}; "
                "accepted: positions that go up"
            )
    if sum(len(point.get("weights", ())) for point in found) > _MOST_WEIGHTS:
        raise AdjustError(f"the points have too many weights; accepted: at most {_MOST_WEIGHTS} together")
    return found


def position_text(at: float, unit: str) -> str:
    """Write a position for people."""
    if unit == "time":
        return time_text(at)
    return f"{at:,.12g}"


def time_text(at_s: float) -> str:
    """Write a time in UTC as points have it: `2026-12-24T18:00:00Z`.

    Args:
        at_s: Unix time in seconds.
    """
    return f"{np.datetime64(round(at_s), 's')}Z"


def points_text(points: Sequence[Mapping[str, Any]]) -> str:
    """Write checked points as text, for people; positions are numbers."""
    return "; ".join(f"{point['at']:.12g} {_content_text(point)}" for point in points)


def _content_text(point: Mapping[str, Any]) -> str:
    weights = " ".join(f"{name}={weight:g}" for name, weight in point.get("weights", {}).items())
    preset = point.get("preset", "")
    return f"{preset} ({weights})" if preset and weights else preset or weights


def resolve_presets(value: object, read_preset: Callable[[str], Mapping[str, float] | None]) -> object:
    """Write the weights of stored presets into the points that name one; what is no point stays as it is.

    Args:
        value: A list, or a text.
        read_preset: Returns the weights of a preset that people store; None: there is none of this name.
    """
    points = _split(value) if isinstance(value, str) else value
    if not isinstance(points, Sequence):
        return value
    return [_resolve(point, read_preset) if isinstance(point, Mapping) else point for point in points]


def _resolve(point: Mapping[str, Any], read_preset: Callable[[str], Mapping[str, float] | None]) -> Mapping[str, Any]:
    preset = point.get("preset")
    if "weights" in point or not isinstance(preset, str) or preset in BUILT_IN_PRESETS:
        return point
    weights = read_preset(preset)
    return point if weights is None else {**point, "weights": dict(weights)}


def _read_point(point: object, what: str, unit: str) -> dict[str, Any]:
    if not isinstance(point, Mapping):
        raise AdjustError(f"{what} is {shown(point)}; {_ACCEPTED}")
    refuse_unknown(point, _NAMES, what)
    found: dict[str, Any] = {"at": _read_position(point, what, unit)}
    preset = point.get("preset")
    if preset is not None:
        found["preset"] = preset
    if "weights" in point:
        return {**found, "weights": _read_weights(point["weights"], what)}
    if not isinstance(preset, str) or preset not in BUILT_IN_PRESETS:
        said = "has neither weights nor a preset" if preset is None else f"names {shown(preset)}, which is no preset"
        raise AdjustError(f"{what} {said}; accepted: weights, a stored preset, or {', '.join(BUILT_IN_PRESETS)}")
    return found


def _read_position(point: Mapping[str, Any], what: str, unit: str) -> float:
    at = point.get("at")
    if unit == "time" and isinstance(at, str) and _TIME.fullmatch(at):
        try:
            return float(np.datetime64(at.removesuffix("Z"), "ms").astype(np.int64)) / 1000.0
        except ValueError:
            raise AdjustError(f"{what} is at {shown(at)}, which is no time; accepted: 2026-12-24T18:00:00Z") from None
    if unit == "time" and isinstance(at, str):
        raise AdjustError(f"{what} is at {shown(at)}; accepted: a time in UTC such as 2026-12-24T18:00:00Z")
    return number({f"at of {what}": at}, f"at of {what}", None, least=0.0, most=_LARGEST)


def _read_weights(value: object, what: str) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > MAX_CATEGORIES:
        raise AdjustError(f"the weights of {what} are {shown(value)}; accepted: an object category -> number")
    try:
        weights = check_values(list(value.items()))
    except WeightsError as error:
        raise AdjustError(f"the weights of {what}: {error}") from None
    if not any(weights.values()):
        raise AdjustError(f"{what} weighs nothing; accepted: at least one weight above zero")
    return weights


def _split(text: str) -> list[dict[str, Any]]:
    """Split points that are written as text."""
    parts = [part.split() for part in text.split(";") if part.strip()]
    return [{"at": _position(words[0]), **_content(words[1:])} for words in parts]


def _content(words: Sequence[str]) -> dict[str, Any]:
    if len(words) == 1 and "=" not in words[0]:
        return {"preset": words[0].removeprefix("preset:")}
    pairs = [(name, _number(value)) for name, _, value in (word.partition("=") for word in words)]
    weights = dict(pairs)
    if len(weights) < len(pairs):
        raise AdjustError(f"a category is given twice in {shown(' '.join(words))}; accepted: each category once")
    return {"weights": weights} if words else {}


def _position(word: str) -> object:
    return word if _TIME.fullmatch(word) else _number(word)


def _number(word: str) -> object:
    """Read a number; what is none is refused later, with the sentence for it."""
    try:
        return float(word)
    except ValueError:
        return word
