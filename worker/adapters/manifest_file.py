"""A manifest's bytes: from a file or standard input, compressed or not, in portions."""

import bz2
import itertools
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol

from worker.errors import ManifestError

STDIN: Final = "-"

_PORTION_BYTES = 262_144
_PACKED_BYTES = 4096  # small, because it may unpack to several thousand times as much


class _Unpacker(Protocol):
    """Unpacks one stream of a compressed file, which may have several."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_UNPACKERS: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}


def manifest_name(path: Path) -> str:
    """Return what to call a manifest in a sentence."""
    return "standard input" if str(path) == STDIN else path.name


def manifest_portions(path: Path) -> Iterator[bytes]:
    """Read a manifest; gzip, bzip2 and xz are recognised by their first bytes.

    Args:
        path: A file, or `-` for standard input.

    Raises:
        ManifestError: It cannot be read, or its compressed content is damaged.
    """
    name = manifest_name(path)
    try:
        with ExitStack() as opened:
            file = _standard_input() if str(path) == STDIN else opened.enter_context(path.open("rb"))
            first = file.read(_PACKED_BYTES)
            begin = next((begin for magic, begin in _UNPACKERS.items() if first.startswith(magic)), None)
            if begin is None:
                yield from itertools.chain([first], iter(partial(file.read, _PORTION_BYTES), b""))
            else:
                yield from _unpack(itertools.chain([first], iter(partial(file.read, _PACKED_BYTES), b"")), begin)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ManifestError(f"{name} is damaged: {error}") from error
    except OSError as error:
        # bzip2 reports damage by an OSError without a number.
        what = f"cannot be read: {error.strerror}" if error.errno else f"is damaged: {error}"
        raise ManifestError(f"{name} {what}") from error


def _standard_input() -> IO[bytes]:
    """Return standard input.

    Raises:
        ManifestError: It is closed.
    """
    if sys.stdin is None:
        raise ManifestError("standard input is closed; a manifest has to come from there, or from a file")
    return sys.stdin.buffer


def _unpack(blocks: Iterable[bytes], begin: Callable[[], _Unpacker]) -> Iterator[bytes]:
    """Unpack all streams, one after the other. The standard library's files skip what is no stream, and say nothing.

    Raises:
        EOFError: The last stream has no end.
        OSError: Something else stands there; or `zlib.error`, or `lzma.LZMAError`.
    """
    stream = begin()
    for block in blocks:
        left = block
        while left:
            if stream.eof:
                left = left.lstrip(b"\0")  # which may fill up a block
                stream = begin() if left else stream
            else:
                yield stream.decompress(left)
                left = stream.unused_data
    if not stream.eof:
        raise EOFError("its end is missing")
