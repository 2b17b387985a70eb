"""Numbers of iterations: each rank and DataLoader worker counts its own, even if each is a new process.

A run begins when a stream is made, and has a random name. Its iterations are numbered from 0. So a training that
resumes one iteration asks for the same requests as before in all later iterations too.

A DataLoader without `persistent_workers` starts new workers for each iteration, from a stream that has seen none. They
store run and number in a file of the temporary directory, under a lock. The file is removed with the stream.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, NamedTuple

_LONGEST_TEXT = 100


class IterationId(NamedTuple):
    """The run and number of an iteration.

    Attributes:
        run: Random name of the run.
        number: Number of the iteration in the run, from 0.
    """

    run: str
    number: int


class Runs:
    """The counter of a stream's iterations, for any number of processes."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(8)
        self._latest = _before_the_first()
        self._pid = os.getpid()
        weakref.finalize(self, _remove_files, self._token, self._pid)

    def begin(self, worker: str | None) -> IterationId:
        """Begin the next iteration.

        Args:
            worker: Rank and number of this DataLoader worker; None: this process is none.

        Raises:
            OSError: The number cannot be stored.
        """
        if worker is not None:
            return self._store(worker, None)
        if self._pid != os.getpid():  # the parent continues its own run
            self._latest, self._pid = _before_the_first(), os.getpid()
        self._latest = _next(self._latest)
        return self._latest

    def resume(self, worker: str | None, iteration: IterationId) -> None:
        """Continue after an iteration; see `begin`."""
        if worker is None:
            self._latest, self._pid = iteration, os.getpid()
        else:
            self._store(worker, iteration)

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers need to find the files; another process begins a run of its own."""
        return {"token": self._token}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin a run of this process."""
        self._token, self._latest, self._pid = state["token"], _before_the_first(), os.getpid()

    def _store(self, worker: str, iteration: IterationId | None) -> IterationId:
        """Store which iteration a worker is in; None: the one after the stored one."""
        try:
            folder = _folder_of(self._token)
            folder.mkdir(mode=0o700, exist_ok=True)
            file = os.open(folder / worker, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            sentence = f"the iteration's number cannot be stored: {error}; accepted: a TMPDIR that can be written to"
            raise OSError(sentence) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            iteration = iteration or _next(_read(os.read(file, _LONGEST_TEXT).decode()))
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


def _remove_files(token: str, pid: int) -> None:
    """Remove the files with the stream, in the process that made it; forked processes have a copy of it."""
    if pid == os.getpid():
        shutil.rmtree(_folder_of(token), ignore_errors=True)
