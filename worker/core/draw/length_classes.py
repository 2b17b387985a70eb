"""Length classes: a scale of durations that never moves, for passes that go on while buckets move.

An octave has eight classes. So the longest chunk of a class lasts up to 9 % longer than the shortest. Edges of buckets
follow the weights and the library. Those of classes do not, and they are whole numbers. So each worker always finds the
same class for a chunk.
"""

from math import isqrt
from typing import Final

import numpy as np

from worker.core.catalog.durations import LONGEST_S, MS_A_SECOND, Milliseconds
from worker.core.mixture import Integers

_OCTAVES: Final = int(LONGEST_S * MS_A_SECOND).bit_length()
BOUNDS_MS: Final[Integers] = np.unique([isqrt(isqrt(isqrt(1 << i))) for i in range(8 * _OCTAVES + 1)])
"""int64, ascending: the longest duration of each class, 2^(i/8) rounded down."""


def class_of(milliseconds: Milliseconds | Integers) -> Integers:
    """Return the number of the class of each duration, int64, in the shape of the durations.

    Args:
        milliseconds: Each >= 1.
    """
    return np.searchsorted(BOUNDS_MS, milliseconds)
