"""Lines of log files as people keep them: compressed, in UTF-16, with colours, with any line ends."""

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
_BYTE_ORDER_MARKS: Final = (  # the longer one first: it begins with the shorter
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]|[\x1e\x00]")
_LOOK: Final = 8


def read_text_lines(file: Path) -> Iterator[str]:
    """Yield the lines of a log file, whatever its compression and encoding.

    Args:
        file: A file, or `-` for standard input.

    Raises:
        SettingsError: The file cannot be read.
    """
    with _described(file), _opened(file) as raw:
        plain_bytes = _decompressed(file, raw)
        text = io.TextIOWrapper(plain_bytes, encoding=encoding_of(plain_bytes.peek(_LOOK)), errors="replace")
        yield from text
        text.detach()  # closing it would close standard input as well


def plain(line: str) -> str:
    """Remove colours and record separators from a line."""
    if line.isascii() and "\x1b" not in line and "\x1e" not in line and "\x00" not in line:
        return line.strip()
    return _COLOUR.sub("", line).strip().lstrip("\ufeff")


def open_input() -> IO[bytes]:
    """Return standard input as bytes.

    Raises:
        SettingsError: There is none.
    """
    if sys.stdin is None:
        raise SettingsError("there is no standard input to read; accepted: the path of a file")
    return sys.stdin.buffer


def is_compressed(file: Path) -> bool:
    """Return whether the first bytes of a file say that it is compressed.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as raw:
        first = raw.read(_LOOK)
    return first.startswith((_ZSTD, *(magic for magic, _ in _UNPACK)))


def _opened(file: Path) -> AbstractContextManager[Any]:
    return file.open("rb") if file != STDIN else nullcontext(open_input())


def _decompressed(file: Path, raw: Any) -> Any:
    """Decompress a file if its first bytes say that it is compressed."""
    reader = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
    first = reader.peek(_LOOK)
    if first.startswith(_ZSTD):
        raise SettingsError(f"{file} is compressed by zstd; accepted: `zstd -dc {file} | sampling-worker report -`")
    for magic, unpack in _UNPACK:
        if first.startswith(magic):
            return io.BufferedReader(unpack(reader))
    return reader


def encoding_of(first: bytes) -> str:
    """Detect the encoding: by a byte order mark, or by the place of zero bytes in ASCII text of UTF-16."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if first.startswith(mark):
            return encoding
    if len(first) >= 4 and not any(first[1:4:2]) and all(first[0:4:2]):  # noqa: PLR2004 - two characters
        return "utf-16-le"
    if len(first) >= 4 and not any(first[0:4:2]) and all(first[1:4:2]):  # noqa: PLR2004 - the same
        return "utf-16-be"
    return "utf-8"


@contextmanager
def _described(file: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise SettingsError(f"cannot read {file}: its compressed content is cut short or damaged ({error})") from error
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror or error}") from error
