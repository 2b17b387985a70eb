"""Presets: weights by name, for one request. Some are built in; others are stored under weights keys of their own."""

from collections.abc import Callable, Mapping
from typing import Final

from worker.core.keys import NAME_PATTERN
from worker.core.weights.in_force import preset_name
from worker.core.weights.values import BUILT_IN, DEFAULTS, MAX_CATEGORIES, Weights, normalise
from worker.core.wire import Terms
from worker.errors import WeightsError

BY_READY: Final = frozenset({"balanced"})
"""Built-in presets whose weights depend on what is READY."""

_HEAVY = 0.7


def built_in_preset(preset: str, ready: Mapping[str, int]) -> Weights:
    """Return the weights of a built-in preset.

    Args:
        preset: One of `BUILT_IN_PRESETS`.
        ready: Category -> READY chunks.
    """
    weights = normalise(BUILT_IN_PRESETS[preset](ready), "preset")
    assert weights is not None  # noqa: S101 - none of them is all zero
    return weights


def own_preset_name(preset: str) -> str:
    """Return the weights name of a preset that people store.

    Raises:
        WeightsError: It is no name, or that of a built-in preset.
    """
    if not NAME_PATTERN.fullmatch(preset):
        raise WeightsError(f"preset {preset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    if preset in BUILT_IN_PRESETS:
        raise WeightsError(f"preset {preset!r} is built in; accepted: another name than {', '.join(BUILT_IN_PRESETS)}")
    return preset_name(preset)


def weights_name(terms: Terms) -> str | None:
    """Return the weights name that some terms are drawn under: a stored preset, a dataset, or None (global).

    A built-in preset has no key. The global name stands in for it, and its weights are not used.
    """
    if terms.preset is None:
        return terms.dataset
    return None if terms.preset in BUILT_IN_PRESETS else preset_name(terms.preset)


def _balanced(ready: Mapping[str, int]) -> Mapping[str, float]:
    """Weigh all built-in categories with READY chunks the same; if there is none, all others with READY chunks."""
    there = [name for name, chunks in ready.items() if chunks]
    others = there if len(there) <= MAX_CATEGORIES else []
    return dict.fromkeys([name for name in BUILT_IN if name in there] or others or BUILT_IN, 1.0)


def _heavy(category: str) -> Callable[[Mapping[str, int]], Mapping[str, float]]:
    """Make a preset of mostly one category, with the others in their default proportions."""
    rest = {name: weight for name, weight in DEFAULTS.items() if name != category}
    scale = (1.0 - _HEAVY) / sum(rest.values())
    shares = {category: _HEAVY, **{name: weight * scale for name, weight in rest.items()}}
    return lambda _ready: shares


BUILT_IN_PRESETS: Final[Mapping[str, Callable[[Mapping[str, int]], Mapping[str, float]]]] = {
    "balanced": _balanced,
    "voice-heavy": _heavy("voice"),
    "music-heavy": _heavy("music"),
}
