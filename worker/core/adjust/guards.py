"""The guards: what a rule proposes becomes shares that hold the limits that a person set.

1. Mix: `(1 - strength) target + strength prior`.
2. Floors and ceilings: shares are scaled by one number, and cut at their limits, so that they sum to 1. What a limit
   takes from one category goes to the others in proportion. A share of 0 stays 0 as long as the others have room. The
   result is the nearest point by relative entropy: it minimises sum x log(x / y) over the capped simplex.
3. Gate, of a rule that learns: only what reports allow moves, see `worker.core.adjust.gate`. The shares that stay may
   break the limits. Then what the gate leaves is cut at the limits again.
4. Most change: the whole move is shortened so that no share moves more. A shortened move lies on the line between two
   sets of shares. So it sums to 1, and it holds the floors and ceilings if the shares in force hold them. If they do
   not, each step brings the shares nearer to the limits, and `held_by` says so.

Limits that no shares can hold are loosened in proportion, and `held_by` says so.

Source of 2: Herbster and Warmuth, "Tracking the Best Linear Predictor", JMLR 1 (2001), projections onto convex sets by
relative entropy.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from worker.core.adjust.gate import Gate
from worker.core.adjust.rule import Floats
from worker.core.adjust.settings import REST, Settings

_NAMED: Final = 3
_NEAR: Final = 1e-9
_LEAST: Final = 1e-15
"""A smaller share is taken for 0: quotients by it would not be finite."""


class Guarded(NamedTuple):
    """Shares that hold the limits.

    Attributes:
        shares: float64, shape (k,), each >= 0, summing to 1.
        held_by: The limits that held the proposal back, a few words each.
    """

    shares: Floats
    held_by: tuple[str, ...]


class Limits(NamedTuple):
    """Floors and ceilings by category.

    Attributes:
        floors: float64, shape (k,), 0 to 1, summing to at most 1.
        ceilings: float64, shape (k,), none below its floor, summing to at least 1.
        loosened: What had to be loosened, a few words each.
    """

    floors: Floats
    ceilings: Floats
    loosened: tuple[str, ...]


def guard(
    settings: Settings,
    categories: Sequence[str],
    target: Floats,
    *,
    weights: Floats,
    prior: Floats,
    gate: Gate | None = None,
) -> Guarded:
    """Apply the guards to a proposal.

    Args:
        settings: With the limits.
        categories: Names, shape (k,).
        target: float64, shape (k,): what the rule proposes, summing to 1.
        weights: float64, shape (k,): the shares that move, summing to 1.
        prior: float64, shape (k,): the anchor, summing to 1.
        gate: What reports allow of the move; None: all of it.
    """
    mixed = (1.0 - settings.strength) * target + settings.strength * prior
    limits = limits_of(settings.floor, settings.ceiling, categories, (mixed > 0) | (prior > 0))
    capped = project(mixed, limits.floors, limits.ceilings, prior)
    if gate is not None:
        capped = gate.hold(weights, capped, prior, 1.0 - settings.strength)
        if ((capped < limits.floors - _NEAR) | (capped > limits.ceilings + _NEAR)).any():
            capped = project(capped, limits.floors, limits.ceilings, prior)
    held_by = [*limits.loosened]
    held_by += _named("floor", categories, (capped <= limits.floors + _NEAR) & (mixed < limits.floors - _NEAR))
    held_by += _named("ceiling", categories, (capped >= limits.ceilings - _NEAR) & (mixed > limits.ceilings + _NEAR))
    furthest = float(np.abs(capped - weights).max())
    if settings.most_change is None or furthest <= settings.most_change + _NEAR:
        return Guarded(capped, tuple(held_by))
    shares = weights + (capped - weights) * (settings.most_change / furthest)
    held_by.append(f"most change {settings.most_change:g}")
    outside = (shares < limits.floors - _NEAR) | (shares > limits.ceilings + _NEAR)
    held_by += _named("not within its limits yet", categories, outside)
    return Guarded(shares, tuple(held_by))


def limits_of(
    floor: Mapping[str, float], ceiling: Mapping[str, float], categories: Sequence[str], is_wanted: np.ndarray
) -> Limits:
    """Return floors and ceilings that some shares can hold.

    Args:
        floor: Category, or `*` for the rest -> least share.
        ceiling: Category, or `*` for the rest -> largest share.
        categories: Names, shape (k,).
        is_wanted: bool, shape (k,): the categories that `*` of the floors is for; a floor by name is for any.
    """
    floors = np.array([floor.get(name, 0.0) for name in categories])
    if REST in floor:
        named = np.array([name in floor for name in categories])
        floors = np.where(~named & is_wanted, floor[REST], floors)
    ceilings = np.array([ceiling.get(name, ceiling.get(REST, 1.0)) for name in categories])
    ceilings = np.maximum(floors, ceilings)
    if floors.sum() > 1.0:
        said = f"floors of {floors.sum():.3g} in all, loosened to 1"
        return Limits(floors / floors.sum(), ceilings, (said,))
    if ceilings.sum() < 1.0:
        said = f"ceilings of {ceilings.sum():.3g} in all, loosened to 1"
        total = ceilings.sum()
        shared = ceilings / total if total > _LEAST else np.full(len(ceilings), 1.0 / len(ceilings))
        return Limits(floors, shared, (said,))
    return Limits(floors, ceilings, ())


def least_shares(settings: Settings, categories: Sequence[str], prior: Floats) -> Floats:
    """Return the shares that the guards leave of a proposal of nothing: floors, and what is mixed in of the prior.

    Args:
        settings: With the limits.
        categories: Names, shape (k,).
        prior: float64, shape (k,): the anchor, summing to 1.

    Returns:
        float64, shape (k,), each from 0 to 1.
    """
    limits = limits_of(settings.floor, settings.ceiling, categories, prior > 0)
    return np.maximum(limits.floors, settings.strength * prior)


def project(shares: Floats, floors: Floats, ceilings: Floats, *others: Floats) -> Floats:
    """Scale shares by one number and cut them at their limits, so that they sum to 1.

    Args:
        shares: float64, shape (k,), each >= 0 and finite.
        floors: float64, shape (k,), summing to at most 1.
        ceilings: float64, shape (k,), none below its floor, summing to at least 1.
        others: Shares to go by where those above 0 have no room for it all; after them all categories are alike.
    """
    found, is_free = floors.copy(), np.ones(len(shares), dtype=bool)
    for weights in (shares, *others, np.ones(len(shares))):
        takes = is_free & (weights > _LEAST)
        room = 1.0 - found[~takes].sum()
        if ceilings[takes].sum() >= room:
            found[takes] = _scale(weights[takes], floors[takes], ceilings[takes], room)
            break
        found[takes] = ceilings[takes]
        is_free &= ~takes
    return _exact(found, floors, ceilings)


def _scale(weights: Floats, floors: Floats, ceilings: Floats, total: float) -> Floats:
    """Find the number that makes the scaled and cut weights sum to `total`, which lies between the sums of limits.

    The sum grows with the number. It is linear between two neighbouring points at which a weight meets a limit. A
    binary search finds the two points around `total`.
    """
    if not len(weights):
        return weights
    points = np.unique(np.concatenate(([0.0], floors / weights, ceilings / weights)))
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if np.clip(points[middle] * weights, floors, ceilings).sum() <= total:
            low = middle
        else:
            high = middle
    between = (points[low] + points[high]) / 2
    is_free = (between * weights > floors) & (between * weights < ceilings)
    scaled: Floats = np.clip(points[low] * weights, floors, ceilings)
    if is_free.any():
        rest = total - scaled[~is_free].sum()
        scaled[is_free] = np.clip(
            weights[is_free] * (rest / weights[is_free].sum()), floors[is_free], ceilings[is_free]
        )
    return scaled


def _exact(shares: Floats, floors: Floats, ceilings: Floats) -> Floats:
    """Take what rounding left over or short from the shares above 0 that have room for it."""
    missing = 1.0 - shares.sum()
    room = np.where(shares > 0, ceilings - shares, 0.0) if missing > 0 else shares - floors
    if room.sum() > abs(missing):
        shares += room * (missing / room.sum())
    return shares


def _named(what: str, categories: Sequence[str], is_meant: np.ndarray) -> list[str]:
    """Write a limit with the categories that it held back."""
    names = [categories[i] for i in np.flatnonzero(is_meant)[:_NAMED]]
    more = int(is_meant.sum()) - len(names)
    return [f"{what}: {', '.join(names)}{f' and {more:,} more' if more else ''}"] if names else []
