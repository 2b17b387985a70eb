"""What a stream has asked for and handed out, in order. How to ask and how to wait is the stream's part."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from worker.client.arguments import Checked, Checker, check_count
from worker.client.asking import Numbered
from worker.client.requester import Outcome
from worker.client.samples import Sample
from worker.core.wire.seeds import seed_of
from worker.errors import SampleTimeoutError

RequestIds = Callable[[int], str]
Seeds = Callable[[int], int]


class PrefetchQueue:
    """The numbered requests of one stream, from asking to handing out.

    Attributes:
        outcomes: Number of a request -> its sample or error, until it is handed out.
        to_ask: Requests to ask for next. The taker of samples appends to it, the asker removes from it.
        position: Number of the sample that is handed out next.
        asked: How many requests were asked for or stand in `to_ask`.
        timeout_s: Longest wait for one sample, in seconds; None: for ever.
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
            checked: The request, but for its id and seed.
            prefetch: Number of samples that are asked for or ready, at most.
            count: Number of samples in all; None: without end.
            request_ids: Number of a request, from 0 -> its id; None: unique ids.
            seeds: Number of a request -> its seed; None: no seeds.

        Raises:
            TypeError: A number is not a whole number.
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
        self.outcomes: dict[int, Outcome] = {}
        self.to_ask: deque[Numbered] = deque()
        self.position = 0
        self.timeout_s = checked.timeout_s
        self._half = max(1, prefetch // 2)
        self.asked = 0
        self._has_failed = False
        self._checked = checked
        self._prefetch = prefetch
        self._count = count
        self._request_ids = request_ids
        self._seeds = seeds
        self._are_alike = request_ids is None and seeds is None

    @property
    def is_over(self) -> bool:
        """Return whether all samples were handed out."""
        return self._count is not None and self.position >= self._count

    def restart(self) -> None:
        """Ask a new requester again for what has not arrived, and for as many more as may be ahead."""
        self.to_ask.clear()
        missing = [number for number in range(self.position, self.asked) if not self._has(number)]
        self.to_ask.extend(map(self._request, missing))
        end = self.position + self._prefetch
        end = end if self._count is None else min(end, self._count)
        self.to_ask.extend(map(self._request, range(self.asked, end)))
        self.asked = max(self.asked, end)

    def advance(self) -> bool:
        """Go on to the next number, and add one request to `to_ask`.

        This is one method, because a training loop calls it between any two steps.

        Returns:
            Whether half of the prefetch is to be asked for: that should not wait until a result arrives.
        """
        self.position += 1
        self.outcomes.pop(self.position - 1, None)
        if self.asked != self._count:
            self.to_ask.append((self.asked, self._checked) if self._are_alike else self._request(self.asked))
            self.asked += 1
        return len(self.to_ask) >= self._half

    def check_outcome(self, outcome: Outcome | None, *, is_late: bool) -> None:
        """Check what there is of the present number before it is waited for, and ask again if needed.

        Args:
            outcome: Its error, or None if nothing has arrived.
            is_late: Whether the time of the caller is over.

        Raises:
            SamplingError: The outcome, if it is final. The next call asks again.
        """
        if outcome is not None and self.outcomes.get(self.position) is outcome:
            del self.outcomes[self.position]
        if isinstance(outcome, SampleTimeoutError) and not is_late:  # it timed out while nobody waited for it
            self.to_ask.append(self._request(self.position))
        elif isinstance(outcome, Exception):
            self._has_failed = True
            raise outcome
        elif self._has_failed:
            self._has_failed = False
            self.to_ask.append(self._request(self.position))

    def _has(self, number: int) -> bool:
        """Return whether the sample of a number is there, and drop an error that an earlier requester left."""
        if not isinstance(self.outcomes.get(number), Sample):
            self.outcomes.pop(number, None)
        return number in self.outcomes

    def _request(self, number: int) -> Numbered:
        """Make the request of a number, with its id and seed."""
        checked = self._checked
        if self._seeds is not None:
            checked = checked.with_seed(self._seeds(number))
        if self._request_ids is not None:
            checked = checked.with_id(self._request_ids(number))
        return number, checked


def make_queue(
    checker: Checker,
    options: Mapping[str, Any],
    *,
    prefetch: int,
    count: int | None,
    request_ids: RequestIds | None,
) -> PrefetchQueue:
    """Make the queue of a stream. Each request gets a seed of its own from that of the stream.

    Args:
        checker: Checks the options.
        options: Options of every request, and the size.
        prefetch: See `PrefetchQueue`.
        count: See `PrefetchQueue`.
        request_ids: See `PrefetchQueue`.

    Raises:
        TypeError: An argument is not known, or of another type.
        ValueError: A value is not accepted.
    """
    checked, seed = checker.check_stream(options)
    seeds = None if seed is None else partial(seed_of, seed)
    return PrefetchQueue(checked, prefetch=prefetch, count=count, request_ids=request_ids, seeds=seeds)
