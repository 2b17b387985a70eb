"""Standard output and standard error, which may be closed, on a full disk, or read by nobody.

Text is written at once, without a buffer. So a failure is known where the text was printed. Nothing is left that Python
would try to write at exit. Only the standard library is used, because `health` needs this module, too.
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
    """A text stream to a file descriptor; where it cannot be written, it raises our own error."""

    def __init__(self, fd: int, encoding: str) -> None:
        """Set where to write.

        Args:
            fd: File descriptor.
            encoding: Characters that it lacks are escaped, so that none of them ends a command.
        """
        self._fd = fd
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Return what becomes of characters that the encoding lacks."""
        return "backslashreplace"

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Write text, all of it.

        Raises:
            OutputError: It cannot be written.
        """
        self.write_bytes(text.encode(self._encoding, self.errors))
        return len(text)

    def write_bytes(self, written: bytes | memoryview) -> None:
        """Write bytes, all of them.

        Raises:
            OutputError: It cannot be written.
        """
        rest = memoryview(written)
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


class _Complaints(Output):
    """A stream to standard error: text that cannot be written is lost, as it can be reported nowhere."""

    def write(self, text: str) -> int:
        """Write text, if it can be written."""
        try:
            return super().write(text)
        except OutputError:
            return len(text)


def guard_streams() -> None:
    """Replace standard output and standard error by our own streams.

    A closed descriptor is replaced by one that refuses to be written. Otherwise a connection to a server could get its
    number.
    """
    for fd in range(_STDERR + 1):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest free number, which is this one
    sys.stdout = Output(_STDOUT, getattr(sys.stdout, "encoding", None) or "utf-8")
    sys.stderr = _Complaints(_STDERR, getattr(sys.stderr, "encoding", None) or "utf-8")


def complain(sentence: str) -> None:
    """Print on standard error what is wrong."""
    sys.stderr.write(f"sampling-worker: {escape(sentence)}\n")
