"""What a stream of samples has asked for and handed out, in order; whoever waits, and how, is not its business."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from worker.client.arguments import Checked, Checker, check_count
from worker.client.driver import Numbered, Outcome
from worker.client.samples import Sample
from worker.core.wire.seeds import seed_of
from worker.errors import SampleTimeoutError

RequestIds = Callable[[int], str]
Seeds = Callable[[int], int]


class Window:
    """Count a stream's requests.

    Attributes:
        ready: Number of a request -> what came of it, until it is handed out.
        wanted: Requests to be asked for; added to by whoever takes samples, taken from by whoever asks.
        number: Of the request that is handed out next.
        granted: How many were asked for, or are wanted.
        timeout_s: Longest wait for one, in seconds; None for ever.
    """

    def __init__(
        self,
        checked: Checked,
        *,
        prefetch: int,
        count: int | None,
        request_ids: RequestIds | None,
        seeds: Seeds | None,
    ) -> None:
        """Begin with nothing asked for.

        Args:
            checked: What every request says.
            prefetch: How many are asked for or ready, at most.
            count: How many there are in all; None: without end.
            request_ids: Names the request of a number, from 0 on; None: ids that nobody else has.
            seeds: Gives the request of a number its seed; None: none has one.

        Raises:
            TypeError: A number is none.
            ValueError: An argument is not accepted.
        """
        check_count("prefetch", prefetch)
        if count is not None:
            check_count("count", count)
        if request_ids is not None and checked.request_id:
            raise ValueError("request_ids and an id for all are both given; accepted: one of them")
        if checked.request_id:
            sentence = "request_id names one request, and a stream asks for many; accepted: request_ids, number -> id"
            raise ValueError(sentence)
        self.ready: dict[int, Outcome] = {}
        self.wanted: deque[Numbered] = deque()
        self.number = 0
        self.timeout_s = checked.timeout_s
        self._half = max(1, prefetch // 2)
        self.granted = 0
        self._has_failed = False
        self._checked = checked
        self._prefetch = prefetch
        self._count = count
        self._request_ids = request_ids
        self._seeds = seeds
        self._are_alike = request_ids is None and seeds is None

    @property
    def is_over(self) -> bool:
        """Tell whether all were handed out."""
        return self._count is not None and self.number >= self._count

    def begin(self) -> None:
        """Want what was asked for and has not come, for another driver, and so many more as may be ahead."""
        self.wanted.clear()
        missing = [number for number in range(self.number, self.granted) if not self._has(number)]
        self.wanted.extend(map(self._request, missing))
        end = self.number + self._prefetch
        end = end if self._count is None else min(end, self._count)
        self.wanted.extend(map(self._request, range(self.granted, end)))
        self.granted = max(self.granted, end)

    def advance(self) -> bool:
        """Go on to the next number, and want one more.

        In one go, as a training loop does nothing else but this between two steps.

        Returns:
            Whether so many are wanted that they should not wait for a result to come first.
        """
        self.number += 1
        self.ready.pop(self.number - 1, None)
        if self.granted != self._count:
            self.wanted.append((self.granted, self._checked) if self._are_alike else self._request(self.granted))
            self.granted += 1
        return len(self.wanted) >= self._half

    def judge(self, outcome: Outcome | None, *, is_late: bool) -> None:
        """Want the present number again where that is needed, before it is waited for.

        Args:
            outcome: What came of it so far, and is no sample; None: nothing.
            is_late: Whether whoever waits has no time left.

        Raises:
            SamplingError: What came of it, where that is final; with the next call it is asked for again.
        """
        if outcome is not None and self.ready.get(self.number) is outcome:
            del self.ready[self.number]
        if isinstance(outcome, SampleTimeoutError) and not is_late:  # it was given up on while nobody waited
            self.wanted.append(self._request(self.number))
        elif isinstance(outcome, Exception):
            self._has_failed = True
            raise outcome
        elif self._has_failed:
            self._has_failed = False
            self.wanted.append(self._request(self.number))

    def _has(self, number: int) -> bool:
        """Tell whether a sample is there; what else came was for another driver."""
        if not isinstance(self.ready.get(number), Sample):
            self.ready.pop(number, None)
        return number in self.ready

    def _request(self, number: int) -> Numbered:
        """Make the request of a number."""
        checked = self._checked
        if self._seeds is not None:
            checked = checked.with_seed(self._seeds(number))
        if self._request_ids is not None:
            checked = checked.with_id(self._request_ids(number))
        return number, checked


def window_of(
    checker: Checker,
    options: Mapping[str, Any],
    *,
    prefetch: int,
    count: int | None,
    request_ids: RequestIds | None,
) -> Window:
    """Make the window of a stream; its seed becomes one for each request.

    Args:
        checker: Knows what is accepted.
        options: What every request says, its size included.
        prefetch: See `Window`.
        count: See `Window`.
        request_ids: See `Window`.

    Raises:
        TypeError: An argument is not known, or of another type.
        ValueError: A value is not accepted.
    """
    checked, seed = checker.check_stream(options)
    seeds = None if seed is None else partial(seed_of, seed)
    return Window(checked, prefetch=prefetch, count=count, request_ids=request_ids, seeds=seeds)
