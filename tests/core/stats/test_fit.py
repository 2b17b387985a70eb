"""The statistics agree with SciPy's, and reject what does not fit."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import FALSE_ALARM
from worker.core.stats.fit import RandomSum, chi_square, chi_square_p, fit_of_sums_p, fit_p, z_score

freedoms = st.integers(1, 2000)


@given(st.floats(0, 1e4), freedoms)
def test_the_tail_of_chi_square_is_scipys(statistic: float, freedom: int) -> None:
    assert chi_square_p(statistic, freedom) == pytest.approx(
        scipy.special.chdtrc(freedom, statistic), rel=1e-9, abs=1e-300
    )


@given(freedoms, st.floats(1e-12, 1 - 1e-12))
def test_the_tail_is_scipys_where_it_matters(freedom: int, chance: float) -> None:
    statistic = float(scipy.special.chdtri(freedom, chance))
    assert chi_square_p(statistic, freedom) == pytest.approx(chance, rel=1e-8)


@given(st.floats(0, math.inf), st.integers(-1, 300))
def test_the_tail_is_a_probability(statistic: float, freedom: int) -> None:
    assert 0 <= chi_square_p(statistic, freedom) <= 1


@pytest.mark.parametrize(
    ("statistic", "freedom", "chance"),
    [(0.0, 3, 1.0), (5e-324, 3, 1.0), (7.0, 0, 1.0), (math.inf, 3, 0.0), (1.7e308, 1, 0.0), (1.7e308, 2, 0.0)],
)
def test_the_ends_of_the_tail(statistic: float, freedom: int, chance: float) -> None:
    assert chi_square_p(statistic, freedom) == chance


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(5, 1000)), min_size=2, max_size=50))
def test_without_small_cells_the_statistic_is_pearsons(cells: list[tuple[int, float]]) -> None:
    counts = np.array([count for count, _ in cells], dtype=float)
    expected = np.array([ideal for _, ideal in cells])
    statistic, freedom = chi_square(counts.tolist(), expected.tolist())
    assert statistic == pytest.approx(float(((counts - expected) ** 2 / expected).sum()))
    assert freedom == len(cells) - 1


@pytest.mark.parametrize(
    ("counts", "expected", "pooled_counts", "pooled_expected"),
    [
        ([10, 2, 3, 40], [12, 2.5, 3.5, 37], [10, 5, 40], [12, 6, 37]),
        ([10, 0, 45], [12, 1, 42], [10, 45], [13, 42]),
        ([45, 1, 1, 8], [42, 0.5, 1.5, 11], [45, 10], [42, 13]),
        ([10, 0, 45], [13, 0, 42], [10, 45], [13, 42]),
    ],
    ids=["small ones together", "and with the smallest large one", "wherever they stand", "nothing is no cell"],
)
def test_small_cells_are_pooled_until_they_expect_enough(
    counts: Sequence[float],
    expected: Sequence[float],
    pooled_counts: Sequence[float],
    pooled_expected: Sequence[float],
) -> None:
    reference = scipy.stats.chisquare([float(count) for count in sorted(pooled_counts)], sorted(pooled_expected))
    assert fit_p(counts, expected) == pytest.approx(float(reference.pvalue))


@pytest.mark.parametrize(("counts", "expected"), [([3, 1], [2, 2]), ([5], [5]), ([], []), ([0], [0])])
def test_what_leaves_one_cell_always_fits(counts: list[float], expected: list[float]) -> None:
    assert fit_p(counts, expected) == 1.0


def test_a_count_where_nothing_is_expected_never_fits() -> None:
    assert chi_square([99, 1], [100, 0]) == (math.inf, 1)
    assert fit_p([99, 1], [100, 0]) == 0.0
    assert fit_p([1], [0]) == 0.0


def test_counts_and_expectations_have_to_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        chi_square([1, 2], [3])


def _fits(chances: Sequence[float], *, size: int, rounds: int) -> list[float]:
    drawn = np.random.default_rng(3).multinomial(size, chances, size=rounds)
    return [fit_p(counts, [size * chance for chance in chances]) for counts in drawn.tolist()]


@pytest.mark.parametrize(
    "chances",
    [[0.4, 0.3, 0.2, 0.1], [0.9999, 0.0001], [0.6, 0.399889, 1e-4, 1e-5, 1e-6]],
    ids=["large", "one small cell", "small cells"],
)
def test_true_counts_are_rejected_as_rarely_as_promised(chances: list[float]) -> None:
    """20,000 rounds below the 1 % point: about 200, and not above 300 (false-alarm rate far below 1e-6)."""
    rejected = sum(chance < 0.01 for chance in _fits(chances, size=1000, rounds=20_000))
    assert rejected <= 300


def test_wrong_weights_are_rejected() -> None:
    rng = np.random.default_rng(4)
    counts = rng.multinomial(100_000, [0.4, 0.3, 0.2, 0.1]).tolist()
    assert fit_p(counts, [40_000, 30_000, 20_000, 10_000]) > FALSE_ALARM
    assert fit_p(counts, [30_000, 40_000, 20_000, 10_000]) < FALSE_ALARM
    assert fit_p(counts, [42_000, 30_000, 18_000, 10_000]) < FALSE_ALARM


@pytest.mark.parametrize(
    ("count", "expected", "variance", "z"), [(12, 10, 4, 1.0), (6, 10, 4, -2.0), (5, 5, 0, 0.0), (6, 5, 0, 0.0)]
)
def test_z_is_the_distance_in_standard_deviations(count: int, expected: int, variance: int, z: float) -> None:
    assert z_score(count, expected, variance) == z


def test_z_of_binomial_counts_is_standard_normal() -> None:
    counts = np.random.default_rng(6).binomial(10_000, 0.3, size=2000)
    scores = [z_score(count, 3000, 2100) for count in counts.tolist()]
    law: Callable[[float], float] = scipy.stats.norm.cdf
    assert scipy.stats.kstest(scores, law).pvalue > FALSE_ALARM


def _sums(rng: np.random.Generator, draws: int, shares: list[float], means: list[float]) -> list[RandomSum]:
    """Draw cells, and for each draw an exponential number with the cell's mean."""
    cells = rng.choice(len(shares), draws, p=shares)
    totals = np.bincount(cells, rng.exponential(np.array(means)[cells]), len(shares)).tolist()
    counts = np.bincount(cells, minlength=len(shares)).tolist()
    drawn = zip(totals, counts, shares, means, strict=True)
    return [RandomSum(t, draws * p * m, draws * (2 * p * m * m - (p * m) ** 2), n, draws * p) for t, n, p, m in drawn]


