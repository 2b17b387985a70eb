"""Kaldi's data folders: `wav.scp` names recordings, `segments` cuts them, `utt2dur` and others describe utterances.

Source: Kaldi documentation, "Data preparation": each line of a file has an id and what the file says of it, separated
by blanks; an end of -1 in `segments` is the end of the recording.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from worker.core.catalog.manifest.hints import CATEGORY, DURATION, PATH, SPLIT, START, STATUS
from worker.core.catalog.manifest.lines import text_lines
from worker.core.catalog.manifest.neighbours import Lookup, Neighbours
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems, show
from worker.core.catalog.manifest.rows import Values, seconds_of
from worker.core.catalog.manifest.shapes import KALDI
from worker.core.catalog.manifest.spans import duration_between
from worker.core.catalog.manifest.wishes import Wishes
from worker.errors import ManifestError

RECORDINGS, SEGMENTS, DURATIONS = "wav.scp", "segments", "utt2dur"

_LOOKS = re.compile(r"\S+[ \t]+([^,\t]*\.(wav|flac|mp3|ogg|opus|sph|ark)\b[^,\t]*|[^,\t]*\|)", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.ark(:\d+)?", re.IGNORECASE)
_PIPE = "its recording is the output of a command (it ends with a bar); write that into a file, and name the file"
_IN_ARCHIVE = "its recording is within an archive (.ark); write it into a file, and name the file"
_TOLD = f"--map FILE=NAME, where NAME is {CATEGORY}, {STATUS}, {DURATION} or {SPLIT}"
_TO_THE_END = "-1"
_MOST_FIELDS = 5  # utterance, recording, start, end, and a channel perhaps


def is_kaldi(line: str) -> bool:
    """Return whether a first line looks like one of `wav.scp`."""
    return _LOOKS.fullmatch(line.strip()) is not None


def pairs(name: str, portions: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Read the ids of a file, and what it says of each.

    Raises:
        ManifestError: It is not text.
    """
    for line in text_lines(name, portions, Notes()):
        key, _, value = line.strip().replace("\t", " ", 1).partition(" ")
        if key:
            yield key, value.strip()


class KaldiRows:
    """The segments of a Kaldi folder, or its recordings where it has no segments.

    Args:
        lines: Lines of `segments` or `wav.scp`.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
        wishes: What was asked for; a column there is a file such as `utt2spk`.
        neighbours: The folder.
    """

    def __init__(
        self, lines: Iterable[str], problems: Problems, notes: Notes, wishes: Wishes, neighbours: Neighbours
    ) -> None:
        self._lines = lines
        self._problems = problems
        self._notes = notes
        self._wishes = wishes
        self._neighbours = neighbours

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Yield each row that can be read, with the number of its line.

        Raises:
            ManifestError: There is no category, or a file of the folder is missing or cannot be read.
        """
        self._notes.shape = KALDI
        if self._wishes.category is None and CATEGORY not in self._wishes.columns.values():
            self._problems.add(1, KALDI.lacks_category())
            raise self._problems.refusal()
        told = self._told()
        recordings = self._file(RECORDINGS) if self._neighbours.file == SEGMENTS else None
        for number, line in enumerate(self._lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, _segment(line, recordings, told) if recordings else _recording(line, told)
            except ValueError as error:
                self._problems.add(number, str(error))

    def _told(self) -> Mapping[str, Lookup]:
        """Return the files that describe utterances: one of our columns -> its file.

        Raises:
            ManifestError: A file that was asked for is missing, or is for what `wav.scp` and `segments` say.
        """
        if taken := {PATH, START}.intersection(self._wishes.columns.values()):
            raise ManifestError(
                f"{self._problems.name}: {min(taken)} is what {RECORDINGS} and {SEGMENTS} say; accepted: {_TOLD}"
            )
        durations = self._neighbours.look_up(DURATIONS, pairs)
        self._notes.used += [] if durations is None else [DURATIONS]
        told = {column: self._file(name) for name, column in self._wishes.columns.items() if column}
        return told if durations is None else {DURATION: durations, **told}

    def _file(self, name: str) -> Lookup:
        """Open a file of the folder.

        Raises:
            ManifestError: It is not there.
        """
        found = self._neighbours.look_up(name, pairs)
        if found is None:
            raise ManifestError(f"{self._problems.name}: there is no file {show(name)} beside it")
        self._notes.used.append(name)
        return found


def _recording(line: str, told: Mapping[str, Lookup]) -> Values:
    """Read a line of `wav.scp`.

    Raises:
        ValueError: It names no file.
    """
    key, path = _key_and_rest(line)
    return _values(key, _file_path(path), told, None, None)


def _segment(line: str, recordings: Lookup, told: Mapping[str, Lookup]) -> Values:
    """Read a line of `segments`.

    Raises:
        ValueError: It is not a segment of a file that is known.
    """
    fields = line.split()
    if not _MOST_FIELDS - 1 <= len(fields) <= _MOST_FIELDS:
        raise ValueError(f"it has {len(fields)} fields; accepted are utterance, recording, start and end")
    key, recording, start, end = fields[:4]
    path = recordings(recording)
    if path is None:
        raise ValueError(f"its recording {show(recording)} is not in {RECORDINGS}")
    start_s = seconds_of(start, "start")
    lasts_s = None if end.rstrip("0").rstrip(".") == _TO_THE_END else duration_between(start_s, seconds_of(end, "end"))
    return _values(key, _file_path(path), told, start_s, lasts_s)


def _values(key: str, path: str, told: Mapping[str, Lookup], start_s: float | None, lasts_s: float | None) -> Values:
    category, status, duration_s, split = (
        told[name](key) if name in told else None for name in (CATEGORY, STATUS, DURATION, SPLIT)
    )
    return path, category, status, duration_s if lasts_s is None else lasts_s, start_s, split


def _key_and_rest(line: str) -> tuple[str, str]:
    key, *rest = line.split(None, 1)
    if not rest:
        raise ValueError(f"{show(line.strip())} is an id without a file")
    return key, rest[0].strip()


def _file_path(path: str) -> str:
    """Return a path that names a file.

    Raises:
        ValueError: It is a command, or a place in an archive.
    """
    if path.endswith("|"):
        raise ValueError(_PIPE)
    if _ARCHIVE.fullmatch(path):
        raise ValueError(_IN_ARCHIVE)
    return path
