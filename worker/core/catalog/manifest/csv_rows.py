"""Rows of CSV: commas, double quotes, a header row.

A CSV reader accepts nearly everything. Rows that are formally valid but probably a mistake are refused here: a second
header, a comment, a quote after a blank, and rows that an open quote has swallowed.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence

from worker.core.catalog.manifest.columns import ACCEPTED, BLANKS, Columns, find_columns
from worker.core.catalog.manifest.hints import COLUMNS, NAMES, header_hints
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems, show
from worker.core.catalog.manifest.rows import Values
from worker.core.keys import CATEGORY_PATTERN
from worker.core.wording import plural

_COMMENT = "it begins with #, as a comment does, and a manifest has none; put a path that begins so into quotes"
_ANOTHER_HEADER = "it looks like another header; a manifest has one, and its columns keep their order"
_OPEN_QUOTE = "a quote that opens here is not closed before lines that look like rows"
_OPEN_HINT = "; perhaps a quote is not closed that opens in this row"
_BLANK_QUOTE = "a quote stands after a blank; it has to come right after the comma"


class CsvRows:
    """The rows of a CSV manifest.

    Args:
        lines: Lines with their ends.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
    """

    def __init__(self, lines: Iterable[str], problems: Problems, notes: Notes) -> None:
        self._taken: list[str] = []
        self._reader = csv.reader(self._kept(lines), strict=True)
        self._problems = problems
        self._notes = notes
        self._header: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Yield each row that can be read, with the number of its first line.

        Raises:
            ManifestError: The rest cannot be read.
        """
        columns: Columns | None = None
        for line, cells in self._rows():
            if columns is None:
                columns = self._read_header(line, cells)
            elif what := self._refusal(cells, columns):
                self._problems.add(line, what)
            elif cells[columns.indexes[0]].strip(BLANKS).lower() == COLUMNS[0]:
                self._notes.headers += 1
            else:
                yield line, self._values(cells, columns)

    def _kept(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines, keeping those of the current row."""
        for line in lines:
            self._taken.append(line)
            yield line

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each row that is not empty, with the number of its first line.

        Raises:
            ManifestError: The rest is not CSV.
        """
        first = 1
        try:
            for cells in self._reader:
                if any(map(str.strip, cells)):
                    yield first, cells
                elif len(cells) > 1:
                    self._notes.empty += 1
                first = self._reader.line_num + 1
                self._taken.clear()
        except csv.Error as error:
            self._problems.add(first, f"it is not CSV: {error}{_OPEN_HINT}")
            raise self._problems.refusal() from error

    def _read_header(self, line: int, cells: list[str]) -> Columns:
        """Find the known columns.

        Raises:
            ManifestError: The first row is not an accepted header.
        """
        self._header = _plain(cells)
        first = self._taken[0].strip()
        try:
            columns = find_columns(cells)
        except ValueError as error:
            hints = "; ".join([str(error), *header_hints(first)])
            self._problems.add(line, f"the header {show(first)} is not accepted: {hints}; {ACCEPTED}")
            raise self._problems.refusal() from error
        self._notes.ignored.update(dict.fromkeys(columns.ignored))
        return columns

    def _refusal(self, cells: Sequence[str], columns: Columns) -> str | None:
        """Return why a row is refused; None if it is accepted."""
        if self._taken[0].startswith("#"):
            return _COMMENT
        if len(cells) != len(self._header):
            return self._width_refusal(cells)
        path = cells[columns.indexes[0]].strip(BLANKS)
        if path.lower() in NAMES and _is_header(cells) and _plain(cells) != self._header:
            return _ANOTHER_HEADER
        if len(self._taken) > 1 and self._has_swallowed(columns):
            return _OPEN_QUOTE
        return _BLANK_QUOTE if path[:1] == '"' and _is_quoted_late(cells) else None

    def _width_refusal(self, cells: Sequence[str]) -> str:
        width = f"{plural(len(cells), 'field')} where the header has {len(self._header)}"
        if _is_header(cells):
            return f"{width}; {_ANOTHER_HEADER}"
        return f"{width}; {_BLANK_QUOTE}" if _is_quoted_late(cells) else width

    def _has_swallowed(self, columns: Columns) -> bool:
        """Return whether a row over several lines has two lines that look like rows of their own."""
        first, *others = (self._is_row(line, columns) for line in self._taken)
        return first and any(others)

    def _is_row(self, line: str, columns: Columns) -> bool:
        cells = line.replace('"', "").split(",")
        path, category = columns.indexes[:2]
        return (
            len(cells) == len(self._header)
            and bool(cells[path].strip())
            and CATEGORY_PATTERN.fullmatch(cells[category].strip()) is not None
        )

    def _values(self, cells: Sequence[str], columns: Columns) -> Values:
        """Return the known cells without the blanks around them; None for an optional one that is empty."""
        if len(self._taken) > 1:
            self._notes.spanning += 1
        path, category, status, duration_s = columns.indexes
        written = cells[path]
        trimmed = written.strip(BLANKS)
        if trimmed != written:
            self._notes.trimmed += 1
        state = None if status is None else cells[status].strip(BLANKS) or None
        if status is not None and state is None:
            self._notes.without_status += 1
        seconds = None if duration_s is None else cells[duration_s].strip(BLANKS) or None
        return trimmed, cells[category].strip(BLANKS), state, seconds


def _plain(cells: Sequence[str]) -> list[str]:
    return [cell.strip(BLANKS).lower() for cell in cells]


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether two cells are names of columns, or one is `path`."""
    names = [cell for cell in _plain(cells) if cell in NAMES]
    return len(names) > 1 or COLUMNS[0] in names


def _is_quoted_late(cells: Sequence[str]) -> bool:
    """Return whether a cell begins with a blank and then a quote."""
    return any(cell[:1] in BLANKS and cell.strip(BLANKS)[:1] == '"' for cell in cells if cell)
