"""The lines of a manifest, decoded from portions of bytes. Memory holds one portion at a time."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator

from worker.core.catalog.manifest.columns import ACCEPTED
from worker.core.catalog.manifest.notes import Notes
from worker.errors import ManifestError

LONGEST_LINE = 1_048_576

_C1 = range(0x80, 0xA0)  # control characters in Latin-1, letters and quotes in Windows-1252
_LINE_END = re.compile(rb"\r\n|\n|\r")
_UTF_16 = (
    "it is UTF-16 or UTF-32 text, and UTF-8 is accepted: --encoding UTF-16 reads it, iconv -f UTF-16 -t UTF-8 makes it"
)
_FIRST_BYTES = {
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\0\0\xfe\xff": _UTF_16,
    b"PK\x03\x04": "it is a ZIP archive or a spreadsheet; save it as CSV",
    b"PAR1": "it is a Parquet file, and not text; --format parquet reads it",
    b"\x28\xb5\x2f\xfd": "it is compressed by Zstandard; accepted are gzip, bzip2 and xz, or none",
    b"version https://git-lfs": "it stands for a file in Git LFS; `git lfs pull` gets that",
}
_FIRST_TEXT = {
    "[": "it is a JSON array; JSON Lines has an object a line (jq -c '.[]' makes it)",
    "<": "it is HTML or XML",
}


def text_lines(name: str, portions: Iterable[bytes], notes: Notes, encoding: str = "") -> Iterator[str]:
    r"""Decode text, with or without a byte order mark, and yield its lines with their ends: \n, \r\n or \r.

    Args:
        name: What the manifest is called in sentences.
        portions: Its bytes.
        notes: Counts the lines.
        encoding: Name of its encoding; empty: UTF-8.

    Raises:
        ManifestError: The bytes are not text in this encoding, or a line is too long.
    """
    rest = ""
    for text_there, is_last in _decoded(name, portions, notes, encoding):
        text = rest + text_there
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


def _decoded(name: str, portions: Iterable[bytes], notes: Notes, encoding: str) -> Iterator[tuple[str, bool]]:
    """Yield each portion as text, and whether it is the last.

    Raises:
        ManifestError: The bytes are not text in this encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding or "utf-8-sig")()
    is_start = True
    for number, (portion, is_last) in enumerate(_and_last(portions)):
        if number == 0 and not encoding:
            _refuse_formats(name, portion)
        try:
            text = decoder.decode(portion, final=is_last)
        except UnicodeDecodeError as error:
            sentence = _not_in(encoding, error) if encoding else _not_utf8(notes.lines, error)
            raise ManifestError(f"{name}, line {_line_of(error, notes.lines)}: {sentence}") from error
        yield text.removeprefix("\ufeff") if is_start else text, is_last
        is_start = is_start and not text


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


def _line_of(error: UnicodeDecodeError, lines: int) -> int:
    """Return the line of a byte that cannot be decoded, after some lines."""
    return lines + 1 + len(_LINE_END.findall(error.object[: error.start]))


def _not_utf8(lines: int, error: UnicodeDecodeError) -> str:
    """Write that bytes are not UTF-8, and what they look like."""
    byte = error.object[error.start]
    found = f"byte {error.start:,} of it is 0x{byte:02x}" if lines == 0 else error.reason
    likely = "Windows-1252" if byte in _C1 else "Latin-1"
    ways = f"--encoding {likely} reads it, iconv -f {likely} -t UTF-8 makes it"
    return f"it is not UTF-8 text, which is accepted ({found}); it looks like {likely}: {ways}"


def _not_in(encoding: str, error: UnicodeDecodeError) -> str:
    """Write that bytes are not text in the encoding that was asked for."""
    return f"it is not text in the encoding {encoding} ({error.reason})"


def _too_long(name: str, line: int) -> ManifestError:
    return ManifestError(f"{name}, line {line}: it is longer than {LONGEST_LINE:,} characters; a row has a line")
