"""Keyed numbers are the reference to the bit, and look random: within a stream, across seeds, and across purposes.

Every statistical test has a fixed seed and would fail a right implementation with chance 1e-6.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.drawing import FALSE_ALARM, chance_of_even
from worker.core.draw.random_numbers import Purpose, keyed_words, stream_starts, to_uniforms
from worker.core.hashing import GOLDEN

MASK = (1 << 64) - 1
DRAWS = 200_000
PURPOSES = [
    Purpose.CATEGORY,
    Purpose.CHUNK,
    Purpose.ORDER,
    Purpose.SUBSET,
    Purpose.PASS_ON,
    Purpose.PASS_ON + 1,
    Purpose.RETRY,
    Purpose.RETRY + 1,
]
words = st.integers(0, MASK)


def _mixed(value: int) -> int:
    """The finaliser of SplitMix64, in whole numbers of any length."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def _uniform(seed: int, purpose: int, counter: int) -> float:
    """Compute one keyed number as the docstrings define it."""
    stream = _mixed(_mixed((seed + int(GOLDEN)) & MASK) ^ (purpose * int(GOLDEN) & MASK))
    return (_mixed((stream + (counter + 1) * int(GOLDEN)) & MASK) >> 11) / 2**53


def _array(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def _keyed(seeds: NDArray[np.uint64], purpose: int, counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    return to_uniforms(keyed_words(stream_starts(seeds, purpose), counters))


def _numbers(seed: int, purpose: int, count: int = DRAWS) -> NDArray[np.float64]:
    return _keyed(np.full(count, seed, np.uint64), purpose, np.arange(count, dtype=np.uint64))


def _cell(numbers: NDArray[np.float64], cells: int) -> NDArray[np.int64]:
    return (numbers * cells).astype(np.int64)


@given(st.lists(st.tuples(words, st.integers(0, 2**40)), max_size=50), st.integers(0, 2**41))
def test_keyed_numbers_are_the_reference_to_the_bit(pairs: list[tuple[int, int]], purpose: int) -> None:
    seeds, counters = _array(*(seed for seed, _ in pairs)), _array(*(counter for _, counter in pairs))
    expected = [_uniform(seed, purpose, counter) for seed, counter in pairs]
    assert _keyed(seeds, purpose, counters).tolist() == expected


@given(st.lists(words, min_size=1), words)
def test_keyed_numbers_lie_in_the_unit_interval_with_53_bits(seeds: list[int], counter: int) -> None:
    numbers = _keyed(_array(*seeds), 0, np.full(len(seeds), counter, np.uint64))
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert (numbers * 2**53 == np.floor(numbers * 2**53)).all()


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_numbers_of_a_stream_are_even_and_neighbours_are_independent(seed: int, purpose: int) -> None:
    numbers = _numbers(seed, purpose)
    assert chance_of_even(_cell(numbers, 1000), 1000) > FALSE_ALARM
    pairs = _cell(numbers[:-1], 30) * 30 + _cell(numbers[1:], 30)
    assert chance_of_even(pairs[::2], 900) > FALSE_ALARM


@pytest.mark.parametrize("purpose", PURPOSES)
def test_first_numbers_of_seeds_in_a_row_are_even(purpose: int) -> None:
    """Jobs number their requests, so seeds are 0, 1, 2 and so on."""
    seeds = np.arange(DRAWS, dtype=np.uint64)
    numbers = _keyed(seeds, purpose, np.zeros(DRAWS, dtype=np.uint64))
    assert chance_of_even(_cell(numbers, 1000), 1000) > FALSE_ALARM


@pytest.mark.parametrize("first", range(len(PURPOSES)))
def test_purposes_of_a_seed_are_independent(first: int) -> None:
    for second in range(first):
        pairs = _cell(_numbers(9, PURPOSES[first]), 30) * 30 + _cell(_numbers(9, PURPOSES[second]), 30)
        assert chance_of_even(pairs, 900) > FALSE_ALARM / len(PURPOSES)


@pytest.mark.parametrize("step", [1, 2, int(GOLDEN), 1 << 32])
def test_streams_of_related_seeds_are_independent(step: int) -> None:
    pairs = _cell(_numbers(5, 0), 30) * 30 + _cell(_numbers((5 + step) & MASK, 0), 30)
    assert chance_of_even(pairs, 900) > FALSE_ALARM


def test_the_yardstick_sees_a_stream_that_repeats_another() -> None:
    """A control: the same stream twice must not pass as two."""
    pairs = _cell(_numbers(5, 0), 30) * 30 + _cell(_numbers(5, 0), 30)
    assert chance_of_even(pairs, 900) < FALSE_ALARM
