"""Fold mixtures that nothing is drawn from any longer: keep sums by category, to the millionth, instead of their text.

The text of a mixture of thousands of categories takes hundreds of kilobytes. Each move of a slider makes a new one.
"""

import math
from collections.abc import Iterator, Mapping

from worker.core.stats.fields import (
    DRAWN,
    DRAWN_S,
    DRAWN_S2,
    EXPECTED,
    MICRO,
    VARIANCE,
    WIDE_S,
    WIDE_S2,
    Pair,
    split,
)

KINDS = (DRAWN, *DRAWN_S, *DRAWN_S2)
"""The kinds of fields whose names have a mixture in them."""


def fold(drawn: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Compute how much other fields grow when the fields of a mixture are removed.

    Args:
        drawn: Field of the mixture -> count.
        shares: The mixture: category -> share of the chunks, or of the seconds.
    """
    growth: dict[str, int] = {}
    for name, count in drawn.items():
        kind, dataset, _ = split(name)
        for category, share in shares.items():
            for grown, amount in _amounts(kind, count, share):
                field = f"{grown}:{dataset}:{category}"
                growth[field] = growth.get(field, 0) + amount
    return {name: amount for name, amount in growth.items() if amount}


def _amounts(kind: str, count: int, share: float) -> Iterator[tuple[str, int]]:
    """Yield the kinds of fields that grow for one category, and by how much."""
    if kind == DRAWN:
        yield EXPECTED, round(count * share * MICRO)
        yield VARIANCE, round(count * share * (1.0 - share) * MICRO)
    elif kind in DRAWN_S:
        yield from _finely(WIDE_S, count * share, is_whole=kind == DRAWN_S[0])
    elif kind in DRAWN_S2:
        yield from _finely(WIDE_S2, count * share**2, is_whole=kind == DRAWN_S2[0])


def _finely(kinds: Pair, amount: float, *, is_whole: bool) -> Iterator[tuple[str, int]]:
    """Split an amount into whole numbers and millionths. An amount in millionths stays one."""
    if not is_whole:
        yield kinds[1], round(amount)
        return
    whole = math.floor(amount)
    yield kinds[0], whole
    yield kinds[1], round((amount - whole) * MICRO)
