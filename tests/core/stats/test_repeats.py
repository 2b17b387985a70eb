"""How often chunks were heard: the estimate agrees with real draws, and keeps its bounds for any counts."""

import math
from itertools import product

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from worker.core.stats.repeats import Repeats, mean_repeats, most_repeats, repeats_of

counts = st.integers(0, 10**7)
sizes = st.integers(1, 10**7)
SIGMAS = 5.0  # a false alarm in 1.7 million
POISSON = 0.006  # how far Poisson's counts are off from real ones at most, from 30 chunks heard on


def expected(heard: int, ready: int) -> float:
    found = most_repeats(heard, ready)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("heard", "ready"),
    [(30, 2), (30, 10), (30, 1000), (100, 3), (100, 365), (1000, 30), (1000, 1000), (10_000, 100), (200_000, 100)],
)
def test_real_draws_hear_one_chunk_as_often_as_is_said(heard: int, ready: int) -> None:
    rng = np.random.default_rng(18)
    most = rng.multinomial(heard, np.full(ready, 1 / ready), size=1000).max(axis=1)
    allowed = SIGMAS * most.std(ddof=1) / math.sqrt(len(most)) + POISSON * most.mean()
    assert abs(expected(heard, ready) - most.mean()) <= allowed


@pytest.mark.parametrize(("heard", "ready"), [(2, 2), (3, 2), (5, 2), (2, 10), (5, 3), (5, 5), (4, 8)])
def test_the_smallest_counts_are_within_6_per_cent_of_the_truth(heard: int, ready: int) -> None:
    most = [np.bincount(drawn).max() for drawn in product(range(ready), repeat=heard)]
    assert expected(heard, ready) == pytest.approx(np.mean(most), rel=0.06)


@pytest.mark.parametrize(("mean", "ready"), list(product([0.01, 0.7, 12.0, 900.0], [2, 50, 10**6])))
def test_the_sum_is_that_of_scipys_distribution(mean: float, ready: int) -> None:
    heard = round(mean * ready)
    values = np.arange(round(mean + 30 * math.sqrt(mean) + 60))
    tails = np.minimum(scipy.stats.poisson.sf(values, heard / ready), 1 - 1e-16)
    total = -np.expm1(ready * np.log1p(-tails)).sum()
    assert expected(heard, ready) == pytest.approx(min(heard, max(total, math.ceil(heard / ready))), rel=1e-9)


@pytest.mark.parametrize("ready", [2, 10, 1000, 10**6])
def test_large_means_go_on_where_small_ones_end(ready: int) -> None:
    small, large = expected(1000 * ready, ready), expected(1000 * ready + 1, ready)
    assert 0 <= large - small < 1 / ready + 0.1


@given(counts, sizes)
def test_the_most_heard_chunk_is_heard_at_least_as_often_as_the_mean_and_at_most_always(heard: int, ready: int) -> None:
    assert math.ceil(heard / ready) <= expected(heard, ready) <= heard
    assert mean_repeats(heard, ready) == heard / ready


@given(counts, st.integers(0, 10**6), sizes)
def test_more_heard_is_never_less_repeated(heard: int, more: int, ready: int) -> None:
    assert expected(heard, ready) <= expected(heard + more, ready) + 1e-9


@given(st.integers(0, 10**5), sizes, sizes)
def test_a_larger_library_is_never_more_repeated(heard: int, ready: int, more: int) -> None:
    assert expected(heard, ready + more) <= expected(heard, ready) * 1.06


@given(st.integers(0, 10**12))
def test_a_single_chunk_is_heard_each_time(heard: int) -> None:
    assert most_repeats(heard, 1) == heard


@given(counts, st.none() | st.just(0))
def test_what_is_not_known_is_not_made_up(heard: int, ready: int | None) -> None:
    assert repeats_of(heard, ready) == Repeats(ready, None, None)


@given(counts, sizes, st.integers(1, 100))
def test_in_passes_no_chunk_is_heard_more_often_than_there_were(heard: int, ready: int, passes: int) -> None:
    found = repeats_of(heard, ready, passes)
    if heard <= passes * ready:
        assert found.most_repeats == min(passes, heard)
    else:
        assert found == repeats_of(heard, ready)


def test_passes_are_known_without_the_library() -> None:
    assert repeats_of(70, None, 3) == Repeats(None, None, 3.0)
    assert repeats_of(70, 0, 3) == Repeats(0, None, 3.0)
