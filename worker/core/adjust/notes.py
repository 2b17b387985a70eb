"""The memory of a rule that learns: arrays by category for the rule, and a JSON object for Redis.

Redis holds the object, so anybody may have written it. A memory that no rule can have written is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from worker.core.adjust.values import number, shown, whole
from worker.core.mixture import Floats
from worker.errors import AdjustError

_COLUMNS: Final = "columns"
_CATEGORIES: Final = "categories"
_LARGEST: Final = 1e60
"""No number of a memory is larger, in either direction. Squares of such numbers are finite."""

_MOST_STEPS: Final = 1 << 53


class Notes:
    """The memory of a rule, as arrays of the categories that take part.

    Args:
        memory: The JSON object.
        categories: Names, shape (k,).
    """

    def __init__(self, memory: Mapping[str, Any], categories: tuple[str, ...]) -> None:
        self.memory = memory
        self.categories = categories

    def part(self, name: str) -> "Notes":
        """Read a memory within the memory; an empty one if there is none.

        Raises:
            AdjustError: It is no object.
        """
        found = self.memory.get(name, {})
        if not isinstance(found, dict):
            raise _refused(name, found)
        return Notes(found, self.categories)

    def column(self, name: str, *default: float) -> Floats:
        """Read a column; float64, shape (k, n), n as many as there are defaults.

        Raises:
            AdjustError: It has another shape, or other values than numbers.
        """
        columns = self.memory.get(_COLUMNS, {})
        if not isinstance(columns, dict):
            raise _refused(_COLUMNS, columns)
        column = np.tile(np.array(default, dtype=np.float64), (len(self.categories), 1))
        if name in columns:
            known = self._places()
            rows = _read_rows(name, columns[name], len(known), len(default))
            places = np.array([known.get(category, -1) for category in self.categories])
            column[places >= 0] = rows[places[places >= 0]]
        return column

    def number(self, name: str, default: float, *, least: float) -> float:
        """Read a number.

        Raises:
            AdjustError: It is none, or less than it may be.
        """
        try:
            return number(self.memory, name, default, least=least, most=_LARGEST)
        except AdjustError:
            raise _refused(name, self.memory[name]) from None

    def steps(self) -> int:
        """Read how often the rule has learned.

        Raises:
            AdjustError: It is no such number.
        """
        try:
            return whole(self.memory, "step", 0, least=0, most=_MOST_STEPS)
        except AdjustError:
            raise _refused("step", self.memory["step"]) from None

    def numbers(self, name: str) -> Floats:
        """Read a list of numbers; float64, shape (n,), empty if there is none.

        Raises:
            AdjustError: It is no list of numbers.
        """
        found = self.memory.get(name, [])
        if not isinstance(found, list):
            raise _refused(name, found)
        return _read_rows(name, [found], 1, len(found)).ravel()

    def write(self, columns: Mapping[str, Floats]) -> dict[str, Any]:
        """Write columns, float64, shape (k, n) each, as they are read again: to nine digits, and each name once.

        Raises:
            AdjustError: A number is not finite: what was read of the memory cannot be.
        """
        for name, column in columns.items():
            if not np.isfinite(column).all():
                raise _refused(name, "numbers that lead to no number")
        rounded = {
            name: [[float(f"{value:.9g}") for value in row] for row in column.tolist()]
            for name, column in columns.items()
        }
        return {_CATEGORIES: list(self.categories), _COLUMNS: rounded}

    def _places(self) -> dict[str, int]:
        """Read the categories of the columns: name -> row."""
        found = self.memory.get(_CATEGORIES)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise _refused(_CATEGORIES, found)
        known = {name: place for place, name in enumerate(found)}
        if len(known) < len(found):
            raise _refused(_CATEGORIES, found)
        return known


def _read_rows(name: str, found: object, height: int, width: int) -> Floats:
    """Read rows of numbers; float64, shape (height, width)."""
    rows = found if isinstance(found, list) else []
    is_right = len(rows) == height and all(isinstance(row, list) and len(row) == width for row in rows)
    if not is_right or not all(_is_number(value) for row in rows for value in row):
        raise _refused(name, found)
    return np.array(rows, dtype=np.float64).reshape(height, width)


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and -_LARGEST <= value <= _LARGEST  # type: ignore[operator]


def _refused(name: str, found: object) -> AdjustError:
    return AdjustError(f"the memory of a rule has {name} {shown(found)}; accepted: once the rule is set again")
