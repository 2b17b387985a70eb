"""What a stream of samples has asked for and handed out, in order; whoever waits, and how, is not its business."""

from collections.abc import Callable, Sequence

from worker.client.arguments import Checked, Checker, check_count
from worker.client.driver import Numbered, Outcome
from worker.errors import SampleTimeoutError

RequestIds = Callable[[int], str]


class Window:
    """Count a stream's requests.

    Attributes:
        ready: Number of a request -> what came of it, until it is handed out.
        number: Of the request that is handed out next.
        timeout_s: Longest wait for one, in seconds; None for ever.
        low: How few may be asked for or ready before more are asked for.
    """

    def __init__(
        self, checked: Checked, checker: Checker, *, prefetch: int, count: int | None, request_ids: RequestIds | None
    ) -> None:
        """Begin with nothing asked for.

        Args:
            checked: What every request says.
            checker: Looks at request ids.
            prefetch: How many are asked for or ready, at most.
            count: How many there are in all; None: without end.
            request_ids: Names the request of a number, from 0 on; None: ids that nobody else has.

        Raises:
            TypeError: A number is none.
            ValueError: An argument is not accepted.
        """
        check_count("prefetch", prefetch)
        if count is not None:
            check_count("count", count)
        if request_ids is not None and checked.request_id:
            raise ValueError("request_ids and an id for all are both given; accepted: one of them")
        self.ready: dict[int, Outcome] = {}
        self.number = 0
        self.timeout_s = checked.timeout_s
        self.low = prefetch // 2
        self._asked = 0
        self._has_failed = False
        self._checked = checked
        self._checker = checker
        self._prefetch = prefetch
        self._count = count
        self._request_ids = request_ids

    @property
    def is_over(self) -> bool:
        """Tell whether all were handed out."""
        return self._count is not None and self.number >= self._count

    @property
    def is_low(self) -> bool:
        """Tell whether it is time to ask for more."""
        return self._asked - self.number <= self.low and self._asked != self._count

    def more(self) -> Sequence[Numbered]:
        """Take the requests that are to be asked for next."""
        end = self.number + self._prefetch
        if self._count is not None:
            end = min(end, self._count)
        numbers = range(self._asked, end)
        self._asked = max(self._asked, end)
        return [self._request(number) for number in numbers]

    def all_again(self) -> Sequence[Numbered]:
        """Take what was asked for and has not come, for another driver to ask for, and what is to be asked for next."""
        missing = [number for number in range(self.number, self._asked) if number not in self.ready]
        return [*(self._request(number) for number in missing), *self.more()]

    def once_more(self, outcome: Outcome | None, *, is_late: bool) -> Sequence[Numbered]:
        """Decide what to ask for before the next one is waited for.

        Args:
            outcome: What came of it so far, and is no sample; None: nothing.
            is_late: Whether whoever waits has no time left.

        Returns:
            It, where it has to be asked for again.

        Raises:
            SamplingError: What came of it, where that is final; with the next call it is asked for again.
        """
        if isinstance(outcome, SampleTimeoutError) and not is_late:  # it was given up on while nobody waited
            return [self._request(self.number)]
        if isinstance(outcome, Exception):
            self._has_failed = True
            raise outcome
        had_failed, self._has_failed = self._has_failed, False
        return [self._request(self.number)] if had_failed else []

    def _request(self, number: int) -> Numbered:
        """Make the request of a number."""
        if self._request_ids is None:
            return number, self._checked
        return number, self._checker.rename(self._checked, self._request_ids(number))
