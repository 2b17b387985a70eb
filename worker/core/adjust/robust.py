"""Sums, medians and Winsorised means of many groups at once.

Source: Huber and Ronchetti, "Robust Statistics", 2nd ed., 2009, section 1.2; Dixon and Tukey, "Approximate Behavior of
the Distribution of Winsorized t", Technometrics 10, 1968.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_TENTH: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What one report says of one category, as columns.

    Attributes:
        category: int64, (n,), index of the category.
        reporter: int64, (n,), index of the reporter.
        sum: float64, (n,).
        count: float64, (n,), whole numbers >= 1.
        squares: float64, (n,).
    """

    category: Integers
    reporter: Integers
    sum: Floats
    count: Floats
    squares: Floats

    def only(self, wanted: NDArray[np.bool_]) -> "Cells":
        """Return some of the cells."""
        columns = (self.sum, self.count, self.squares)
        return Cells(self.category[wanted], self.reporter[wanted], *(column[wanted] for column in columns))

    def placed(self, category: Integers, reporter: Integers) -> "Cells":
        """Return the cells with other indexes: old index -> new one."""
        return replace(self, category=category[self.category], reporter=reporter[self.reporter])

    def together(self, others: Sequence["Cells"]) -> "Cells":
        """Return these cells and others."""
        parts = (self, *others)
        return Cells(
            np.concatenate([one.category for one in parts]),
            np.concatenate([one.reporter for one in parts]),
            np.concatenate([one.sum for one in parts]),
            np.concatenate([one.count for one in parts]),
            np.concatenate([one.squares for one in parts]),
        )


class Winsorised(NamedTuple):
    """Winsorised means of reports, and their standard errors; float64, (k,)."""

    means: Floats
    errors: Floats


def winsorise(cells: Cells, k: int) -> Winsorised:
    """Average reports, with the lowest and the highest tenth of means, and the highest tenth of counts, Winsorised."""
    means = _pulled_in(cells.category, cells.sum / cells.count, k, both=True)
    weights = _pulled_in(cells.category, cells.count, k, both=False)
    all_weights, reports = add_up(cells.category, weights, k), count(cells.category, k)
    average = divide(add_up(cells.category, weights * means, k), all_weights)
    spread = add_up(cells.category, weights * (means - average[cells.category]) ** 2, k)
    return Winsorised(average, np.sqrt(divide(spread, all_weights * np.maximum(reports - 1, 1))))


def _pulled_in(groups: Integers, values: Floats, k: int, *, both: bool) -> Floats:
    """Replace the highest tenth of each group, and with `both` the lowest, by the nearest value that stays."""
    ordered, starts, numbers = _by_group(groups, values, k)
    cut = (numbers * _TENTH).astype(np.int64)
    highest = _at(ordered, starts + numbers - 1 - cut)[groups]
    lowest = _at(ordered, starts + cut)[groups] if both else values
    return np.minimum(np.maximum(values, lowest), highest)


def find_medians(groups: Integers, values: Floats, k: int) -> Floats:
    """Return the median of each of k groups; NaN of an empty one."""
    ordered, starts, numbers = _by_group(groups, values, k)
    middle = (_at(ordered, starts + (numbers - 1) // 2) + _at(ordered, starts + numbers // 2)) / 2
    return np.where(numbers > 0, middle, np.nan)


def _by_group(groups: Integers, values: Floats, k: int) -> tuple[Floats, Integers, Integers]:
    """Sort values within their groups; return them, where each of k groups starts, and how many it has."""
    numbers = count(groups, k)
    return values[np.lexsort((values, groups))], np.cumsum(numbers) - numbers, numbers


def _at(ordered: Floats, places: Integers) -> Floats:
    """Return values at places; an empty group gets any value."""
    return ordered[np.clip(places, 0, len(ordered) - 1)] if len(ordered) else np.zeros(len(places))


def add_up(groups: Integers, values: Floats, k: int) -> Floats:
    """Add up the values of each of k groups."""
    return np.bincount(groups, values, k).astype(np.float64)


def count(groups: Integers, k: int) -> Integers:
    """Count the values of each of k groups."""
    return np.bincount(groups, minlength=k).astype(np.int64)


def divide(numerator: Floats, denominator: Floats | Integers) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    return numerator / np.where(denominator > 0, denominator, np.nan)
