"""Goodness of fit: z scores, chi-square, and exact tail probabilities."""

import math
from collections.abc import Sequence
from typing import NamedTuple

_LEAST_EXPECTED = 5.0
_LEAST_TERMS = 400.0
_ROUNDING = 1e-5


class RandomSum(NamedTuple):
    """The sum over the draws that fell on one cell, such as the seconds of one category.

    Attributes:
        total: The sum.
        expected: Its expectation.
        variance: Its variance, >= 0.
        terms: The number of draws.
        expected_terms: The expected number of draws.
    """

    total: float
    expected: float
    variance: float
    terms: float
    expected_terms: float


def z_score(count: float, expected: float, variance: float) -> float:
    """Return how many standard deviations a count is from its expectation; 0 if the variance is 0.

    Args:
        count: What was drawn.
        expected: Its expectation.
        variance: Its variance, >= 0.
    """
    return (count - expected) / math.sqrt(variance) if variance > 0 else 0.0


def chi_square(counts: Sequence[float], expected: Sequence[float]) -> tuple[float, int]:
    """Compute Pearson's chi-square statistic. Cells with an expectation below 5 are pooled.

    Args:
        counts: Shape (k,).
        expected: Shape (k,), the same total; a cell that expects 0 must count 0 to fit.

    Returns:
        The statistic (infinite when a cell that expects nothing has counts) and its degrees of freedom.

    Source: Cochran, "Some methods for strengthening the common chi-square tests", Biometrics 1954 (pooling).
    """
    cells = [(float(o), float(e)) for o, e in zip(counts, expected, strict=True)]
    if any(e <= 0 < o for o, e in cells):
        return math.inf, max(1, len(cells) - 1)
    large = [cell for cell in cells if cell[1] >= _LEAST_EXPECTED]
    small = [cell for cell in cells if 0 < cell[1] < _LEAST_EXPECTED]
    if small:
        if large and math.fsum(e for _, e in small) < _LEAST_EXPECTED:
            small.append(large.pop(min(range(len(large)), key=lambda i: large[i][1])))
        large.append((math.fsum(o for o, _ in small), math.fsum(e for _, e in small)))
    return math.fsum((o - e) ** 2 / e for o, e in large), len(large) - 1


def chi_square_p(statistic: float, freedom: int) -> float:
    """Compute the probability of a chi-square at least this large.

    Args:
        statistic: >= 0.
        freedom: Degrees of freedom, >= 0; with 0 the answer is 1.

    Source: Abramowitz and Stegun, 26.4.4 and 26.4.5: the finite series for whole degrees of freedom.
    """
    half, odd = statistic / 2, freedom % 2
    if freedom <= 0 or half <= 0:
        return 1.0
    if math.isinf(half):
        return 0.0
    logs = [(i + odd / 2) * math.log(half) - half - math.lgamma(i + odd / 2 + 1) for i in range(freedom // 2)]
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    return min(1.0, tail + math.fsum(math.exp(log) for log in logs))


def fit_p(counts: Sequence[float], expected: Sequence[float]) -> float:
    """Compute the probability that counts depart from their expectation at least this much by chance."""
    return chi_square_p(*chi_square(counts, expected))


def fit_of_sums_p(sums: Sequence[RandomSum]) -> float:
    """Compute the probability that sums, or their counts, depart from their expectations at least this much by chance.

    The counts are tested by chi-square, and each sum by a two-sided normal test. A sum of fewer than 400 expected terms
    is not tested by itself: a few large terms would make it far from normal.

    Args:
        sums: One sum for each cell. Each independent draw falls on one cell.

    Returns:
        Bonferroni's bound: the smallest of these probabilities, times their number.
    """
    counts_p = fit_p([cell.terms for cell in sums], [cell.expected_terms for cell in sums])
    chances = [counts_p, *(_normal_p(cell) for cell in sums if cell.expected_terms >= _LEAST_TERMS)]
    return min(1.0, len(chances) * min(chances))


def _normal_p(cell: RandomSum) -> float:
    if abs(cell.total - cell.expected) <= _ROUNDING * cell.expected:
        return 1.0
    if cell.variance <= 0:
        return 0.0
    return math.erfc(abs(z_score(cell.total, cell.expected, cell.variance)) / math.sqrt(2))
