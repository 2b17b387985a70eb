"""A second, strict and independent reader of manifests, to compare the worker's reader with."""

import json
import re
from collections.abc import Iterator

Row = tuple[str, str, str, float | None]

BLANKS = " \t\u00a0\u2007\u202f\u3000\u200b\ufeff"
_STATUSES = {"PENDING", "PROCESSING", "READY", "FAILED"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_strictly(content: bytes) -> list[Row] | None:
    """Read a manifest strictly; None where that is impossible."""
    try:
        text = content.decode("utf-8-sig")
        rows = list(_json_rows(text) if text.lstrip(BLANKS + "\r\n").startswith("{") else _csv_rows(text))
    except (ValueError, KeyError, RecursionError):
        return None
    return rows or None


def _row(fields: dict[str, object]) -> Row:
    path, category, status = fields["path"], fields["category"], fields.get("status")
    duration_s = fields.get("duration_s")
    status = "READY" if status is None else status
    if not isinstance(path, str) or not isinstance(category, str) or not isinstance(status, str):
        raise ValueError("not text")  # noqa: TRY004 - one kind of error for all that is wrong
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", category) or status not in _STATUSES or not path:
        raise ValueError("not accepted")
    if duration_s is None:
        return path, category, status, None
    if isinstance(duration_s, bool) or not _NUMBER.fullmatch(str(duration_s)):
        raise ValueError("no number")
    return path, category, status, float(str(duration_s))


def _json_rows(text: str) -> Iterator[Row]:
    for line in _LINE_END.split(text):
        if line.strip():
            pairs = json.loads(line, object_pairs_hook=list)
            names = [str(name).strip(BLANKS).lower() for name, _ in pairs]
            if len(set(names)) < len(names):
                raise ValueError("a name twice")
            fields = {name: value for name, (_, value) in zip(names, pairs, strict=True)}
            yield _row({"path": fields.get("audio_filepath"), **fields})


class _Quoted(str):
    """A cell that stood in quotes: the blanks in it are its own."""

    __slots__ = ()


def _csv_rows(text: str) -> Iterator[Row]:
    header: list[str] | None = None
    names: list[str] = []
    for cells in _cells(text, _delimiter(text)):
        plain = [cell.strip(BLANKS) for cell in cells]
        if not any(cell.strip() for cell in plain):
            continue
        lower = [cell.lower() for cell in plain]
        if header is None:
            header = ["path" if name == "audio_filepath" else name for name in lower]
            names = lower
        elif lower != names:
            fields: dict[str, object] = dict(zip(header, plain, strict=True))
            path = cells[header.index("path")]
            fields["path"] = str(path) if isinstance(path, _Quoted) and path.strip(BLANKS) else fields["path"]
            yield _row(fields | {name: fields.get(name) or None for name in ("status", "duration_s")})


def _delimiter(text: str) -> str:
    header = _LINE_END.split(text.lstrip(BLANKS + "\r\n;,"), maxsplit=1)[0].lower().replace('"', "")
    known = {"path", "category", "status", "duration_s", "audio_filepath"}
    return max(",;\t", key=lambda one: len(known.intersection(cell.strip(BLANKS) for cell in header.split(one))))


def _cells(text: str, delimiter: str) -> Iterator[list[str]]:
    """Split text into rows of cells, character by character."""
    cells: list[str] = []
    place = 0
    while place < len(text):
        read, start = (_quoted, place + 1) if text[place] == '"' else (_plain, place)
        cell, place = read(text, start, delimiter)
        cells.append(cell)
        if text[place : place + 1] == delimiter:
            place += 1
            if place < len(text):
                continue
            cells.append("")
        place += 2 if text[place : place + 2] == "\r\n" else 1
        yield cells
        cells = []


def _plain(text: str, start: int, delimiter: str) -> tuple[str, int]:
    found = re.compile(rf"[{delimiter}\r\n]|\Z").search(text, start)
    end = found.start() if found else len(text)
    return text[start:end], end


def _quoted(text: str, start: int, delimiter: str) -> tuple[str, int]:
    end = start
    while True:
        end = text.index('"', end)
        if text[end + 1 : end + 2] != '"':
            break
        end += 2
    if text[end + 1 : end + 2] not in {delimiter, "\r", "\n", ""}:
        raise ValueError("text after a quote")
    return _Quoted(text[start:end].replace('""', '"')), end + 1
