"""The mixer is SplitMix64 to the bit, and what is drawn from it looks like chance wherever one looks.

Every statistical test has a fixed seed and would fail a right implementation with chance 1e-6.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.drawing import FALSE_ALARM, chance_of_even
from worker.core.draw.random_numbers import Lane
from worker.core.hashing import GOLDEN, keyed_words, mix, streams, to_uniforms

MASK = (1 << 64) - 1
DRAWS = 200_000
LANES = [Lane.CATEGORY, Lane.CHUNK, Lane.ORDER, Lane.SUBSET, Lane.PASS_ON, Lane.PASS_ON + 1, Lane.RETRY, Lane.RETRY + 1]
words = st.integers(0, MASK)


def _mixed(value: int) -> int:
    """The finaliser of SplitMix64, in whole numbers of any length."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def _unmixed(value: int) -> int:
    """Its inverse, step by step."""
    value ^= (value >> 31) ^ (value >> 62)
    value = value * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK
    value ^= (value >> 27) ^ (value >> 54)
    value = value * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK
    return value ^ (value >> 30) ^ (value >> 60)


def _uniform(seed: int, lane: int, counter: int) -> float:
    """A keyed number as the docstrings have it, alone."""
    stream = _mixed(_mixed((seed + int(GOLDEN)) & MASK) ^ (lane * int(GOLDEN) & MASK))
    return (_mixed((stream + (counter + 1) * int(GOLDEN)) & MASK) >> 11) / 2**53


def _array(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def _keyed(seeds: NDArray[np.uint64], lane: int, counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    return to_uniforms(keyed_words(streams(seeds, lane), counters))


def _numbers(seed: int, lane: int, count: int = DRAWS) -> NDArray[np.float64]:
    return _keyed(np.full(count, seed, np.uint64), lane, np.arange(count, dtype=np.uint64))


def _cell(numbers: NDArray[np.float64], cells: int) -> NDArray[np.int64]:
    return (numbers * cells).astype(np.int64)


def test_the_published_sequence_comes_out() -> None:
    """The first numbers of SplitMix64 seeded with 1234567, as Rosetta Code and others give them."""
    states = _array(*((1234567 + (i + 1) * int(GOLDEN)) & MASK for i in range(5)))
    assert mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.lists(words, max_size=50))
def test_mixing_is_the_reference_to_the_bit(values: list[int]) -> None:
    assert mix(_array(*values)).tolist() == [_mixed(value) for value in values]


@given(words)
def test_mixing_can_be_undone_so_no_two_numbers_mix_alike(value: int) -> None:
    assert _unmixed(int(mix(_array(value))[0])) == value


@given(st.lists(st.tuples(words, st.integers(0, 2**40)), max_size=50), st.integers(0, 2**41))
def test_keyed_numbers_are_the_reference_to_the_bit(pairs: list[tuple[int, int]], lane: int) -> None:
    seeds, counters = _array(*(seed for seed, _ in pairs)), _array(*(counter for _, counter in pairs))
    expected = [_uniform(seed, lane, counter) for seed, counter in pairs]
    assert _keyed(seeds, lane, counters).tolist() == expected


@given(st.lists(words, min_size=1), words)
def test_keyed_numbers_lie_in_the_unit_interval_with_53_bits(seeds: list[int], counter: int) -> None:
    numbers = _keyed(_array(*seeds), 0, np.full(len(seeds), counter, np.uint64))
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert (numbers * 2**53 == np.floor(numbers * 2**53)).all()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_numbers_of_a_stream_are_even_and_neighbours_are_independent(seed: int, lane: int) -> None:
    numbers = _numbers(seed, lane)
    assert chance_of_even(_cell(numbers, 1000), 1000) > FALSE_ALARM
    pairs = _cell(numbers[:-1], 30) * 30 + _cell(numbers[1:], 30)
    assert chance_of_even(pairs[::2], 900) > FALSE_ALARM


@pytest.mark.parametrize("lane", LANES)
def test_first_numbers_of_seeds_in_a_row_are_even(lane: int) -> None:
    """As jobs count their requests up: seed 0, 1, 2 and so on."""
    seeds = np.arange(DRAWS, dtype=np.uint64)
    numbers = _keyed(seeds, lane, np.zeros(DRAWS, dtype=np.uint64))
    assert chance_of_even(_cell(numbers, 1000), 1000) > FALSE_ALARM


@pytest.mark.parametrize("first", range(len(LANES)))
def test_lanes_of_a_seed_are_independent(first: int) -> None:
    for second in range(first):
        pairs = _cell(_numbers(9, LANES[first]), 30) * 30 + _cell(_numbers(9, LANES[second]), 30)
        assert chance_of_even(pairs, 900) > FALSE_ALARM / len(LANES)


@pytest.mark.parametrize("step", [1, 2, int(GOLDEN), 1 << 32])
def test_streams_of_related_seeds_are_independent(step: int) -> None:
    pairs = _cell(_numbers(5, 0), 30) * 30 + _cell(_numbers((5 + step) & MASK, 0), 30)
    assert chance_of_even(pairs, 900) > FALSE_ALARM


def test_the_yardstick_sees_a_stream_that_repeats_another() -> None:
    """A control: the same stream twice must not pass for two."""
    pairs = _cell(_numbers(5, 0), 30) * 30 + _cell(_numbers(5, 0), 30)
    assert chance_of_even(pairs, 900) < FALSE_ALARM
