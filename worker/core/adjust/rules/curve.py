"""A curve of weights: the shares at a position, from points and what is between them.

Before the first point there is nothing, and after the last one its shares stay. Between two points the shares of the
first stay (`step`), or they go over to those of the second: in a straight line (`linear`), or slowly at both ends
(`cosine`).

A morph goes in steps. A segment has as many as it takes for no share to move more than half a point in one. So the
shares of a step are within half a point of the curve.

Source of `cosine`: half a period of the cosine, as for learning rates in Loshchilov and Hutter, "SGDR", ICLR 2017.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from worker.core.adjust.rule import Floats
from worker.core.weights.presets import built_in_preset

BETWEEN: Final = ("step", "linear", "cosine")
_LARGEST_STEP: Final = 0.005


class Place(NamedTuple):
    """Where a position is.

    Attributes:
        point: Number of the last point that is reached.
        step: Number of the step between it and the next.
        steps: How many steps there are between the two.
        next_at: Position of the next step; infinity after the last one.
    """

    point: int
    step: int
    steps: int
    next_at: float


class OnCurve(NamedTuple):
    """What a curve says at a position.

    Attributes:
        place: Where the position is.
        shares: float64, shape (k,), summing to 1; None where none of the point's categories is known.
    """

    place: Place
    shares: Floats | None


def read_curve(
    points: Sequence[Mapping[str, Any]], positions: Floats, between: str, here: float, ready: Mapping[str, int]
) -> OnCurve:
    """Return what a curve says at a position.

    Args:
        points: As `worker.core.adjust.rules.points.read_points` returns them.
        positions: float64, shape (n,), those of the points, each higher than the one before.
        between: One of `BETWEEN`.
        here: The position; the first point is reached.
        ready: The k categories, in the order of the shares, each with its READY chunks.
    """
    point = int(np.searchsorted(positions, here, side="right")) - 1
    shares = [_shares_of(one, ready) for one in points[point : point + 2]]
    place = _find(positions, point, here, shares, between)
    return OnCurve(place, _at(shares, place, between))


def _find(positions: Floats, point: int, here: float, shares: Sequence[Floats | None], between: str) -> Place:
    """Find the step that a position is in; `shares` are those of its point and, if there is one, of the next."""
    if len(shares) == 1:
        return Place(point, 0, 1, math.inf)
    first, last = shares
    if between == "step" or first is None or last is None:
        return Place(point, 0, 1, float(positions[point + 1]))
    furthest = float(np.abs(last - first).max()) * (math.pi / 2 if between == "cosine" else 1.0)
    steps = max(1, math.ceil(furthest / _LARGEST_STEP - 1e-9))
    grid = positions[point] + (positions[point + 1] - positions[point]) * np.arange(steps + 1) / steps
    grid[-1] = positions[point + 1]
    step = int(np.searchsorted(grid, here, side="right")) - 1
    return Place(point, step, steps, float(grid[step + 1]))


def _at(shares: Sequence[Floats | None], place: Place, between: str) -> Floats | None:
    """Return the shares of a step."""
    first = shares[0]
    if place.step == 0 or first is None:
        return first
    last = shares[1]
    assert last is not None  # noqa: S101 - there are steps between two points with shares alone
    done = place.step / place.steps
    if between == "cosine":
        done = (1.0 - math.cos(math.pi * done)) / 2.0
    moved = first + (last - first) * done
    moved /= moved.sum()
    return moved


def _shares_of(point: Mapping[str, Any], ready: Mapping[str, int]) -> Floats | None:
    """Lay out the weights of a point; None where none of its categories is known."""
    weights = point.get("weights")
    if weights is None:
        weights = built_in_preset(point["preset"], {name: count for name, count in ready.items() if count}).shares
    found = np.array([weights.get(name, 0.0) for name in ready])
    largest = found.max(initial=0.0)
    if not largest > 0:
        return None
    found /= largest  # so that the sum of the largest numbers is finite
    found /= found.sum()
    return found
