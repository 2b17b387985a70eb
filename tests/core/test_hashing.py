"""The hash is SplitMix64 to the bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.core.hashing import GOLDEN, hash64

MASK = (1 << 64) - 1
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


def _array(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def test_the_published_sequence_comes_out() -> None:
    """The first numbers of SplitMix64 seeded with 1234567, as Rosetta Code and others give them."""
    states = _array(*((1234567 + (i + 1) * int(GOLDEN)) & MASK for i in range(5)))
    assert hash64(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.lists(words, max_size=50))
def test_the_hash_is_the_reference_to_the_bit(values: list[int]) -> None:
    assert hash64(_array(*values)).tolist() == [_mixed(value) for value in values]


@given(words)
def test_the_hash_can_be_undone_so_no_two_numbers_share_one(value: int) -> None:
    assert _unmixed(int(hash64(_array(value))[0])) == value
