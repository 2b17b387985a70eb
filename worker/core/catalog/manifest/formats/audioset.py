"""AudioSet's lists of segments: comments, then a video, its start, its end and its labels a line.

Source: AudioSet, "Download", e.g. `balanced_train_segments.csv`: `# YTID, start_seconds, end_seconds, positive_labels`;
a blank follows each comma, and the labels are quoted and separated by commas.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace

from worker.core.catalog.manifest.columns import Columns, find_columns
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.rows import Values, seconds_of
from worker.core.catalog.manifest.shapes import AUDIOSET
from worker.core.catalog.manifest.spans import duration_between
from worker.core.catalog.manifest.wishes import Wishes
from worker.core.wording import plural

_NAMES = ("ytid", "start_seconds", "end_seconds", "positive_labels")
_STARTS = ("# segments csv", "# ytid")


def is_audioset(line: str) -> bool:
    """Return whether a first line is that of a list of segments."""
    return line.strip().lower().startswith(_STARTS)


class AudioSetRows:
    """The rows of a list of segments. The path of a row is its YTID.

    Args:
        lines: Lines with their ends.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
        wishes: What was asked for.
    """

    def __init__(self, lines: Iterable[str], problems: Problems, notes: Notes, wishes: Wishes) -> None:
        self._lines = lines
        self._problems = problems
        self._notes = notes
        self._wishes = wishes

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Yield each row that can be read, with the number of its line.

        Raises:
            ManifestError: There is no category.
        """
        try:
            columns = find_columns(_NAMES, replace(self._wishes, format=AUDIOSET.name))
        except ValueError as error:
            self._problems.add(1, str(error))
            raise self._problems.refusal() from error
        self._notes.shape = AUDIOSET
        for number, line in enumerate(self._lines, start=1):
            if line.startswith("#") or not line.strip():
                continue
            try:
                yield number, _values(line, columns)
            except ValueError as error:
                self._problems.add(number, str(error))


def _values(line: str, columns: Columns) -> Values:
    """Read a row.

    Raises:
        ValueError: It is not a segment.
    """
    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(f"it is not CSV: {error}") from error
    if len(cells) != len(_NAMES):
        raise ValueError(f"{plural(len(cells), 'field')} where there have to be {', '.join(_NAMES)}")
    path, start, end, labels = (cell.strip() for cell in cells)
    start_s = seconds_of(start, _NAMES[1])
    found = (path, start, end, labels.split(","))
    _, category, status, _, _, split = (None if at is None else found[at] for at in columns.indexes)
    return path, category, status, duration_between(start_s, seconds_of(end, _NAMES[2])), start_s, split
