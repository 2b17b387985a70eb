"""The lines of a manifest, decoded from portions of bytes. Memory holds one portion at a time."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator

from worker.core.catalog.manifest.columns import ACCEPTED
from worker.core.catalog.manifest.notes import Notes
from worker.errors import ManifestError

LONGEST_LINE = 1_048_576

_LINE_END = re.compile(rb"\r\n|\n|\r")
_UTF_16 = "it is UTF-16 or UTF-32 text, and UTF-8 alone is accepted (iconv -f UTF-16 -t UTF-8)"
_FIRST_BYTES = {
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\0\0\xfe\xff": _UTF_16,
    b"PK\x03\x04": "it is a ZIP archive or a spreadsheet; save it as CSV",
    b"PAR1": "it is a Parquet file; write it as CSV or JSON Lines",
    b"\x28\xb5\x2f\xfd": "it is compressed by Zstandard; accepted are gzip, bzip2 and xz, or none",
    b"version https://git-lfs": "it stands for a file in Git LFS; `git lfs pull` gets that",
}
_FIRST_TEXT = {
    "[": "it is a JSON array; JSON Lines has an object a line (jq -c '.[]' makes it)",
    "<": "it is HTML or XML",
}


def text_lines(name: str, portions: Iterable[bytes], notes: Notes) -> Iterator[str]:
    r"""Decode UTF-8, with or without a byte order mark, and yield its lines with their ends: \n, \r\n or \r.

    Raises:
        ManifestError: The bytes are not UTF-8 text, or a line is too long.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest, is_first = "", True
    for portion, is_last in _and_last(portions):
        if is_first:
            _refuse_formats(name, portion)
            is_first = False
        try:
            text = rest + decoder.decode(portion, final=is_last)
        except UnicodeDecodeError as error:
            raise _not_utf8(name, notes.lines, error) from error
        lines = list(io.StringIO(text, newline=""))
        # A "\r" at the end of a portion may be the first half of a line end.
        rest = lines.pop() if lines and not is_last and not lines[-1].endswith("\n") else ""
        for line in lines:
            notes.lines += 1
            if len(line) > LONGEST_LINE:
                raise _too_long(name, notes.lines)
            yield line
        if len(rest) > LONGEST_LINE:
            raise _too_long(name, notes.lines + 1)
        notes.open_end = is_last and bool(lines) and not lines[-1].endswith(("\n", "\r"))


def _and_last(portions: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each portion, then an empty one that is marked as the last."""
    for portion in portions:
        yield portion, False
    yield b"", True


def _refuse_formats(name: str, portion: bytes) -> None:
    """Refuse other formats than CSV and JSON Lines by their first bytes.

    Raises:
        ManifestError: It is another format.
    """
    found = [what for start, what in _FIRST_BYTES.items() if portion.startswith(start)]
    text = portion[:100].decode("utf-8-sig", errors="replace").lstrip()
    found += [what for start, what in _FIRST_TEXT.items() if text.startswith(start)]
    if not found and "\0" in text.partition("\n")[0]:
        found = [_UTF_16]
    if found:
        raise ManifestError(f"{name}, line 1: {found[0]}; {ACCEPTED}")


def _not_utf8(name: str, lines: int, error: UnicodeDecodeError) -> ManifestError:
    line = lines + 1 + len(_LINE_END.findall(error.object[: error.start]))
    found = f"byte {error.start:,} of it is 0x{error.object[error.start]:02x}" if lines == 0 else error.reason
    return ManifestError(
        f"{name}, line {line}: it is not UTF-8 text, which alone is accepted ({found}; iconv -t UTF-8 makes it)"
    )


def _too_long(name: str, line: int) -> ManifestError:
    return ManifestError(f"{name}, line {line}: it is longer than {LONGEST_LINE:,} characters; a row has a line")
