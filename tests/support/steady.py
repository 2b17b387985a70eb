"""A training that asks for one sample after another, whatever happens, and notes how long it has waited."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from worker.client import SampleClient

_TIMEOUT_S = 60.0


class Steady:
    """What a training has seen so far.

    Attributes:
        waits_s: How long each sample took, in seconds.
        versions: When each was asked for, in Unix ns, and the version of the weights that it was drawn under.
    """

    def __init__(self, url: str, prefix: str, size: int) -> None:
        self.waits_s: list[float] = []
        self.versions: list[tuple[int, str]] = []
        self._url, self._prefix, self._size = url, prefix, size
        self._is_over = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._ask)

    @property
    def samples(self) -> int:
        """Count its samples."""
        return len(self.waits_s)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End, and raise what ended the training before, if anything did."""
        self._is_over.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _ask(self) -> None:
        try:
            with SampleClient(self._url, prefix=self._prefix, timeout_s=_TIMEOUT_S) as client:
                while not self._is_over.is_set():
                    asked_ns = time.time_ns()
                    sample = client.sample(self._size)
                    assert len(sample.chunk_ids) == self._size
                    self.versions.append((asked_ns, sample.weights_version))
                    self.waits_s.append((time.time_ns() - asked_ns) / 1e9)
        except BaseException as error:  # noqa: BLE001 - raised where the training is ended
            self._problem = error


@contextmanager
def steady(url: str, prefix: str, size: int = 4) -> Iterator[Steady]:
    """Run a training."""
    training = Steady(url, prefix, size)
    training.start()
    try:
        yield training
    finally:
        training.end()
