"""The growing end of a log: a file that is rotated or cut, or standard input.

A file is read on from where reading stopped. If its name leads to another file, the old one is read to its end first.
If it became shorter, or begins otherwise than it did, it was cut and is read from its start.
"""

import codecs
import io
import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final

from worker.errors import SettingsError
from worker.report.files import encoding_of, is_compressed, open_input, read_text_lines

_PART: Final = 1 << 20
_HEAD: Final = 512


class _Splitter:
    """Divides bytes into lines; the start of a line is held until its end comes."""

    def __init__(self) -> None:
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._held = ""

    def split(self, part: bytes, *, is_last: bool = False) -> list[str]:
        """Return the lines that are complete now.

        Args:
            part: More of the file.
            is_last: Whether nothing follows, so that what is held is a line, too.
        """
        if self._decoder is None:
            plain = codecs.getincrementaldecoder(encoding_of(part))("replace")
            self._decoder = io.IncrementalNewlineDecoder(plain, translate=True)
        *lines, self._held = (self._held + self._decoder.decode(part, final=is_last)).split("\n")
        if is_last:
            lines += [self._held] if self._held else []
            self._held, self._decoder = "", None
        return lines


class FileTail:
    """The growing end of a file; it need not exist yet.

    Args:
        file: Its path. A compressed file is read once.
    """

    is_ended = False

    def __init__(self, file: Path) -> None:
        self.name = str(file)
        self._file = file
        self._splitter = _Splitter()
        self._raw: IO[bytes] | None = None
        self._head = b""
        self._was_compressed = False

    @property
    def is_missing(self) -> bool:
        """Return whether there is no file of this name yet."""
        return self._raw is None and not self._was_compressed

    def read(self) -> Iterator[str]:
        """Yield the lines that were added since the last time.

        Raises:
            SettingsError: The file cannot be read.
        """
        try:
            yield from self._read()
        except OSError as error:
            raise SettingsError(f"cannot read {self._file}: {error.strerror or error}") from error

    def rest(self) -> Iterator[str]:
        """Yield a last line that has no line end."""
        yield from self._splitter.split(b"", is_last=True)

    def close(self) -> None:
        """Close the file."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _read(self) -> Iterator[str]:
        raw = self._raw or self._open()
        if raw is None:
            if self._file.exists() and not self._was_compressed:
                self._was_compressed = True
                yield from read_text_lines(self._file)
            return
        if self._was_cut(raw):
            yield from self.rest()
            raw.seek(0)
            self._head = b""
        yield from self._added(raw)
        if self._was_replaced(raw):
            yield from self._added(raw)  # what came between the last look and the exchange
            yield from self.rest()
            self.close()
            yield from self._read()

    def _open(self) -> IO[bytes] | None:
        """Open the file, if it is there and not compressed."""
        with suppress(FileNotFoundError):
            if not self._was_compressed and not is_compressed(self._file):
                self._raw, self._head = self._file.open("rb", buffering=0), b""
        return self._raw

    def _added(self, raw: IO[bytes]) -> Iterator[str]:
        while part := raw.read(_PART):
            self._head += part[: _HEAD - len(self._head)]
            yield from self._splitter.split(part)

    def _was_cut(self, raw: IO[bytes]) -> bool:
        at = raw.tell()
        raw.seek(0)
        head = raw.read(len(self._head))
        raw.seek(at)
        return head != self._head or os.fstat(raw.fileno()).st_size < at

    def _was_replaced(self, raw: IO[bytes]) -> bool:
        try:
            return not os.path.samestat(self._file.stat(), os.fstat(raw.fileno()))
        except FileNotFoundError:
            return False  # renamed; the new one is not there yet


class InputTail:
    """Standard input, read by a thread so that nobody waits for it.

    Attributes:
        is_ended: Whether it has ended, and all of it was read.
    """

    is_missing = False

    def __init__(self) -> None:
        self.name = "-"
        self.is_ended = False
        self._splitter = _Splitter()
        self._parts: SimpleQueue[bytes] = SimpleQueue()
        self._source = open_input().fileno()
        self._turn = threading.Lock()  # whoever reads puts the part into the queue before the next one reads
        threading.Thread(target=self._fetch, daemon=True).start()

    def read(self) -> Iterator[str]:
        """Yield the lines that have come since the last time."""
        while not self._parts.empty():
            part = self._parts.get()
            self.is_ended = not part
            if part:
                yield from self._splitter.split(part)

    def rest(self) -> Iterator[str]:
        """Yield what is there and was not read yet, and a last line that has no line end."""
        while not self.is_ended and self._take(0):
            yield from self.read()
        yield from self.read()
        yield from self._splitter.split(b"", is_last=True)

    def close(self) -> None:
        """Leave standard input open: it is not ours."""

    def _fetch(self) -> None:
        while self._take(None):
            pass

    def _take(self, timeout_s: float | None) -> bool:
        """Read a part; return whether there was one.

        Args:
            timeout_s: How long to wait for it; None: for ever.
        """
        select.select([self._source], [], [], timeout_s)
        with self._turn:
            if not select.select([self._source], [], [], 0)[0]:
                return timeout_s is None  # the other one was quicker
            # By its descriptor: at the end of the process, a buffer that a thread waits for could not be closed.
            part = os.read(self._source, _PART)
            self._parts.put(part)
        return bool(part)


Tail = FileTail | InputTail
