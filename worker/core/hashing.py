"""SplitMix64: the one hash of 64-bit integers, behind seeded draws, orders of passes and the catalog's fingerprint.

Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 16
(finaliser variant 13 by Stafford). It uses integers alone, so every platform computes the same.
"""

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def hash64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash each number so that every output bit depends on every input bit.

    Args:
        values: uint64, any shape.

    Returns:
        uint64, the same shape; a bijection of the input.
    """
    hashed = values >> np.uint64(30)
    hashed ^= values
    hashed *= _FIRST
    hashed ^= hashed >> np.uint64(27)
    hashed *= _SECOND
    hashed ^= hashed >> np.uint64(31)
    return hashed
