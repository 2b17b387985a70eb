"""Rows of CSV: commas, semicolons or tabs, double quotes, a header row.

A CSV reader accepts nearly everything. Rows that are formally valid but probably a mistake are refused here: a second
header, a comment, a quote after a blank, and rows that an open quote has swallowed.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence

from worker.core.catalog.manifest.columns import BLANKS, Columns, find_columns, plain_names
from worker.core.catalog.manifest.delimiters import COMMA, Separation
from worker.core.catalog.manifest.hints import COLUMNS, NAMES, header_hints
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems, show
from worker.core.catalog.manifest.rows import Values
from worker.core.catalog.manifest.wishes import AS_IT_IS, Wishes
from worker.core.keys import CATEGORY_PATTERN
from worker.core.wording import plural

_COMMENT = "it begins with #, as a comment does, and a manifest has none; put a path that begins so into quotes"
_ANOTHER_HEADER = "it looks like another header; a manifest has one, and its columns keep their order"
_OPEN_QUOTE = "a quote that opens here is not closed before lines that look like rows"
_OPEN_HINT = "; perhaps a quote is not closed that opens in this row"
_BLANK_QUOTE = "a quote stands after a blank; it has to come right after what separates the columns"


class CsvRows:
    """The rows of a CSV manifest.

    Args:
        lines: Lines with their ends.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
        wishes: What was asked for.
        separation: What separates the columns.
    """

    def __init__(
        self,
        lines: Iterable[str],
        problems: Problems,
        notes: Notes,
        wishes: Wishes = AS_IT_IS,
        separation: Separation = COMMA,
    ) -> None:
        self._taken: list[str] = []
        self._separation = separation
        self._reader = csv.reader(
            self._kept(lines),
            delimiter=separation.delimiter,
            quoting=csv.QUOTE_MINIMAL if separation.has_quotes else csv.QUOTE_NONE,
            strict=True,
        )
        self._problems = problems
        self._notes = notes
        self._wishes = wishes
        self._header: list[str] = []
        self._path_name = COLUMNS[0]

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
            elif _at(cells, columns.indexes[0]).lower() == self._path_name:
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
        self._header = plain_names(cells)
        first = self._taken[0].strip()
        try:
            columns = find_columns(cells, self._wishes)
        except ValueError as error:
            said = "; ".join([*header_hints(first), str(error)])
            self._problems.add(line, f"the header {show(first)} is not accepted: {said}")
            raise self._problems.refusal() from error
        self._path_name = "" if columns.indexes[0] is None else self._header[columns.indexes[0]]
        self._notes.shape = columns.shape
        self._notes.ignored.update(dict.fromkeys(columns.ignored))
        return columns

    def _refusal(self, cells: Sequence[str], columns: Columns) -> str | None:
        """Return why a row is refused; None if it is accepted."""
        if self._taken[0].startswith("#"):
            return _COMMENT
        if len(cells) != len(self._header):
            return self._width_refusal(cells)
        path = _at(cells, columns.indexes[0])
        if path.lower() in NAMES and _is_header(cells) and plain_names(cells) != self._header:
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
        cells = line.strip("\r\n").replace('"', "").split(self._separation.delimiter)
        path, category = columns.indexes[:2]
        if len(cells) != len(self._header) or not _at(cells, path):
            return False
        return category is None or CATEGORY_PATTERN.fullmatch(_at(cells, category)) is not None

    def _values(self, cells: Sequence[str], columns: Columns) -> Values:
        """Return the known cells without the blanks around them; None for an optional one that is empty."""
        if len(self._taken) > 1:
            self._notes.spanning += 1
        at_path, category, status, duration_s, start_s, split = columns.indexes
        written = "" if at_path is None else cells[at_path]
        path = written.strip(BLANKS)
        if path != written:
            path = self._with_blanks(written)
        state = None if status is None else cells[status].strip(BLANKS) or None
        if status is not None and state is None:
            self._notes.without_status += 1
        seconds = None if duration_s is None else cells[duration_s].strip(BLANKS) or None
        begin = None if start_s is None else cells[start_s].strip(BLANKS) or None
        part = None if split is None else cells[split].strip(BLANKS) or None
        return path, None if category is None else cells[category].strip(BLANKS), state, seconds, begin, part

    def _with_blanks(self, written: str) -> str:
        """Return a path that has blanks around it: with them where they are in quotes, else without them."""
        doubled = written.replace('"', '""')
        if self._separation.has_quotes and any(f'"{doubled}"' in line for line in self._taken):
            self._notes.blank_paths += 1
            return written
        self._notes.trimmed += 1
        return written.strip(BLANKS)


def _at(cells: Sequence[str], place: int | None) -> str:
    """Return a cell without the blanks around it; empty where there is no such column."""
    return "" if place is None else cells[place].strip(BLANKS)


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether two cells are names of columns, or one is `path`."""
    names = [cell for cell in plain_names(cells) if cell in NAMES]
    return len(names) > 1 or COLUMNS[0] in names


def _is_quoted_late(cells: Sequence[str]) -> bool:
    """Return whether a cell begins with a blank and then a quote."""
    return any(cell[:1] in BLANKS and cell.strip(BLANKS)[:1] == '"' for cell in cells if cell)
