"""Presets: weights by name, for one request; some are built in, the others are stored as weights keys are."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from worker.core.weights.values import BUILT_IN, DEFAULTS, MAX_CATEGORIES, InForce, Weights, normalise, preset_name
from worker.core.wire import Terms

if TYPE_CHECKING:
    from worker.core.catalog import Catalog

BY_READY: Final = frozenset({"balanced"})
"""Built-in presets whose weights depend on what is READY."""

_HEAVY = 0.7


def built_in_preset(preset: str, ready: Mapping[str, int]) -> Weights:
    """Make the weights of a built-in preset.

    Args:
        preset: One of `BUILT_IN_PRESETS`.
        ready: Category -> READY chunks.
    """
    weights = normalise(BUILT_IN_PRESETS[preset](ready), "preset")
    assert weights is not None  # noqa: S101 - none of them is all zero
    return weights


def weights_name(terms: Terms) -> str | None:
    """Tell which weights key some terms are drawn under: a stored preset's, a dataset's, or the global one (`None`).

    A built-in preset has no key; the global weights stand in, and are not looked at.
    """
    if terms.preset is None:
        return terms.dataset
    return None if terms.preset in BUILT_IN_PRESETS else preset_name(terms.preset)


def weights_of(terms: Terms, weights: Mapping[str | None, InForce], catalog: "Catalog | None") -> InForce:
    """Find the weights that some terms are drawn under.

    Args:
        terms: What is asked for.
        weights: Name of a weights key -> the weights in force by it; that of `weights_name(terms)` at least.
        catalog: The READY chunks, as far as they are known; it remembers.
    """
    if terms.preset is None or terms.preset not in BUILT_IN_PRESETS:
        return weights[weights_name(terms)]
    name = preset_name(terms.preset)
    held = None if catalog is None else catalog.memo.get(name)
    if not isinstance(held, InForce):
        held = InForce(name, built_in_preset(terms.preset, {} if catalog is None else catalog.ready), ())
        if catalog is not None:
            catalog.memo[name] = held
    return held


def _balanced(ready: Mapping[str, int]) -> Mapping[str, float]:
    """Weigh all built-in categories alike that have READY chunks; where none has, all others that have some."""
    there = [name for name, chunks in ready.items() if chunks]
    others = there if len(there) <= MAX_CATEGORIES else []
    return dict.fromkeys([name for name in BUILT_IN if name in there] or others or BUILT_IN, 1.0)


def _heavy(category: str) -> Callable[[Mapping[str, int]], Mapping[str, float]]:
    """Make a preset that is mostly one category, and the others in their default proportions."""
    rest = {name: weight for name, weight in DEFAULTS.items() if name != category}
    scale = (1.0 - _HEAVY) / sum(rest.values())
    shares = {category: _HEAVY, **{name: weight * scale for name, weight in rest.items()}}
    return lambda _ready: shares


BUILT_IN_PRESETS: Final[Mapping[str, Callable[[Mapping[str, int]], Mapping[str, float]]]] = {
    "balanced": _balanced,
    "voice-heavy": _heavy("voice"),
    "music-heavy": _heavy("music"),
}
