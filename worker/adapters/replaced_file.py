"""A file that is there as a whole, or as it was before: it is written beside its place, and then renamed."""

import gzip
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from worker.errors import OutputError

PACKED_SUFFIX = ".gz"

_MODE = 0o666  # less what the user's umask takes away
_BUFFER_BYTES = 1 << 20


@contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write for a block; one that is there is replaced at the end of the block, if it does not fail.

    A name that ends with `.gz` is written compressed. What is no regular file, such as a pipe, is written to as it is.

    Raises:
        OutputError: It cannot be written.
    """
    place = path.resolve()  # what a symbolic link points to is replaced, and not the link
    with _told(path):
        is_special = place.exists() and not place.is_file()
        target = place if is_special else place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
        mode = stat.S_IMODE(place.stat().st_mode) if place.is_file() else None
        flags = os.O_WRONLY | (0 if is_special else os.O_CREAT | os.O_EXCL)
        file = io.BufferedWriter(_Target(path, os.open(target, flags, _MODE)), _BUFFER_BYTES)
    try:
        with file:
            with _packed(path, file) as written:
                yield written
            file.flush()
            if not is_special:  # else a machine that stops soon after could have the name without the content
                os.fsync(file.fileno())
        if not is_special:
            with _told(path):
                if mode is not None:
                    target.chmod(mode)
                target.replace(place)
    finally:
        if not is_special:
            with suppress(OSError):
                target.unlink()


class _Target(io.RawIOBase):
    """A file descriptor whose errors are ours, so that nobody takes them for those of a server."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._file = io.FileIO(descriptor, "wb")

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: Any) -> int:
        with _told(self._path):
            return self._file.write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with _told(self._path):
                self._file.close()


@contextmanager
def _packed(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    if path.suffix != PACKED_SUFFIX:
        yield file
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        yield cast("IO[bytes]", packed)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Translate errors of the operating system.

    Raises:
        OutputError: There was one.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
