"""Add up what was counted under mixtures that nothing is drawn from any more, so that their texts may go.

A mixture of thousands of categories takes hundreds of kilobytes beside the counts, and a slider that is moved makes
a new one each time. What it says of its chunks are sums over categories: these are kept, to the millionth, and it goes.
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
"""Kinds of the fields that name a mixture."""


def fold(drawn: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Tell how much other fields grow when those of a mixture go.

    Args:
        drawn: Field that names the mixture -> count.
        shares: Category -> share of what is drawn.
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
    """Tell by kind of field what a count makes of one category."""
    if kind == DRAWN:
        yield EXPECTED, round(count * share * MICRO)
        yield VARIANCE, round(count * share * (1.0 - share) * MICRO)
    elif kind in DRAWN_S:
        yield from _finely(WIDE_S, count * share, is_whole=kind == DRAWN_S[0])
    elif kind in DRAWN_S2:
        yield from _finely(WIDE_S2, count * share**2, is_whole=kind == DRAWN_S2[0])


def _finely(kinds: Pair, amount: float, *, is_whole: bool) -> Iterator[tuple[str, int]]:
    """Part an amount into whole numbers and millionths; one that is of millionths already stays so."""
    if not is_whole:
        yield kinds[1], round(amount)
        return
    whole = math.floor(amount)
    yield kinds[0], whole
    yield kinds[1], round((amount - whole) * MICRO)
