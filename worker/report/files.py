"""Lines of log files as they lie about: compressed, in UTF-16, with colours, with ends of lines of other systems."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Final

from worker.errors import SettingsError

STDIN: Final = Path("-")
_UNPACK: Final[tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MARKS: Final = (  # the longer one first: it begins with the shorter
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]|[\x1e\x00]")
_LOOK: Final = 8


def read_text_lines(file: Path) -> Iterator[str]:
    """Yield the lines of a log file, whatever it is packed and encoded in.

    Args:
        file: A file, or `-`, which is standard input.

    Raises:
        SettingsError: It cannot be read.
    """
    with _told(file), _opened(file) as raw:
        unpacked = _unpacked(file, raw)
        text = io.TextIOWrapper(unpacked, encoding=_encoding(unpacked.peek(_LOOK)), errors="replace")
        yield from text
        text.detach()  # its end must not close what it reads from: that may be standard input


def plain(line: str) -> str:
    """Take colours and separators of records out of a line."""
    return _COLOUR.sub("", line).strip().lstrip("\ufeff") if "\x1b" in line or not line.isprintable() else line.strip()


def _opened(file: Path) -> AbstractContextManager[Any]:
    if file != STDIN:
        return file.open("rb")
    if sys.stdin is None:
        raise SettingsError("there is no standard input to read; accepted: the path of a file")
    return nullcontext(sys.stdin.buffer)


def _unpacked(file: Path, raw: Any) -> Any:
    """Unpack what is packed, as its first bytes tell."""
    reader = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
    first = reader.peek(_LOOK)
    if first.startswith(_ZSTD):
        raise SettingsError(f"{file} is packed by zstd; accepted: `zstd -dc {file} | sampling-worker report -`")
    for magic, unpack in _UNPACK:
        if first.startswith(magic):
            return io.BufferedReader(unpack(reader))
    return reader


def _encoding(first: bytes) -> str:
    """Tell the encoding by a byte order mark, or by where the zeros stand in ASCII text of UTF-16."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    if len(first) >= 4 and not any(first[1:4:2]) and all(first[0:4:2]):  # noqa: PLR2004 - two characters
        return "utf-16-le"
    if len(first) >= 4 and not any(first[0:4:2]) and all(first[1:4:2]):  # noqa: PLR2004 - the same
        return "utf-16-be"
    return "utf-8"


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise SettingsError(f"cannot read {file}: what it is packed in is cut short or damaged ({error})") from error
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror or error}") from error
