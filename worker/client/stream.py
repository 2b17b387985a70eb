"""A stream of samples for a training loop: the client's thread asks for them ahead of the loop.

Two threads share the `PrefetchQueue` without a lock:

- The loop's thread takes the outcome at `position`, advances, and appends one request to `to_ask`.
- The client's thread removes requests from `to_ask`, asks, and stores each outcome under its number.

Each of these steps is one operation on a dict or deque, and so atomic. Only the client's thread adds an outcome, and
only the loop's thread removes one. So results may arrive in any order, and the loop still takes them by number.

The client's thread looks at `to_ask` after each result. So the loop seldom has to wake it: only once half of the
prefetch is to be asked for. The lock of `_arrived` is taken by the loop only while the next sample is missing.

An error is raised where its sample would be, and the next call asks for the same number again. A forked process has
neither thread nor connections. Its first wait finds a new thread, makes a new lock, and asks again for what is missing.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

from worker.client.background import GRACE_S, Background
from worker.client.prefetch import PrefetchQueue
from worker.client.requester import Outcome, Requester
from worker.client.samples import Sample
from worker.errors import SampleTimeoutError


class SampleStream(Iterator[Sample]):
    """An iterator over samples, in the order in which they were asked for.

    An error is raised, and the next call asks for the same sample again: none is skipped.
    """

    def __init__(self, start: Callable[[], Background], queue: PrefetchQueue) -> None:
        """Ask for nothing before the first sample is wanted.

        Args:
            start: Returns the thread of the client, and starts it if needed.
            queue: The requests of the stream.
        """
        self._start = start
        self._queue = queue
        self._background: Background | None = None
        self._arrived = threading.Condition()
        self._is_asking = False

    @property
    def position(self) -> int:
        """Return how many samples were handed out."""
        return self._queue.position

    @property
    def asked(self) -> int:
        """Return how many samples were asked for, or are about to be."""
        return self._queue.asked

    def __repr__(self) -> str:
        """Describe how far the stream is."""
        return f"<SampleStream position {self.position}, {self.asked} asked for, {len(self._queue.outcomes)} arrived>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a stream belongs to its process; accepted: pickle its client, and begin a stream there")

    def __next__(self) -> Sample:
        """Return the next sample; wait for it if it has not arrived.

        Raises:
            SampleError: The worker answered with an error; or any other error of `SampleClient.sample`.
        """
        queue = self._queue
        outcome = queue.outcomes.get(queue.position)  # an interrupt before `advance` loses nothing
        sample = outcome if isinstance(outcome, Sample) else self._wait()
        if queue.advance():
            self._wake()
        return sample

    def _wait(self) -> Sample:
        """Wait for the sample at the present position."""
        queue = self._queue
        if queue.is_over:
            raise StopIteration
        deadline_s = math.inf if queue.timeout_s is None else time.monotonic() + queue.timeout_s
        background = self._start()
        if background is not self._background:  # the first call, or the first in a forked process
            self._background = background
            self._is_asking = False
            self._arrived = threading.Condition()  # a thread of the parent may have held the old one at the fork
            queue.restart()
        outcome = queue.outcomes.get(queue.position)
        while not isinstance(outcome, Sample):
            queue.check_outcome(outcome, is_late=time.monotonic() >= deadline_s)
            self._wake()
            outcome = self._pop(deadline_s)
        return outcome

    def _pop(self, deadline_s: float) -> Outcome:
        """Wait for the outcome at the present position, a little longer than its time-out."""
        queue = self._queue
        left_s = None if deadline_s == math.inf else max(0, deadline_s - time.monotonic()) + GRACE_S
        with self._arrived:
            self._arrived.wait_for(lambda: queue.position in queue.outcomes, left_s)
        late = SampleTimeoutError(f"no sample within {queue.timeout_s} s")
        return queue.outcomes.get(queue.position, late)

    def _wake(self) -> None:
        """Wake the client's thread to ask for what stands in `to_ask`."""
        if self._queue.to_ask and self._background is not None:
            self._background.post(self._ask_in_thread, self._background.requester)

    def _ask_in_thread(self, requester: Requester) -> None:
        """Ask for what stands in `to_ask`; runs in the client's thread.

        A kept result is delivered at once, and that calls this method again: hence the flag.
        """
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while self._queue.to_ask:
                number, checked = self._queue.to_ask.popleft()
                requester.ask(checked, partial(self._arrive, requester, number))
        finally:
            self._is_asking = False

    def _arrive(self, requester: Requester, number: int, outcome: Outcome) -> None:
        with self._arrived:
            self._queue.outcomes[number] = outcome
            self._arrived.notify_all()
        self._ask_in_thread(requester)
