"""Processes that read headers of audio files, many at a time.

Processes are used instead of threads, because headers are read by Python as much as by C. Besides, libmpg123 writes
warnings to standard error that nobody can turn off. Each reader has one process. A file on which the library crashes
ends that process alone; another one reads the files of its batch again, one by one, so that the broken file is known. A
reader whose parent was killed ends at once.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing.connection import wait
from queue import LifoQueue
from types import TracebackType
from typing import Final, Self

from worker.core.catalog.scan import Measured
from worker.errors import ScanError, SettingsError

FILES_A_BATCH: Final = 64
_FILES_A_READER: Final = 1000  # fewer are read before another process has started
_FEWEST, _MOST = 4, 16  # a slow disk wants more than there are cores


class HeaderReaders:
    """Reads headers in processes of its own, which end with its block."""

    def __init__(self, files: int) -> None:
        """Set how many processes there are; they start when they are needed.

        Args:
            files: About how many files there are to read.

        Raises:
            SettingsError: The audio libraries are not installed.
        """
        check_installed()
        number = min(_MOST, max(_FEWEST, os.cpu_count() or 1), max(1, -(-files // _FILES_A_READER)))
        self._readers = [_Reader() for _ in range(number)]
        self._free: LifoQueue[_Reader] = LifoQueue()  # one that has started is taken again
        for reader in self._readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes, and drop what has not been read."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.end()

    def measured(self, paths: Sequence[str]) -> Iterator[Measured]:
        """Measure files.

        Args:
            paths: Where they are.

        Yields:
            What their headers say, in the order of the paths.
        """
        batches = [paths[start : start + FILES_A_BATCH] for start in range(0, len(paths), FILES_A_BATCH)]
        for measured in self._threads.map(self._read, batches):
            yield from measured

    def _read(self, batch: Sequence[str]) -> list[Measured]:
        reader = self._free.get()
        try:
            return reader.read(batch)
        finally:
            self._free.put(reader)


class _Reader:
    """One process, and another one after a crash."""

    def __init__(self) -> None:
        self._pool = _process()

    def read(self, batch: Sequence[str]) -> list[Measured]:
        """Measure some files.

        Raises:
            ScanError: No process can be started.
        """
        from worker.adapters.audio_files import measure_all  # noqa: PLC0415 - once it is known to be installed

        try:
            return self._pool.submit(measure_all, batch).result()
        except BrokenProcessPool:
            self._start_again()
        if len(batch) == 1:
            return [Measured(None, "the audio library crashes on it")]
        return [one for path in batch for one in self.read([path])]

    def _start_again(self) -> None:
        """Start another process, and see that it works: else every file would be taken for broken.

        Raises:
            ScanError: It does not.
        """
        self.end()
        self._pool = _process()
        try:
            self._pool.submit(len, ()).result()
        except BrokenProcessPool as error:
            raise ScanError("processes that read headers of audio files end as they start") from error

    def end(self) -> None:
        """End the process."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def check_installed() -> None:
    """Check that the audio libraries are there.

    Raises:
        SettingsError: They are not installed.
    """
    missing = [name for name in ("soundfile", "tinytag") if not find_spec(name)]
    if missing:
        raise SettingsError(
            f"there is no {' and no '.join(missing)} to read audio: pip install 'sampling-worker[audio]'"
        )


def _process() -> ProcessPoolExecutor:
    # Not forked: the parent has threads, and connections to servers.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Leave interrupts to the parent, be silent, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # nothing to put in order
