"""Rows of a table that has columns already, such as a Parquet file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from worker.core.catalog.manifest.columns import BLANKS, find_columns
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.rows import Values
from worker.core.catalog.manifest.wishes import Wishes


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are read in portions.

    Attributes:
        names: The names of its columns.
        read: Returns the rows, each with the values of the columns at some indexes, in this order.
    """

    names: Sequence[str]
    read: Callable[[Sequence[int]], Iterator[Sequence[object]]]


class TableRows:
    """The rows of a table.

    Args:
        table: The table.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
        wishes: What was asked for.
    """

    def __init__(self, table: Table, problems: Problems, notes: Notes, wishes: Wishes) -> None:
        self._table = table
        self._problems = problems
        self._notes = notes
        self._wishes = wishes

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Yield each row with its number, from 1.

        Raises:
            ManifestError: Its columns are not accepted, or the rest cannot be read.
        """
        self._problems.unit = "row"
        try:
            columns = find_columns(self._table.names, self._wishes)
        except ValueError as error:
            self._problems.add(1, str(error))
            raise self._problems.refusal() from error
        self._notes.shape = columns.shape
        self._notes.ignored.update(dict.fromkeys(columns.ignored))
        wanted = [index for index in columns.indexes if index is not None]
        places = [None if index is None else wanted.index(index) for index in columns.indexes]
        for number, row in enumerate(self._table.read(wanted), start=1):
            path, category, status, duration_s, start_s, split = (None if at is None else row[at] for at in places)
            if isinstance(path, str) and path.strip(BLANKS) != path:
                self._notes.blank_paths += 1
            if status is None and places[2] is not None:
                self._notes.without_status += 1
            yield number, (path, category, status, duration_s, start_s, split)