def test_true_sums_are_rejected_as_rarely_as_promised() -> None:
    """Chances below 1 % come in at most 2 % of 4000 rounds: at a true 1.2 %, more would be chance 1e-5 or less."""
    rng = np.random.default_rng(5)
    chances = np.array([fit_of_sums_p(_sums(rng, 3000, [0.5, 0.3, 0.19, 0.01], [1, 9, 0.2, 400])) for _ in range(4000)])
    assert np.mean(chances < 0.01) < 0.02
    assert np.mean(chances < 0.1) > 0.05


@pytest.mark.parametrize(("shares", "means"), [([0.55, 0.45], [1.0, 9.0]), ([0.5, 0.5], [1.0, 10.0])])
def test_wrong_sums_are_rejected(shares: list[float], means: list[float]) -> None:
    """A wrong probability, and wrong durations."""
    expected = _sums(np.random.default_rng(6), 20_000, [0.5, 0.5], [1.0, 9.0])
    drawn = _sums(np.random.default_rng(7), 20_000, shares, means)
    pairs = zip(expected, drawn, strict=True)
    assert fit_of_sums_p([one._replace(total=other.total, terms=other.terms) for one, other in pairs]) < 1e-9
    assert fit_of_sums_p(drawn) > 1e-4


def test_sums_of_few_terms_are_left_to_their_counts() -> None:
    """Four large terms where half a term is expected are no surprise, but far off by the normal law."""
    odd = RandomSum(4 * 60.0, 0.5 * 60, 0.5 * 60**2, 4, 0.5)
    rest = RandomSum(996.0, 999.5, 1.0, 996, 999.5)
    assert z_score(odd.total, odd.expected, odd.variance) > 4.9
    assert fit_of_sums_p([odd, rest]) > 1e-4


def test_sums_that_cannot_vary_have_to_be_what_is_expected() -> None:
    assert fit_of_sums_p([RandomSum(5000.0001, 5000, 0, 500, 500)]) == 1
    assert fit_of_sums_p([RandomSum(5001, 5000, 0, 500, 500)]) == 0
