"""A future that fails in forked processes: the result arrives in the process that asked, and nowhere else."""

import os
import threading
import weakref
from concurrent.futures import Future

from worker.client.samples import Sample
from worker.errors import ClientClosedError


class SampleFuture(Future[Sample]):
    """The future of a sample. It cannot be cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        _futures.add(self)

    def fail_after_fork(self) -> None:
        """Fail in a forked process, whose parent has the thread that sets the result and may hold the lock."""
        self._condition = threading.Condition()
        if not self.done():
            self._done_callbacks.clear()
            self.set_exception(ClientClosedError("it was asked for by the process that this one was forked from"))

    _done_callbacks: list[object]


def _fail_all() -> None:
    for future in list(_futures):
        future.fail_after_fork()


_futures: "weakref.WeakSet[SampleFuture]" = weakref.WeakSet()
os.register_at_fork(after_in_child=_fail_all)
