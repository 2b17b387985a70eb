"""Standard output and standard error as they may be: closed, on a full disk, read by nobody.

The standard library alone, for `health` needs it too. Text is written at once, without a buffer: what cannot be
written is known where it was printed, and nothing is left over that Python would try to write at exit.
"""

import errno
import io
import os
import select
import sys

from worker.core.redaction import escape
from worker.errors import OutputError, ReaderGoneError

_STDOUT, _STDERR = 1, 2
_REASONS = {errno.EBADF: "it is closed", errno.ENOSPC: "no space is left on its device"}


class Output(io.TextIOBase):
    """Write text to a file descriptor, and raise our own error where that is not possible."""

    def __init__(self, fd: int, encoding: str) -> None:
        """Take where to write.

        Args:
            fd: File descriptor.
            encoding: Characters that it has not are escaped, so that none of them ends a command.
        """
        self._fd = fd
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Name the encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Name what becomes of characters that the encoding has not."""
        return "backslashreplace"

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def fileno(self) -> int:
        """Tell the file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Write text, all of it.

        Raises:
            OutputError: It cannot be written.
        """
        rest = memoryview(text.encode(self._encoding, self.errors))
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking
                select.select([], [self._fd], [])
            except BrokenPipeError as error:
                raise ReaderGoneError("whoever read the output has closed it") from error
            except OSError as error:
                reason = _REASONS.get(error.errno or 0) or (error.strerror or type(error).__name__).lower()
                raise OutputError(f"the output cannot be written: {reason}") from error
        return len(text)


class _Complaints(Output):
    """Write text where that is possible: where standard error cannot be written, nobody can be told so."""

    def write(self, text: str) -> int:
        """Write text, or lose it."""
        try:
            return super().write(text)
        except OutputError:
            return len(text)


def guard_streams() -> None:
    """Put our own streams in the place of standard output and standard error.

    A descriptor that is closed gets one that refuses to be written: a server's connection must not be given its number.
    """
    for fd in range(_STDERR + 1):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest free number, which is this one
    sys.stdout = Output(_STDOUT, getattr(sys.stdout, "encoding", None) or "utf-8")
    sys.stderr = _Complaints(_STDERR, getattr(sys.stderr, "encoding", None) or "utf-8")


def complain(sentence: str) -> None:
    """Say on standard error what is wrong."""
    sys.stderr.write(f"sampling-worker: {escape(sentence)}\n")
