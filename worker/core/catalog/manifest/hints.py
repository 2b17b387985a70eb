"""Hints on what a refused manifest probably means: near names of columns, known formats."""

import difflib
import re
from collections.abc import Collection, Sequence

COLUMNS = PATH, CATEGORY, STATUS, DURATION, START, SPLIT = (
    "path",
    "category",
    "status",
    "duration_s",
    "start_s",
    "split",
)
"""The columns of ours."""

_CLOSE = 0.8
_MEANT = {
    "path": "file filepath filename fname audio audio_file audio_filepath audio_path wav wav_file wav_path uri url"
    " location clip sound slice_file_name file_path file_name relative_path full_path abs_path",
    "category": "label labels class classes class_name genre genres tag tags cat kind type topic domain target"
    " audio_class",
    "status": "state ready is_ready",
    "duration_s": "dur length len seconds secs sec length_s length_sec length_secs length_seconds length_ms"
    " audio_length num_seconds milliseconds",
    "start_s": "start begin onset offset start_sec start_secs start_seconds start_time start_ms begin_s begin_time"
    " offset_s offset_sec offset_seconds",
    "split": "subset data_split dataset_split",
}
_OTHER_NAMES = {other: name for name, others in _MEANT.items() for other in others.split()}
NAMES = frozenset({*COLUMNS, *_OTHER_NAMES, "duration"})
"""Names of columns, here or in other formats."""

_FORMATS = {
    "FSD50K": {"fname", "labels", "mids"},
    "ESC-50": {"filename", "fold", "target"},
    "UrbanSound8K": {"slice_file_name", "fold"},
    "Lhotse supervisions, which name no file: give the cuts": {"recording_id", "start"},
}
_BAR = "|"
_STARTS = {
    "#extm3u": "it looks like a playlist (M3U)",
    "#": "it begins with a comment (#), and a manifest has none",
    "sep=": "it begins with a line for spreadsheets (sep=), which is to be removed",
}
_FILE = re.compile(r"[/\\]|\.[a-z0-9]{2,4}\"?\s*$")


def meant(name: str) -> str | None:
    """Return the known column that a name probably means; None if there is none."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain.startswith("duration") or plain.endswith("duration"):
        return "duration_s"
    if plain in _OTHER_NAMES:
        return _OTHER_NAMES[plain]
    close = difflib.get_close_matches(plain, COLUMNS, n=1, cutoff=_CLOSE)
    return close[0] if close else None


def renames(names: Sequence[str], missing: Collection[str]) -> str:
    """Return which columns to rename, because they seem to be missing ones; empty if there is none."""
    pairs: dict[str, str] = {}
    for name in names:
        column = meant(name)
        if column is not None and column in missing and column not in pairs.values():
            pairs[name] = column
    if not pairs:
        return ""
    told = " ".join(f"--map {_word(name)}={column}" for name, column in pairs.items())
    return f"rename {', '.join(f'{name} to {column}' for name, column in pairs.items())}, or say {told}"


def known_format(names: Collection[str]) -> str | None:
    """Return the name of the format that has these columns, if it is known."""
    plain = {name.lower() for name in names}
    return next((format_ for format_, columns in _FORMATS.items() if columns <= plain), None)


def header_hints(line: str) -> list[str]:
    """Return hints on what a first line that is not an accepted header looks like."""
    start = line.strip().lower()
    hints = [hint for words, hint in _STARTS.items() if start.startswith(words)][:1]
    if not hints and any(_FILE.search(cell) for cell in start.split(",")):
        hints.append("the first line has to name the columns, and this looks like a row")
    if "," not in line and _BAR in line:
        hints.append("bars separate its columns; accepted are commas, semicolons and tabs")
        names = [name.strip() for name in line.split(_BAR)]
        if renamed := renames(names, [column for column in COLUMNS if column not in names]):
            hints.append(renamed)
    return hints


def _word(name: str) -> str:
    """Write a name as a word for a shell."""
    return name if re.fullmatch(r"[\w./-]+", name) else f"'{name}'"
