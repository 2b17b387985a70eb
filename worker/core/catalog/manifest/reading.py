"""A manifest, read once from its first portion to its last.

A problem in a row does not end the reading: all problems are collected. The caller has to look at `problems` after the
last row, before it uses any of them.
"""

import itertools
from collections.abc import Iterable, Iterator

from worker.core.catalog.manifest.columns import ACCEPTED, BLANKS
from worker.core.catalog.manifest.completing import Completion
from worker.core.catalog.manifest.csv_rows import CsvRows
from worker.core.catalog.manifest.delimiters import separation_of
from worker.core.catalog.manifest.formats.audioset import AudioSetRows, is_audioset
from worker.core.catalog.manifest.formats.kaldi import KaldiRows, is_kaldi
from worker.core.catalog.manifest.json_rows import JsonRows
from worker.core.catalog.manifest.lines import text_lines
from worker.core.catalog.manifest.neighbours import Neighbours, NoNeighbours
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.rows import ChunkRow, Values, chunk_row
from worker.core.catalog.manifest.shapes import AUDIOSET, KALDI
from worker.core.catalog.manifest.tables import Table, TableRows
from worker.core.catalog.manifest.wishes import AS_IT_IS, Wishes
from worker.errors import ManifestError

_JSON = ("jsonl", "nemo", "lhotse")
_CSV = ("csv", "commonvoice")
_ALONE = NoNeighbours()


class Manifest:
    """The chunks to register, read in memory that does not grow with their number.

    A row has `path` and `category`, and may have `status` (default READY), `duration_s`, `start_s` and `split`. Other
    columns are ignored, and a note says so. Formats of others are told by their looks.

    Args:
        name: What the manifest is called in sentences.
        content: The bytes of its text in portions, or a table.
        wishes: What was asked for beside what it says.
        neighbours: The files beside it.

    Attributes:
        problems: What is not accepted; complete once all rows are read.
        notes: What was left out or interpreted; complete then, too.
    """

    def __init__(
        self,
        name: str,
        content: Iterable[bytes] | Table,
        wishes: Wishes = AS_IT_IS,
        neighbours: Neighbours = _ALONE,
    ) -> None:
        self.problems = Problems(name)
        self.notes = Notes()
        self._content = content
        self._wishes = wishes
        self._neighbours = neighbours

    def rows(self) -> Iterator[ChunkRow]:
        """Yield the accepted rows. A path may come more than once.

        Raises:
            ManifestError: The manifest is empty, or the rest cannot be read. The sentences name the lines.
        """
        completion = Completion(self._wishes, self.notes, self._neighbours)
        has_wishes = self._wishes != AS_IT_IS
        for line, values in self._read():
            try:
                is_whole = not has_wishes and self.notes.shape is None
                row = chunk_row(line, values if is_whole else completion.complete(values))
            except ValueError as error:
                self.problems.add(line, str(error))
            else:
                self.notes.rows += 1
                yield row
        if not self.notes.rows and not self.problems.count:
            raise ManifestError(f"{self.problems.name} has no rows; {ACCEPTED}")

    def _read(self) -> Iterable[tuple[int, Values]]:
        if isinstance(self._content, Table):
            return TableRows(self._content, self.problems, self.notes, self._wishes)
        lines = text_lines(self.problems.name, self._content, self.notes, self._wishes.encoding)
        start = list(_to_first_text(lines))
        first = start[-1].strip().strip(BLANKS) if start else ""
        return self._read_text(first, itertools.chain(start, lines))

    def _read_text(self, first: str, lines: Iterable[str]) -> Iterable[tuple[int, Values]]:
        """Choose who reads the lines: by the format that was asked for, else by the first line."""
        asked, wishes = self._wishes.format, self._wishes
        if asked == KALDI.name or (asked is None and is_kaldi(first)):
            return KaldiRows(lines, self.problems, self.notes, wishes, self._neighbours)
        if asked == AUDIOSET.name or (asked is None and is_audioset(first)):
            return AudioSetRows(lines, self.problems, self.notes, wishes)
        if asked in _JSON or (asked not in _CSV and first.startswith("{")):
            return JsonRows(lines, self.problems, self.notes, wishes)
        return CsvRows(lines, self.problems, self.notes, wishes, separation_of(first, wishes.columns, asked))


def _to_first_text(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines up to the first one with text in it."""
    for line in lines:
        yield line
        if line.strip(BLANKS).strip():
            return
