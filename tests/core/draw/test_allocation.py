"""Laws of the allocation: counts follow the weights, and categories come in random order.

Statistical tests are in `test_sampling_chances`.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import Extremes, mixture_of, mixtures, rng_seeds, seeds, shares
from worker.core.draw.allocation import (
    _draw_rows,
    allocate_systematically,
    count_columns,
    order_by,
    shuffle_within_requests,
    sort_within,
)
from worker.core.draw.random_numbers import Purpose, RandomNumbers
from worker.core.mixture import Floats, Integers, Mixture

tables = st.integers(1, 20).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 9), min_size=width, max_size=width).filter(any), min_size=1, max_size=9
    )
)


@given(mixtures, st.lists(st.integers(1, 65_536), min_size=1, max_size=20), rng_seeds)
def test_stratified_counts_are_the_ideal_rounded_down_or_up(mixture: Mixture, sizes: list[int], seed: int) -> None:
    wanted = np.array(sizes)
    counts = allocate_systematically(wanted, mixture.cumulative, np.random.default_rng(seed).random(len(sizes)))
    ideal = wanted[:, None] * mixture.probabilities
    assert (counts >= np.floor(ideal - 1e-6)).all()
    assert (counts <= np.ceil(ideal + 1e-6)).all()
    assert counts.sum(axis=1).tolist() == sizes


def _average(allocate: object, size: int, cumulative: Floats, steps: int = 1000) -> Floats:
    """Average the counts over evenly spread numbers, instead of random ones."""
    assert callable(allocate)
    offsets = (np.arange(steps) + 0.5) / steps
    averages: Floats = allocate(np.full(steps, size), cumulative, offsets).mean(axis=0)
    return averages


def _is_unbiased(allocate: object, size: int, mixture: Mixture) -> bool:
    """Each edge between categories is right on average to half a step, so each count is right to one step."""
    ideal = size * mixture.probabilities
    return bool((np.abs(_average(allocate, size, mixture.cumulative) - ideal) <= 1e-3 + 1e-6).all())


def _largest_remainder(sizes: Integers, cumulative: Floats, _offsets: Floats) -> Integers:
    """Allocate by largest remainder, the biased method that must not be used."""
    ideal = sizes[:, None] * np.diff(cumulative, prepend=0)
    counts = np.floor(ideal).astype(np.int64)
    positions = np.argsort(np.argsort(counts - ideal, axis=1), axis=1)
    rounded: Integers = counts + (positions < (sizes - counts.sum(axis=1))[:, None])
    return rounded


@given(mixtures, st.integers(1, 65_536))
def test_stratified_counts_are_unbiased(mixture: Mixture, size: int) -> None:
    assert _is_unbiased(allocate_systematically, size, mixture)


def test_largest_remainder_is_biased() -> None:
    """A control: with batches of 8, a category stays 5 points off for ever."""
    mixture = mixture_of({"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}, dict.fromkeys("abcd", 10))
    average = _average(_largest_remainder, 8, mixture.cumulative)
    assert average.sum() == 8
    assert not _is_unbiased(_largest_remainder, 8, mixture)
    assert _is_unbiased(allocate_systematically, 8, mixture)


@given(st.lists(shares, min_size=2, max_size=8), st.integers(1, 100), st.randoms(use_true_random=False))
def test_no_position_is_favoured(parts: list[float], size: int, random: object) -> None:
    """A category gets the same on average, wherever it is among the others."""
    probabilities = np.array(parts) / sum(parts)
    order = np.array(random.sample(range(len(parts)), len(parts)))  # type: ignore[attr-defined]
    cumulative, permuted = np.cumsum(probabilities), np.cumsum(probabilities[order])
    cumulative[-1] = permuted[-1] = 1.0
    straight = _average(allocate_systematically, size, cumulative)
    assert _average(allocate_systematically, size, permuted) == pytest.approx(straight[order], abs=2e-3 + 1e-6)


def _column(edges: Sequence[float], number: float) -> int:
    return next(i for i, edge in enumerate(edges) if edge > number)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), min_size=1), rng_seeds)
def test_rows_of_their_own_weights_are_drawn_to_the_bit(rows: list[list[int]], seed: int) -> None:
    """The same as one search a number. Exhausted categories are never found; the number of the row does not matter."""
    cumulative = np.cumsum(np.array(rows, dtype=float), axis=1)
    cumulative /= cumulative[:, -1:]
    sizes = np.arange(1, len(rows) + 1)
    numbers = RandomNumbers([seed + row for row in range(len(rows))], sizes, np.random.default_rng(0))
    counts = _draw_rows(sizes, cumulative, numbers, np.arange(len(rows)), Purpose.PASS_ON)
    for row, edges in enumerate(cumulative.tolist()):
        index = np.arange(sizes[row])
        drawn = numbers.uniforms_at(Purpose.PASS_ON, np.full_like(index, row), index).tolist()
        columns = [_column(edges, number) for number in drawn]
        assert counts[row].tolist() == np.bincount(columns, minlength=3).tolist()
        assert not counts[row][np.array(rows[row]) == 0].any()


@pytest.mark.parametrize("number", [0.0, 0.25, 0.5, 1 - 2**-53])
def test_numbers_on_an_edge_belong_to_the_category_behind_it(number: float) -> None:
    """This holds in every row, the first and the thousandth."""
    edges = [0.0, 0.25, 0.5, 0.5, 1.0, 1.0]
    rows = np.arange(5000)
    numbers = RandomNumbers([None] * len(rows), np.ones_like(rows), Extremes(number))
    counts = _draw_rows(np.ones_like(rows), np.tile(edges, (len(rows), 1)), numbers, rows, Purpose.PASS_ON)
    assert (counts[:, _column(edges, number)] == 1).all()


@given(tables, st.data())
def test_every_request_gets_its_categories_in_an_order_of_its_own(table: list[list[int]], data: st.DataObject) -> None:
    """A row with a seed has its order, whatever is beside it."""
    counts = np.array(table)
    batch = data.draw(st.lists(seeds, min_size=len(table), max_size=len(table)))
    rng = np.random.default_rng(data.draw(rng_seeds))
    ordered = shuffle_within_requests(counts, RandomNumbers(batch, counts.sum(axis=1), rng))
    assert count_columns(counts.sum(axis=1), ordered, counts.shape[1]).tolist() == table
    for row, categories in enumerate(np.split(ordered, counts.sum(axis=1).cumsum()[:-1])):
        if batch[row] is not None:
            alone = counts[row : row + 1]
            again = shuffle_within_requests(alone, RandomNumbers([batch[row]], alone.sum(axis=1), rng))
            assert again.tolist() == categories.tolist()


@given(st.lists(st.integers(0, 50) | st.integers(0, 2**32 - 1), max_size=200))
def test_order_by_is_a_stable_argsort(keys: list[int]) -> None:
    values = np.array(keys, dtype=np.int64)
    assert order_by(values).tolist() == np.argsort(values, kind="stable").tolist()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8) | st.builds(lambda n: [3] * n, st.integers(1, 8)), rng_seeds)
def test_words_are_sorted_within_their_requests(sizes: list[int], seed: int) -> None:
    """Rows are sorted one by one or all at once."""
    owners = np.arange(len(sizes), dtype=np.uint64).repeat(sizes)
    words = owners << np.uint64(60) | np.random.default_rng(seed).integers(0, 2**60, len(owners), dtype=np.uint64)
    expected = sorted(words.tolist())
    sort_within(words, np.array(sizes))
    assert words.tolist() == expected
