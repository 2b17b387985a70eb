"""A manifest, read once from its first portion to its last.

A problem in a row does not end the reading: all problems are collected. The caller has to look at `problems` after the
last row, before it uses any of them.
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
    """The chunks to register, read in memory that does not grow with their number.

    A row has `path` and `category`, and may have `status` (default READY) and `duration_s`. Other columns are ignored,
    and a note says so.

    Args:
        name: What the manifest is called in sentences.
        portions: UTF-8, with or without a byte order mark: CSV with a header row, or JSON Lines.

    Attributes:
        problems: What is not accepted; complete once all rows are read.
        notes: What was left out or interpreted; complete then, too.
    """

    def __init__(self, name: str, portions: Iterable[bytes]) -> None:
        self.problems = Problems(name)
        self.notes = Notes()
        self._portions = portions

    def rows(self) -> Iterator[ChunkRow]:
        """Yield the accepted rows. A path may come more than once.

        Raises:
            ManifestError: The manifest is empty, or the rest cannot be read. The sentences name the lines.
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
    """Yield lines up to the first one with text in it."""
    for line in lines:
        yield line
        if line.strip(BLANKS).strip():
            return
