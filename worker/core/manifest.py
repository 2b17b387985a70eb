"""Manifests: the chunks to register, as CSV with a header row or as JSON Lines."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.core.keys import CATEGORY_PATTERN
from worker.errors import ManifestError

STATUSES = ("PENDING", "PROCESSING", "READY", "FAILED")

_MAX_PATH_BYTES = 2000  # an entry of a PostgreSQL index ends at 2,704
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_SHOWN_CHARS = 80
_DEFAULT_STATUS = "READY"
_ACCEPTED = (
    "accepted is CSV with a header row, or JSON Lines, with path and category, and optionally status and duration_s"
)


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """Describe one chunk to register.

    Attributes:
        path: Where it is; what tells it from others.
        category: A category name.
        status: One of `STATUSES`.
        duration_s: Its length in seconds, finite and >= 0; None where not known.
    """

    path: str
    category: str
    status: str = "READY"
    duration_s: float | None = None


def read_manifest(name: str, content: bytes) -> Iterator[ChunkRow]:
    """Read a manifest, row by row: what is not right in it is only found on the way.

    A row has `path` and `category`, and may have `status` (READY unless said) and `duration_s`; all else is ignored.

    Args:
        name: What errors call it.
        content: UTF-8, with or without a byte order mark.

    Raises:
        ManifestError: It is empty, or something in it is not accepted; the sentence names the line.
    """
    text = _decode(name, content)
    lines = io.StringIO(text, newline="")
    rows = _json_rows(name, lines) if text.lstrip().startswith("{") else _csv_rows(name, lines)
    seen: dict[str, int] = {}
    for line, fields in rows:
        try:
            row = _chunk_row(fields)
        except ValueError as error:
            raise _refusal(name, line, str(error)) from error
        if row.path in seen:
            raise _refusal(name, line, f"path {_show(row.path)} is in line {seen[row.path]} already")
        seen[row.path] = line
        yield row
    if not seen:
        raise ManifestError(f"{name} has no rows; {_ACCEPTED}")


def _decode(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(name, line, "it is not UTF-8 text, which alone is accepted") from error


def _csv_rows(name: str, lines: io.StringIO) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not header:
                header = _header(name, reader.line_num, cells)
            elif len(cells) != len(header):
                what = f"{len(cells)} fields where the header has {len(header)}"
                raise _refusal(name, reader.line_num, what)
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _refusal(name, reader.line_num, f"it is not CSV: {error}") from error


def _header(name: str, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    if not {"path", "category"} <= set(header) or len(set(header)) < len(header):
        raise _refusal(name, line, f"the header {_show(','.join(cells))} is not accepted; {_ACCEPTED}")
    return header


def _json_rows(name: str, lines: io.StringIO) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            raise _refusal(name, number, f"it is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise _refusal(name, number, f"{_show(fields)} is not a JSON object; {_ACCEPTED}")
        yield number, fields


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands in an object more than once")
    return fields


def _chunk_row(fields: Mapping[str, object]) -> ChunkRow:
    """Check the fields of one row.

    Raises:
        ValueError: One is not accepted.
    """
    category, status = fields.get("category"), fields.get("status") or _DEFAULT_STATUS
    if not isinstance(category, str) or not CATEGORY_PATTERN.fullmatch(category):
        raise ValueError(f"category {_show(category)} is not 1 to 64 of a-z, 0-9, _ and -")
    if status not in STATUSES:
        raise ValueError(f"status {_show(status)} is not one of {', '.join(STATUSES)}")
    return ChunkRow(_path(fields.get("path")), category, str(status), _duration(fields.get("duration_s")))


def _path(value: object) -> str:
    # PostgreSQL stores neither NUL nor half of a surrogate pair.
    if not isinstance(value, str) or "\0" in value or not 0 < len(value.encode()) <= _MAX_PATH_BYTES:
        raise ValueError(f"path {_show(value)} is not 1 to {_MAX_PATH_BYTES:,} bytes of text")
    return value


def _duration(value: object) -> float | None:
    if value is None or value == "":
        return None
    refusal = f"duration_s {_show(value)} is not a finite number of seconds, 0 or more"
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value).strip()):
        raise ValueError(refusal)
    seconds = float(str(value))
    if not math.isfinite(seconds):
        raise ValueError(refusal)
    return seconds


def _refusal(name: str, line: int, what: str) -> ManifestError:
    return ManifestError(f"{name}, line {line}: {what}")


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
