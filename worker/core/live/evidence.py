"""What counts say about the mix: shares, whiskers and z scores. Below 100 expected draws they say nothing."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from worker.core.live.growth import Growth
from worker.core.stats import CategoryCount
from worker.core.stats.fit import RandomSum, fit_of_sums_p, fit_p

ENOUGH = 100.0
"""Least number of expected draws that is evidence."""

_WHISKER = 3.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of one category.

    Attributes:
        count: Chunks drawn.
        amount: What `expected` is compared with: the chunks, or their seconds where weights are shares of audio time.
        expected: What its weights made one expect of the amount.
        share: The amount's share, 0 to 1.
        expected_share: The share of `expected`, 0 to 1.
        low: Three standard deviations below the expected share, >= 0.
        high: The same above it, <= 1.
        z: How many standard deviations the amount is from its expectation.
        is_enough: Whether at least 100 draws of it were expected.
    """

    count: int
    amount: float
    expected: float
    share: float
    expected_share: float
    low: float
    high: float
    z: float
    is_enough: bool


class Fit(NamedTuple):
    """How well all categories together fit.

    Attributes:
        p: Probability of a fit no better than this by chance; None while nothing was drawn.
        chunks: Chunks drawn.
        is_enough: Whether these are at least 100.
    """

    p: float | None
    chunks: int
    is_enough: bool


NOTHING_DRAWN = Fit(None, 0, is_enough=False)
"""The fit of nothing."""


def drawn_of(growth: Growth, name: str) -> Drawn | None:
    """Compare a category with what was expected of it; None while nothing was drawn of any.

    Args:
        growth: What was drawn in some time.
        name: The category.
    """
    row, sums = growth.row(name), growth.sums
    if sums.amount <= 0:
        return None
    around = row.expected / sums.expected if sums.expected else 0.0
    whisker = _WHISKER * math.sqrt(row.variance) / sums.amount
    return Drawn(
        row.count,
        row.amount,
        row.expected,
        row.amount / sums.amount,
        around,
        max(0.0, around - whisker),
        min(1.0, around + whisker),
        row.z,
        _expected_draws(row, growth) >= ENOUGH,
    )


def fit_of(growth: Growth) -> Fit:
    """Compute how well all categories together fit what was expected of them.

    Args:
        growth: What was drawn in some time.
    """
    chunks = growth.sums.chunks
    if not chunks:
        return NOTHING_DRAWN
    rows = [growth.row(name) for name in growth.names]
    if growth.after.is_in_seconds:
        p_value = fit_of_sums_p([_sum(row, growth) for row in rows])
    else:
        p_value = fit_p([row.count for row in rows], [row.expected for row in rows])
    return Fit(p_value, chunks, chunks >= ENOUGH)


def _expected_draws(row: CategoryCount, growth: Growth) -> float:
    """Return how many chunks were expected; of seconds, by the mean length of the chunks that were drawn."""
    if row.seconds is None:
        return row.expected
    mean_s = row.seconds / row.count if row.count else growth.sums.amount / max(1, growth.sums.chunks)
    return row.expected / mean_s if mean_s > 0 else 0.0


def _sum(row: CategoryCount, growth: Growth) -> RandomSum:
    """Return a sum of seconds; its number of draws is not tested, as the counts do not say what was expected of it."""
    terms = _expected_draws(row, growth)
    return RandomSum(row.amount, row.expected, row.variance, terms, terms)
