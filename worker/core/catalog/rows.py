"""Rows of chunks: arrays side by side, which are ordered, removed and inserted alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.columns import Columns
from worker.core.catalog.durations import Milliseconds


class Rows(NamedTuple):
    """What is known of some chunks beside the part that each is in.

    Attributes:
        ids: int64 or S16, shape (n,).
        durations: uint32, shape (n,), ms, each >= 1; None if durations do not matter.
        columns: What else is known of them; None if nothing is.
    """

    ids: NDArray[np.generic]
    durations: Milliseconds | None = None
    columns: Columns | None = None

    @property
    def arrays(self) -> list[NDArray[np.generic]]:
        """Return all arrays, the ids first."""
        durations = () if self.durations is None else (self.durations,)
        return [self.ids, *durations, *(() if self.columns is None else self.columns.arrays)]

    def with_arrays(self, arrays: Sequence[NDArray[np.generic]]) -> "Rows":
        """Return rows of the same kind.

        Args:
            arrays: As in `arrays`.
        """
        known = 1 if self.durations is None else 2
        durations = None if self.durations is None else arrays[1]
        columns = None if self.columns is None else self.columns.with_arrays(arrays[known:])
        return Rows(arrays[0], durations, columns)  # type: ignore[arg-type]

    def take(self, rows: NDArray[np.generic] | slice) -> "Rows":
        """Return some of the rows, given as numbers, as a mask or as a slice."""
        return self.with_arrays([one[rows] for one in self.arrays])
