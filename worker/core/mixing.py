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
    mixed = (values ^ (values >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def keyed_uniforms(seeds: NDArray[np.uint64], lane: int, counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Compute uniform numbers that depend on nothing but their seed, lane and counter.

    Args:
        seeds: uint64, shape (n,): the request's seed, once a number.
        lane: What the numbers are for, >= 0; different lanes of a seed are independent streams.
        counters: uint64, shape (n,): the number's index within its request.

    Returns:
        float64, shape (n,), in [0, 1), with 53 random bits each.
    """
    key = np.uint64(lane * int(GOLDEN) & _MASK)
    streams = mix(mix(seeds + GOLDEN) ^ key)
    return (mix(streams + (counters + np.uint64(1)) * GOLDEN) >> np.uint64(11)).astype(np.float64) * _UNIT
