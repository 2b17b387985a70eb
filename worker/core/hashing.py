"""SplitMix64: the one integer mixer behind seeded draws and the catalog's fingerprint.

Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 16
(finaliser variant 13 by Stafford); integers only, so every platform computes the same.
"""

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53
_MASK = (1 << 64) - 1


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix each number so that every output bit depends on every input bit.

    Args:
        values: uint64, any shape.

    Returns:
        uint64, the same shape, a bijection of the input.
    """
    mixed = values >> np.uint64(30)
    mixed ^= values
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def streams(seeds: NDArray[np.uint64], lane: int) -> NDArray[np.uint64]:
    """Tell where the numbers of some seeds begin.

    Args:
        seeds: uint64, shape (n,).
        lane: What the numbers are for, >= 0; different lanes of a seed are independent streams.
    """
    return mix(mix(seeds + GOLDEN) ^ np.uint64(lane * int(GOLDEN) & _MASK))


def keyed_words(begun: NDArray[np.uint64], counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Compute random bits that depend on nothing but their stream and counter.

    Args:
        begun: uint64, shape (n,): where each number's stream begins, from `streams`.
        counters: uint64, shape (n,): the number's index within its stream.

    Returns:
        uint64, shape (n,).
    """
    steps = counters + np.uint64(1)
    steps *= GOLDEN
    steps += begun
    return mix(steps)


def to_uniforms(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn random bits into numbers in [0, 1), float64 with 53 random bits each."""
    uniforms = (words >> np.uint64(11)).astype(np.float64)
    uniforms *= _UNIT
    return uniforms
