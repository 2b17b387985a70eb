"""A manifest, read once from its first portion to its last.

What is wrong in a row does not end the reading: it is collected, so that all of it can be said at once. Whoever reads
the rows has to ask `problems` at the end, before anything is made of them.
"""

import itertools
from collections.abc import Iterable, Iterator

from worker.core.catalog.manifest.columns import ACCEPTED, BLANKS
from worker.core.catalog.manifest.csv_rows import CsvRows
from worker.core.catalog.manifest.json_rows import JsonRows
from worker.core.catalog.manifest.lines import text_lines
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.rows import ChunkRow, chunk_row
from worker.errors import ManifestError


class Manifest:
    """Read the chunks to register, in memory that does not grow with their number.

    A row has `path` and `category`, and may have `status` (READY unless said) and `duration_s`. All else is ignored,
    and said.

    Args:
        name: What sentences call it.
        portions: UTF-8, with or without a byte order mark: CSV with a header row, or JSON Lines.

    Attributes:
        problems: What is not accepted; complete once all rows are read.
        notes: What was taken and has to be said; complete then, too.
    """

    def __init__(self, name: str, portions: Iterable[bytes]) -> None:
        self.problems = Problems(name)
        self.notes = Notes()
        self._portions = portions

    def rows(self) -> Iterator[ChunkRow]:
        """Yield the rows that are accepted; each path may come more than once.

        Raises:
            ManifestError: It is empty, or cannot be read on; the sentences name the lines.
        """
        for line, values in self._read():
            try:
                row = chunk_row(line, values)
            except ValueError as error:
                self.problems.add(line, str(error))
            else:
                self.notes.rows += 1
                yield row
        if not self.notes.rows and not self.problems.count:
            raise ManifestError(f"{self.problems.name} has no rows; {ACCEPTED}")

    def _read(self) -> CsvRows | JsonRows:
        lines = text_lines(self.problems.name, self._portions, self.notes)
        start = list(_to_first_text(lines))
        is_json = bool(start) and start[-1].lstrip().startswith("{")
        reader = JsonRows if is_json else CsvRows
        return reader(itertools.chain(start, lines), self.problems, self.notes)


def _to_first_text(lines: Iterator[str]) -> Iterator[str]:
    """Take lines up to the first that has text in it."""
    for line in lines:
        yield line
        if line.strip(BLANKS).strip():
            return
