"""One row of a manifest: which values are accepted."""

import math
import re
from dataclasses import dataclass, field

from worker.core.catalog.manifest.columns import BLANKS
from worker.core.catalog.manifest.hints import COLUMNS, DURATION, START
from worker.core.catalog.manifest.problems import show
from worker.core.catalog.naming import made_name
from worker.core.keys import CATEGORY_PATTERN

STATUSES = ("PENDING", "PROCESSING", "READY", "FAILED")

Values = tuple[object, object, object, object, object, object]
"""The values of path, category, status, duration_s, start_s and split; None for a missing one."""

_MAX_PATH_BYTES = 2000  # a PostgreSQL index takes entries of at most 2,704 bytes
_MOST_BYTES_A_CHARACTER = 4
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_SPLIT = re.compile(r"[a-z0-9_-]{1,32}")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", re.ASCII)
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029]")
_NO_PATHS = {*COLUMNS, "nan", "none", "null"}
_NO_CATEGORIES = {*COLUMNS, "nan", "null"}
_QUOTES = "'`"
_DEFAULT_STATUS = "READY"


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One chunk to register.

    Attributes:
        path: Where it is; with `start_s` this identifies the chunk.
        category: A category name.
        status: One of `STATUSES`.
        duration_s: Its length in seconds, finite and >= 0; None if not known.
        start_s: Where it begins in its file, in seconds, finite and >= 0; None for a whole file.
        split: The part of the library that it belongs to, such as `train` or `val`; None if not known.
        error: Why it is FAILED; None if nothing is wrong, or not known.
        line: Number of its line in the manifest, from 1; 0 if it is not from a manifest.
    """

    path: str
    category: str
    status: str = _DEFAULT_STATUS
    duration_s: float | None = None
    start_s: float | None = None
    split: str | None = None
    error: str | None = None
    line: int = field(default=0, compare=False)


def chunk_row(line: int, values: Values) -> ChunkRow:
    """Check the values of one row.

    Raises:
        ValueError: One is not accepted. The sentence says what is.
    """
    path, category, status, duration_s, start_s, split = values
    if status is None:
        status = _DEFAULT_STATUS
    if not isinstance(category, str) or not CATEGORY_PATTERN.fullmatch(category) or category in _NO_CATEGORIES:
        raise ValueError(_category_refusal(category))
    if status not in STATUSES:
        raise ValueError(_status_refusal(status))
    if split is not None and not (isinstance(split, str) and _SPLIT.fullmatch(split)):
        raise ValueError(_split_refusal(split))
    seconds = None if duration_s is None else seconds_of(duration_s)
    begin = None if start_s is None else seconds_of(start_s, START)
    return ChunkRow(_path(path), category, str(status), seconds, begin, split, line=line)


def _category_refusal(value: object) -> str:
    if isinstance(value, str) and value in _NO_CATEGORIES:
        return f"category {show(value)} is the name of a column, or stands for a category that is missing"
    sentence = f"category {show(value)} is not 1 to 64 of a-z, 0-9, _ and -"
    if not isinstance(value, str) or not value.strip():
        return sentence
    return f"{sentence}; the nearest accepted name is {made_name(value)}"


def _status_refusal(value: object) -> str:
    sentence = f"status {show(value)} is not one of {', '.join(STATUSES)}"
    is_near = isinstance(value, str) and value.strip().upper() in STATUSES
    return f"{sentence}; write it in capitals" if is_near else sentence


def _split_refusal(value: object) -> str:
    sentence = f"split {show(value)} is not 1 to 32 of a-z, 0-9, _ and -"
    nearest = value.strip(BLANKS).lower() if isinstance(value, str) else ""
    return f"{sentence}; the nearest accepted one is {nearest}" if _SPLIT.fullmatch(nearest) else sentence


def _path(value: object) -> str:
    """Check a path.

    Raises:
        ValueError: It is not a plausible path.
    """
    if not isinstance(value, str) or not value.strip(BLANKS):
        raise ValueError(f"path {show(value)} is not 1 to {_MAX_PATH_BYTES:,} bytes of text")
    # encode() refuses lone surrogates, which PostgreSQL cannot store.
    if len(value) * _MOST_BYTES_A_CHARACTER > _MAX_PATH_BYTES or not value.isascii():
        _check_bytes(value)
    if not value.isprintable() and _CONTROL.search(value):
        hint = "a path has no line breaks, tabs or NUL; a backslash within JSON is written twice"
        raise ValueError(f"path {show(value)} has a control character; {hint}")
    if '"' in {value[0], value[-1]} or (value[0] in _QUOTES and value[0] == value[-1]):
        raise ValueError(f"path {show(value)} begins or ends with a quote, which would be part of it")
    if value.lower() in _NO_PATHS:
        raise ValueError(f"path {show(value)} is the name of a column, or stands for a path that is missing")
    return value


def _check_bytes(path: str) -> None:
    """Refuse a path that is too long or cannot be encoded.

    Raises:
        ValueError: It is too long, or cannot be encoded.
    """
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise ValueError(f"path {show(path)} is not 1 to {_MAX_PATH_BYTES:,} bytes of text")


def seconds_of(value: object, column: str = DURATION) -> float:
    """Read a number of seconds.

    Args:
        value: A number, or its text.
        column: What it is, for the sentence.

    Raises:
        ValueError: The value is not one.
    """
    text = str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text) or not math.isfinite(seconds := float(text)):
        raise ValueError(f"{column} {show(value)} is not a finite number of seconds, 0 or more{_seconds_hint(text)}")
    return seconds


def _seconds_hint(text: str) -> str:
    if clock := _CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = clock.groups(default="0")
        return f"; in seconds it is {int(hours) * 3600 + int(minutes) * 60 + float(seconds):g}"
    return "; a point is written before decimals" if re.fullmatch(r"\d+,\d+", text.strip(), re.ASCII) else ""
