"""Starting points: weights out of the sizes of categories. Nothing here needs NumPy, which takes long to load.

A size is a number of READY chunks, or hours of audio. Three mixes come of sizes:

- proportional: each chunk (or hour) has the same chance;
- a power of it, which is called temperature: 0 makes all categories alike, 1 is proportional;
- UniMax: as uniform as can be while no category repeats more than so many times.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from worker.core.weights.values import temper


class Unimax(NamedTuple):
    """A mix by UniMax.

    Attributes:
        shares: Category -> share, summing to 1.
        capped: Categories that repeat as often as is allowed, sorted.
        repeats: How often the category that repeats most is heard within the budget.
        is_within: Whether no category repeats more often than is allowed. No mix can keep that where the budget is more
            than all sizes times that number. Then the shares are proportional, by which the repeats are fewest.
    """

    shares: Mapping[str, float]
    capped: tuple[str, ...]
    repeats: float
    is_within: bool


def proportional(sizes: Mapping[str, float], temperature: float = 1.0) -> dict[str, float]:
    """Weigh categories by their sizes, raised to a power.

    Args:
        sizes: Category -> finite size > 0; at least one.
        temperature: See `worker.core.weights.values.temper`; 1: by the sizes as they are.

    Returns:
        Category -> share, summing to 1.

    Raises:
        WeightsError: The temperature is not accepted.
    """
    return _shares(temper(sizes, temperature))


def unimax(sizes: Mapping[str, float], most_repeats: float, budget: float) -> Unimax:
    """Weigh categories as uniformly as can be while none repeats more often than is allowed.

    The budget is dealt out from the smallest category to the largest. Each is due an equal part of what is left. If a
    category would then repeat too often, it takes as much as it may. The larger ones share the rest.

    Args:
        sizes: Category -> finite size > 0; at least one.
        most_repeats: How often each of its chunks (or hours) may be heard on average, > 0.
        budget: How much is heard in all, > 0, in the unit of the sizes.

    Source: Chung et al. 2023, "UniMax: Fairer and More Effective Language Sampling for Large-Scale Multilingual
    Pretraining", ICLR, algorithm 1.
    """
    left, parts, capped = budget, dict[str, float](), list[str]()
    for place, name in enumerate(sorted(sizes, key=lambda one: (sizes[one], one))):
        due, most = left / (len(sizes) - place), most_repeats * sizes[name]
        if due > most:
            capped.append(name)
        parts[name] = min(due, most)
        left -= parts[name]
    shares = _shares(parts)
    repeats = max(budget * share / sizes[name] for name, share in shares.items())
    is_within = len(capped) < len(sizes) or math.isclose(budget, most_repeats * math.fsum(sizes.values()))
    return Unimax(shares, tuple(sorted(capped)), repeats, is_within)


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(parts.values())
    return {name: parts[name] / total for name in sorted(parts)}
