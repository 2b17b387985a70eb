"""Durations are whole milliseconds. Their means and variances do not depend on the order in which they came."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog.durations import LONGEST_S, measure_durations, whole_milliseconds

parts = st.lists(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=30), max_size=6)


@given(st.lists(st.floats(width=64), max_size=30))
def test_a_duration_is_rounded_to_milliseconds_or_none_at_all(seconds: list[float]) -> None:
    found = whole_milliseconds(np.array(seconds, dtype=np.float64))
    assert found.dtype == np.uint32
    for second, milliseconds in zip(seconds, found.tolist(), strict=True):
        if milliseconds:
            assert abs(second * 1000 - milliseconds) <= 0.5
        else:
            assert math.isnan(second) or second <= 0.0005 or second > LONGEST_S


def test_the_bounds_of_durations() -> None:
    seconds = [0.0005, 0.00050001, 0.001, 10.0004, 4_294_967.295, 4_294_967.2958, math.inf, -math.inf, math.nan, -1, 0]
    found = whole_milliseconds(np.array(seconds))
    assert found.tolist() == [0, 1, 1, 10_000, 2**32 - 1, 0, 0, 0, 0, 0, 0]


@given(parts)
def test_means_are_the_quotients_of_whole_numbers_to_the_last_bit(categories: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, categories)])
    column = np.array([one for part in categories for one in part], dtype=np.uint32)
    measured = measure_durations(column, offsets)
    assert measured.means_s.tolist() == [float(Fraction(sum(part), 1000 * len(part))) for part in categories]
    for part, variance in zip(categories, measured.variances_s2.tolist(), strict=True):
        mean = Fraction(sum(part), len(part))
        exact = sum((one - mean) ** 2 for one in part) / len(part) / 1_000_000
        assert variance == pytest.approx(float(exact), rel=1e-9, abs=1e-12 * float(mean) ** 2 / 1e6)


def test_many_chunks_are_measured_in_blocks() -> None:
    rng = np.random.default_rng(3)
    sizes = [100_000, 1, 70_000, 3]
    column = rng.integers(1, 10_000, sum(sizes)).astype(np.uint32)
    measured = measure_durations(column, np.cumsum([0, *sizes]))
    whole = [column[start : start + size] / 1000 for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False)]
    assert measured.means_s.tolist() == pytest.approx([part.mean() for part in whole], rel=1e-12)
    assert measured.variances_s2.tolist() == pytest.approx([part.var() for part in whole], rel=1e-9)


def test_chunks_that_last_alike_do_not_vary() -> None:
    column = np.full(100_003, 9_997, dtype=np.uint32)
    measured = measure_durations(column, np.array([0, 7, 100_003]))
    assert measured.means_s.tolist() == [9.997, 9.997]
    assert measured.variances_s2.tolist() == [0.0, 0.0]
    assert not column.flags.writeable


def test_no_categories_have_no_means() -> None:
    measured = measure_durations(np.empty(0, np.uint32), np.array([0]))
    assert (len(measured.means_s), len(measured.variances_s2)) == (0, 0)
