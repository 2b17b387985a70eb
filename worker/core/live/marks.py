"""Changes of weights as marks on a graph: when, who, why, and what moved by how much."""

from collections.abc import Mapping
from heapq import nlargest
from typing import Any, Final

from worker.core.live.texts import cut
from worker.core.weights.history import Change, moves

_MOST_CATEGORIES: Final = 64
_DECIMALS: Final = 6


def mark_of(change: Change) -> dict[str, Any]:
    """Write a change as plain data, with the categories that moved most and the heaviest ones.

    Args:
        change: As the history has it.
    """
    before, after = change.shares_before, change.shares_after
    moved = dict(moves(change)[:_MOST_CATEGORIES])
    return {
        "at_ms": change.at_ms,
        "dataset": None if change.name is None else cut(change.name),
        "who": cut(change.who),
        "reason": cut(change.reason),
        "version_before": cut(change.version_before) or None,
        "version_after": cut(change.version_after) or None,
        "points": moved,
        "before": heaviest(before),
        "after": heaviest(after),
        "until_ms": change.until_ms,
        "entry": change.id,
    }


def unrecorded_mark(
    name: str | None, at_ms: int, before: tuple[str, Mapping[str, float]], after: tuple[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Write a change that is not in the history: somebody stored the weights by other means.

    Args:
        name: Whose weights.
        at_ms: When it was seen, Unix time in ms.
        before: Version and shares before.
        after: The same after.
    """
    points = {one: 100 * (after[1].get(one, 0.0) - before[1].get(one, 0.0)) for one in {**before[1], **after[1]}}
    largest = nlargest(_MOST_CATEGORIES, points, key=lambda one: (abs(points[one]), one))
    return {
        "at_ms": at_ms,
        "dataset": name,
        "who": "",
        "reason": "",
        "version_before": before[0] or None,
        "version_after": after[0] or None,
        "points": {one: round(points[one], 1) for one in largest if round(points[one], 1)},
        "before": heaviest(before[1]),
        "after": heaviest(after[1]),
        "until_ms": None,
        "entry": None,
    }


def heaviest(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the 64 heaviest of some shares, the heaviest first, rounded to a millionth."""
    largest = nlargest(_MOST_CATEGORIES, shares, key=lambda name: (shares[name], name))
    return {name: round(shares[name], _DECIMALS) for name in largest}
