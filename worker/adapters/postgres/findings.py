"""Rows that are read again by their ids: for each part, what PostgreSQL packs of the rows that are READY in it.

Each row has its place among the ids, from 1, and its numbers, in network order. So no Python object is made for a row,
but for its path.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worker.adapters.postgres.selection import Selection, number
from worker.core.catalog import Columns, part_name, refer_to_paths
from worker.core.catalog.columns import finite
from worker.core.catalog.durations import whole_milliseconds
from worker.core.wire import PATH
from worker.ports import Known


def packed_columns(selection: Selection) -> str:
    """Return the SQL of two columns: the packed rows, and their paths, null where paths are not held."""
    fields = ["int4send(named.place::int)"]
    fields += [f"float8send({number('duration_s')})"] if selection.with_durations else []
    fields += [f"int8send({selection.mark})"] if selection.held else []
    fields += [f"float8send({number(name)})" for name in selection.numbers]
    paths = f"array_agg({PATH}::text)" if PATH in selection.held else "null::text[]"
    return f"string_agg({' || '.join(fields)}, ''), {paths}"


class Findings:
    """What was found of some ids, part after part.

    Attributes:
        has_twice: Whether an id was found in two parts.
    """

    def __init__(self, selection: Selection, count: int) -> None:
        """Begin with nothing found.

        Args:
            selection: What is read.
            count: Number of the ids.
        """
        self.has_twice = False
        self._with_durations, self._with_paths = selection.with_durations, PATH in selection.held
        self._parts = np.full(count, None, dtype=np.object_)
        self._durations = np.zeros(count, np.uint32)
        numbers = {name: np.full(count, np.nan) for name in selection.numbers}
        paths = refer_to_paths([None])[0].repeat(count) if self._with_paths else None
        self._columns = Columns(np.zeros(count, np.int64), numbers, paths) if selection.held else None
        self._row = np.dtype(
            [
                ("place", ">i4"),
                *([("duration_s", ">f8")] if selection.with_durations else []),
                *([("mark", ">i8")] if selection.held else []),
                *[(f"{name}_held", ">f8") for name in selection.numbers],
            ]
        )

    def add(self, start: int, found: tuple[str, str, bytes, Sequence[str | None] | None]) -> None:
        """Add the rows of one part.

        Args:
            start: How many ids come before those that were asked for.
            found: Category, split, packed rows, and paths; see `packed_columns`.
        """
        category, split, packed, texts = found
        rows = np.frombuffer(packed, self._row)
        places = rows["place"].astype(np.int64) - 1 + start
        lasting = np.ones(len(rows), np.bool_)
        if self._with_durations:
            milliseconds = whole_milliseconds(rows["duration_s"].astype(np.float64))
            lasting = milliseconds > 0
            self._durations[places[lasting]] = milliseconds[lasting]
        if self._columns is not None:
            self._columns.marks[places] = rows["mark"]
            for name, values in self._columns.numbers.items():
                values[places] = finite(rows[f"{name}_held"].astype(np.float64))
            self._add_paths(places, texts or ())
        places = places[lasting]
        self.has_twice |= any(part is not None for part in self._parts[places])
        self._parts[places] = part_name(category, split)

    def known(self) -> Known:
        """Return what is known of the ids now."""
        parts: list[str | None] = self._parts.tolist()
        return Known(parts, self._durations if self._with_durations else None, self._columns)

    def _add_paths(self, places: NDArray[np.int64], texts: Sequence[str | None]) -> None:
        columns = self._columns
        if columns is None or columns.paths is None:
            return
        paths, own = refer_to_paths([None if text is None else text.encode() for text in texts])
        moved = Columns(columns.marks[places], {}, paths, own).moved(columns.texts)
        if moved.paths is not None:
            columns.paths[places] = moved.paths
        self._columns = replace(columns, texts=moved.texts)
