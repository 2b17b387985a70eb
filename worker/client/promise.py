"""A sample that was asked for in this process: one that is forked from it learns that it will not come there."""

import os
import threading
import weakref
from concurrent.futures import Future

from worker.client.samples import Sample
from worker.errors import ClientClosedError


class Promise(Future[Sample]):
    """Promise a sample, in the process that asked for it."""

    def __init__(self) -> None:
        """Begin with nothing; it cannot be cancelled."""
        super().__init__()
        self.set_running_or_notify_cancel()
        _promises.add(self)

    def break_off(self) -> None:
        """End in a forked process: the thread that keeps the promise is not there, and may have held the lock."""
        self._condition = threading.Condition()
        if not self.done():
            self._done_callbacks.clear()
            self.set_exception(ClientClosedError("it was asked for by the process that this one was forked from"))

    _done_callbacks: list[object]


def _break_promises() -> None:
    for promise in list(_promises):
        promise.break_off()


_promises: "weakref.WeakSet[Promise]" = weakref.WeakSet()
os.register_at_fork(after_in_child=_break_promises)
