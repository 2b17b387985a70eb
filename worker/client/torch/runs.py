"""Which iteration this is: each rank and DataLoader worker counts its own, also where each is a new process.

A run begins where a stream is made, and is named by a random word. Its iterations are numbered from 0, so that a
training that goes on from the state of one iteration asks in all later ones, too, for what was asked before.

A DataLoader without `persistent_workers` starts new workers for each iteration, from a stream that has seen none.
They note the run and the number in a file of the temporary directory, under a lock. The file goes with the stream.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, NamedTuple

_LONGEST_NOTE = 100


class IterationId(NamedTuple):
    """Name one iteration.

    Attributes:
        run: The run's word.
        number: Which of its iterations, from 0.
    """

    run: str
    number: int


class Runs:
    """Number the iterations of one stream, in whichever process they are."""

    def __init__(self) -> None:
        """Begin with a run of its own."""
        self._token = secrets.token_hex(8)
        self._latest = _before_the_first()
        self._pid = os.getpid()
        weakref.finalize(self, _remove_notes, self._token, self._pid)

    def begin(self, worker: str | None) -> IterationId:
        """Begin the next iteration.

        Args:
            worker: Rank and number of the DataLoader worker that this process is; None: it is none.

        Raises:
            OSError: It cannot be noted.
        """
        if worker is not None:
            return self._note(worker, None)
        if self._pid != os.getpid():  # the process that it was forked from goes on with that run
            self._latest, self._pid = _before_the_first(), os.getpid()
        self._latest = _next(self._latest)
        return self._latest

    def resume(self, worker: str | None, iteration: IterationId) -> None:
        """Have the next iteration be the one after this; see `begin`."""
        if worker is None:
            self._latest, self._pid = iteration, os.getpid()
        else:
            self._note(worker, iteration)

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers need to find the notes; another process begins a run of its own."""
        return {"token": self._token}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin a run of this process."""
        self._token, self._latest, self._pid = state["token"], _before_the_first(), os.getpid()

    def _note(self, worker: str, iteration: IterationId | None) -> IterationId:
        """Note which iteration a worker is in; None: the one after the latest."""
        try:
            folder = _notes_of(self._token)
            folder.mkdir(mode=0o700, exist_ok=True)
            note = os.open(folder / worker, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            sentence = f"which iteration this is cannot be noted: {error}; accepted: a TMPDIR that can be written to"
            raise OSError(sentence) from error
        try:
            fcntl.flock(note, fcntl.LOCK_EX)
            iteration = iteration or _next(_read(os.read(note, _LONGEST_NOTE).decode()))
            os.ftruncate(note, 0)
            os.pwrite(note, f"{iteration.run} {iteration.number}".encode(), 0)
        finally:
            os.close(note)
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


def _notes_of(token: str) -> Path:
    return Path(tempfile.gettempdir(), f"sampling-stream-{token}")


def _remove_notes(token: str, pid: int) -> None:
    """Remove the notes with the stream that was made here; forked processes have it, too."""
    if pid == os.getpid():
        shutil.rmtree(_notes_of(token), ignore_errors=True)
