"""Number the iterations of a stream, in each rank and DataLoader worker, even if each iteration has new processes.

A run begins when a stream is made, and has a random name. Its iterations are numbered from 0. So a training that
resumes an iteration asks for the same request ids as before. This holds for all later iterations, too.

A DataLoader without `persistent_workers` starts new workers for each iteration, from a stream that has begun none.
These workers store the run and the number in a file of the temporary directory, under a lock. The file is removed with
the stream.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, NamedTuple

_LONGEST_RECORD = 100


class IterationId(NamedTuple):
    """The id of an iteration.

    Attributes:
        run: Name of the run.
        number: Number of the iteration in its run, from 0.
    """

    run: str
    number: int


class Runs:
    """The counter of the iterations of one stream, in any process."""

    def __init__(self) -> None:
        """Begin a new run."""
        self._token = secrets.token_hex(8)
        self._latest = _before_the_first()
        self._pid = os.getpid()
        weakref.finalize(self, _remove_folder, self._token, self._pid)

    def begin(self, worker: str | None) -> IterationId:
        """Begin the next iteration.

        Args:
            worker: Rank and number of this DataLoader worker; None: this process is none.

        Raises:
            OSError: The number cannot be stored.
        """
        if worker is not None:
            return self._store(worker, None)
        if self._pid != os.getpid():  # the parent process goes on with that run
            self._latest, self._pid = _before_the_first(), os.getpid()
        self._latest = _next(self._latest)
        return self._latest

    def resume(self, worker: str | None, iteration: IterationId) -> None:
        """Make the next iteration the one after this; see `begin`."""
        if worker is None:
            self._latest, self._pid = iteration, os.getpid()
        else:
            self._store(worker, iteration)

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers need to find the file; another process begins a new run."""
        return {"token": self._token}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin a new run in this process."""
        self._token, self._latest, self._pid = state["token"], _before_the_first(), os.getpid()

    def _store(self, worker: str, iteration: IterationId | None) -> IterationId:
        """Store and return the iteration of a worker; None: the one after the latest."""
        try:
            folder = _folder_of(self._token)
            folder.mkdir(mode=0o700, exist_ok=True)
            file = os.open(folder / worker, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            sentence = f"which iteration this is cannot be noted: {error}; accepted: a TMPDIR that can be written to"
            raise OSError(sentence) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            iteration = iteration or _next(_read(os.read(file, _LONGEST_RECORD).decode()))
            os.ftruncate(file, 0)
            os.pwrite(file, f"{iteration.run} {iteration.number}".encode(), 0)
        finally:
            os.close(file)
        return iteration


def _before_the_first() -> IterationId:
    return IterationId(secrets.token_hex(4), -1)


def _read(text: str) -> IterationId:
    if not text:
        return _before_the_first()
    run, number = text.split()
    return IterationId(run, int(number))


def _next(iteration: IterationId) -> IterationId:
    return iteration._replace(number=iteration.number + 1)


def _folder_of(token: str) -> Path:
    return Path(tempfile.gettempdir(), f"sampling-stream-{token}")


def _remove_folder(token: str, pid: int) -> None:
    """Remove the folder of a stream that was made in this process; forked processes leave it."""
    if pid == os.getpid():
        shutil.rmtree(_folder_of(token), ignore_errors=True)
