"""Losses by category, out of a training loop: kept step by step, and reported every so many steps.

A step costs some microseconds: the losses are copied where they are, on a GPU too, and nothing waits for the device.
All else happens once a report: the losses come to the host together, and are added up by category.
"""

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, Unpack

from worker.client.arguments import check_count
from worker.client.loss_sums import Sums, add_up, joined, place
from worker.client.report_calls import ReportOptions, check_report
from worker.client.samples import Sample
from worker.errors import FeedbackWarning

_SHOWN: Final = 64
_MOST_ON_THEIR_WAY: Final = 100
_MOST_CATEGORIES: Final = 5000  # of a report, however long their names and numbers are
_GOODBYE_S: Final = 10.0
_ACCEPTED: Final = "one loss for each chunk, as reduction='none' gives and a mean over all other dimensions"


class Stored(Protocol):
    """The future of a report."""

    def done(self) -> bool:
        """Return whether it is over."""
        ...

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        ...

    def exception(self) -> BaseException | None:
        """Return why the report was not stored."""
        ...

    def add_done_callback(self, call: Callable[[Any], object], /) -> None:
        """Register what is called when it is over."""
        ...


class Client(Protocol):
    """What `SampleClient` and `AsyncSampleClient` have in common here."""

    def submit_report(self, losses: Mapping[str, Any], **options: Unpack[ReportOptions]) -> Stored:
        """Report losses, and return the future of the report."""
        ...


class _Step(NamedTuple):
    """What one step has: categories and losses of its chunks, and which weights they were drawn under."""

    categories: Any
    losses: Any
    weights_version: str | None


class LossByCategory:
    """Reports the losses of a training loop by category.

    Use it as a metric: `update` at each step, on each rank with a client of its own. It reports by itself. A report
    that Redis does not store is lost, with a `FeedbackWarning`: no training ends because of it.
    """

    def __init__(
        self,
        client: Client,
        *,
        every: int = 50,
        categories: Iterable[str] = (),
        **options: Unpack[ReportOptions],
    ) -> None:
        """Report nothing yet.

        Args:
            client: A `SampleClient` or an `AsyncSampleClient`.
            every: Number of steps in a report.
            categories: Names, if `update` is given indexes of them.
            options: See `ReportOptions`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        self._client = client
        self._every = check_count("every", every)
        self._names = tuple(categories)
        check_report({"any": 0}, options, None)
        self._options: ReportOptions = options
        self._held: list[_Step] = []
        self._step: int | None = None
        self._sent: deque[Stored] = deque()
        self._trouble = ""
        self._broken: set[str] = set()

    def __repr__(self) -> str:
        """Show how much is held."""
        return f"<LossByCategory: {len(self._held)} of {self._every} steps, {len(self._sent)} reports on their way>"

    def update(
        self, categories: Any, losses: Any, *, weights_version: str | None = None, step: int | None = None
    ) -> None:
        """Take the losses of one step.

        Args:
            categories: The `Sample` with its column `category`; or the category of each chunk, as names or as indexes
                (a sequence, an array or a tensor).
            losses: Loss of each chunk: a tensor on any device, an array or a sequence, shape (chunks,).
            weights_version: The `weights_version` of the sample, if it is not given itself.
            step: Number of the step, for the report.

        Raises:
            ValueError: Categories are missing, or there is not one loss for each chunk.
        """
        if isinstance(categories, Sample):
            weights_version = categories.weights_version
            categories = categories.categories
            if categories is None:
                raise ValueError("the sample has no categories; accepted: one asked for with columns=('category',)")
        if getattr(losses, "ndim", 1) != 1 or not hasattr(losses, "__len__"):
            shape = tuple(getattr(losses, "shape", ()))
            raise ValueError(f"losses has the shape {shape}; accepted: {_ACCEPTED}")
        if len(categories) != len(losses):
            raise ValueError(f"{len(losses)} losses for {len(categories)} chunks; accepted: {_ACCEPTED}")
        self._held.append(_Step(_copied(categories), _copied(losses), weights_version))
        self._step = step
        if len(self._held) >= self._every:
            self.report()

    def report(self) -> list[Stored]:
        """Report what is held now, and return the futures of the reports: one for each version of weights.

        Raises:
            ClientClosedError: The client is closed.
            ValueError: A category is none.
        """
        held, self._held = self._held, []
        self._look_at_sent()
        sent: list[Stored] = []
        for version, steps in _by_version(held).items():
            self._report(version, steps, sent)
        self._sent.extend(sent)
        return sent

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Report what is held, and warn of each report that is not stored.

        Reports of a `SampleClient` are waited for, up to 10 s. Those of an `AsyncSampleClient` are stored or refused
        before that client is closed, and are told of then.

        Raises:
            ClientClosedError: The client is closed.
            ValueError: A category is none.
        """
        self.report()
        wait([one for one in self._sent if isinstance(one, Future)], _GOODBYE_S)
        self._look_at_sent()
        for one in self._sent:
            one.add_done_callback(lambda _: self._look_at_sent())

    def _report(self, version: str | None, steps: Sequence[_Step], sent: list[Stored]) -> None:
        """Report the losses of draws under one version of weights, if there are any."""
        places, names = place(joined([step.categories for step in steps]), self._names)
        losses, broken = add_up(places, names, joined([step.losses for step in steps]))
        for name in sorted(broken.keys() - self._broken):
            self._broken.add(name)
            what = f"losses of {ascii(name)[:_SHOWN]} are not finite, or too large"
            _warn(f"{what}, and are not reported: {broken[name]} so far")
        if len(self._sent) >= _MOST_ON_THEIR_WAY:
            self._tell(f"a report of losses was not sent: Redis has not stored the {len(self._sent)} before it")
        else:
            options = self._options_of(version)
            sent.extend(self._client.submit_report(part, **options) for part in _in_reports(losses))

    def _options_of(self, version: str | None) -> ReportOptions:
        named: ReportOptions = {} if version is None else {"weights_version": version}
        if self._step is not None:
            named["step"] = self._step
        return {**self._options, **named}

    def _look_at_sent(self) -> None:
        """Warn of reports that were not stored; the same reason once."""
        while self._sent and self._sent[0].done():
            stored = self._sent.popleft()
            error = "the client was closed before" if stored.cancelled() else stored.exception()
            self._tell("" if error is None else f"a report of losses was not stored: {error}")

    def _tell(self, trouble: str) -> None:
        """Warn of trouble, unless it is what was told last; empty: all is well again."""
        if trouble and trouble != self._trouble:
            _warn(trouble)
        self._trouble = trouble


def _in_reports(losses: Sums) -> Iterator[Sums]:
    """Divide losses, so that no report is longer than accepted."""
    pairs = iter(losses.items())
    while part := dict(islice(pairs, _MOST_CATEGORIES)):
        yield part


def _by_version(steps: Iterable[_Step]) -> dict[str | None, list[_Step]]:
    found: dict[str | None, list[_Step]] = {}
    for step in steps:
        found.setdefault(step.weights_version, []).append(step)
    return found


def _copied(values: Any) -> Any:
    """Copy values where they are: a training loop may change its buffers, and nothing may wait for a GPU."""
    if hasattr(values, "detach"):
        return values.detach().clone()
    return values.copy() if hasattr(values, "copy") else tuple(values)


def _warn(sentence: str) -> None:
    """Warn the training loop: where it called, not here."""
    depth = 1
    while sys._getframe(depth).f_globals.get("__name__") == __name__:  # noqa: SLF001 - the stack has no other way
        depth += 1
    warnings.warn(sentence, FeedbackWarning, stacklevel=depth + 1)
