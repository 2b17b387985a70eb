"""The stream of a training loop: samples that its client's thread has asked for ahead."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

from worker.client.background import GRACE_S, Background
from worker.client.driver import Driver, Outcome
from worker.client.samples import Sample
from worker.client.window import Window
from worker.errors import SampleTimeoutError


class SampleStream(Iterator[Sample]):
    """Hand out samples in the order in which they were asked for.

    One that is an error is raised, and asked for again with the next call: none is left out.
    """

    def __init__(self, start: Callable[[], Background], window: Window) -> None:
        """Take who asks, started where needed, and what for; nothing is asked for before the first sample is wanted."""
        self._start = start
        self._window = window
        self._background: Background | None = None
        self._arrived = threading.Condition()
        self._is_asking = False

    @property
    def position(self) -> int:
        """Tell how many samples were handed out."""
        return self._window.number

    @property
    def asked(self) -> int:
        """Tell how many samples were asked for, or are about to be."""
        return self._window.granted

    def __reduce__(self) -> NoReturn:
        """Refuse to be sent to another process.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a stream belongs to its process; accepted: pickle its client, and begin a stream there")

    def __next__(self) -> Sample:
        """Return the next sample, waiting for it where it has not come.

        Raises:
            SampleError: The worker answered with an error; and whatever else `SampleClient.sample` raises.
        """
        window = self._window
        outcome = window.ready.get(window.number)  # whoever is interrupted before `advance` finds it again
        sample = outcome if isinstance(outcome, Sample) else self._wait()
        if window.advance():
            self._ask()
        return sample

    def _wait(self) -> Sample:
        """Wait for the sample of the present number."""
        window = self._window
        if window.is_over:
            raise StopIteration
        deadline_s = math.inf if window.timeout_s is None else time.monotonic() + window.timeout_s
        background = self._start()
        if background is not self._background:  # the first call, or the first in a forked process
            self._background = background
            self._is_asking = False
            self._arrived = threading.Condition()  # its thread may have held the parent's when it was forked
            window.begin()
        outcome = window.ready.get(window.number)
        while not isinstance(outcome, Sample):
            window.judge(outcome, is_late=time.monotonic() >= deadline_s)
            self._ask()
            outcome = self._pop(deadline_s)
        return outcome

    def _pop(self, deadline_s: float) -> Outcome:
        """Wait for whatever comes of the present number, a little longer than it may take."""
        window = self._window
        left_s = None if deadline_s == math.inf else max(0, deadline_s - time.monotonic()) + GRACE_S
        with self._arrived:
            self._arrived.wait_for(lambda: window.number in window.ready, left_s)
        late = SampleTimeoutError(f"no sample within {window.timeout_s} s")
        return window.ready.get(window.number, late)

    def _ask(self) -> None:
        """Have the thread ask for what is wanted; mostly it does so by itself, with the next result that comes."""
        if self._window.wanted and self._background is not None:
            self._background.post(self._ask_for_wanted, self._background.driver)

    def _ask_for_wanted(self, driver: Driver) -> None:
        """Ask for what is wanted, in the thread; an answer that is there already brings it here again."""
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while self._window.wanted:
                number, checked = self._window.wanted.popleft()
                driver.ask(checked, partial(self._arrive, driver, number))
        finally:
            self._is_asking = False

    def _arrive(self, driver: Driver, number: int, outcome: Outcome) -> None:
        with self._arrived:
            self._window.ready[number] = outcome
            self._arrived.notify_all()
        self._ask_for_wanted(driver)
