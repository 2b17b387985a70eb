"""What this worker settled: it counts every request, and logs a few of them.

The counts are for the statistics lines, and for the totals of the last line. They are never read by another process.
"""

import json
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from worker.core.draw.groups import Answers
from worker.core.events import (
    RequestDeadLettered,
    RequestFailed,
    RequestRejected,
    RequestServed,
    ResultsTrimRefused,
    ResultWriteFailed,
    StatsWriteFailed,
)
from worker.core.mixture import Mixture
from worker.core.stats import Asked, Tally
from worker.core.wire import EXPIRED, Request, Result, Terms
from worker.logs.emit import RateLimited, wanted
from worker.ports import GivenUp, Settled
from worker.service.latencies import Latencies, Recent

_MOST_SESSIONS = 4096  # about; those beyond are looked at another time


@dataclass(slots=True)
class Interval:
    """The counts of one interval.

    Attributes:
        since: When it began (monotonic, s).
        requests: Results written, errors included.
        errors: Error results among them.
        chunks: Chunk ids in the ok results.
        redrawn: Batches drawn again because weights or a session had just changed.
        tally: Growth of the stats hash, by field.
        mixtures: The mixtures that these fields refer to, see `worker.core.stats.Tally`.
        asked: What the weights ask for beyond what the draws could follow.
        latencies: How long the results took.
    """

    since: float = field(default_factory=time.monotonic)
    requests: int = 0
    errors: int = 0
    chunks: int = 0
    redrawn: int = 0
    tally: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    mixtures: dict[str, Mixture] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def mixture_texts(self) -> dict[str, str]:
        """Return the mixtures as text, as the stats hash stores them."""
        return {name: mixture.text for name, mixture in self.mixtures.items()}


class Meter:
    """The counts since the start and by interval, and the log lines of settled requests.

    Attributes:
        requests: Results written since the start.
        chunks: Chunk ids drawn since the start.
        progress_at: When a lane last finished a round, or settled entries that it reclaimed (monotonic, s).
        interval: The counts of the current interval.
        recent: How fast it was in the last few seconds.
        sessions: The sessions that were served and not looked at since, see `worker.service.session_limits`.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.chunks = 0
        self.progress_at = time.monotonic()
        self.interval = Interval()
        self.recent = Recent()
        self.sessions: set[str] = set()
        self._rejected = RateLimited(interval_s=10.0, burst=5)
        self._served = RateLimited(interval_s=1.0, burst=2)
        self._failed = RateLimited(interval_s=10.0, burst=5)
        self._dead_lettered = RateLimited(interval_s=10.0, burst=5)
        self._unwritable = RateLimited(interval_s=10.0, burst=5)
        self._uncounted = RateLimited(interval_s=10.0, burst=1)
        self._untrimmed = RateLimited(interval_s=60.0, burst=1)

    def begin_interval(self) -> Interval:
        """Return the interval that ends now, and begin the next one."""
        ended, self.interval = self.interval, Interval()
        return ended

    def count(self, tally: Tally) -> None:
        """Count a settled batch."""
        self.requests += tally.requests
        self.chunks += tally.chunks
        self.interval.requests += tally.requests
        self.interval.errors += tally.errors
        self.interval.chunks += tally.chunks
        counted = self.interval.tally
        for name, growth in tally.fields.items():  # a `Counter` takes twice as long
            counted[name] += growth
        self.interval.mixtures.update(tally.mixtures)
        self.interval.asked.add(tally.asked)

    def count_redraw(self) -> None:
        """Count a batch that is drawn again."""
        self.interval.redrawn += 1

    def record(self, part: Sequence[Request | Result], answered: Answers, settled: Settled) -> None:
        """Count a settled batch, and log what is worth a line.

        Args:
            part: Its requests, at least one.
            answered: Their results, in any order.
            settled: What settling them returned.
        """
        self.count(answered.tally)
        if answered.visits and len(self.sessions) < _MOST_SESSIONS:
            self.sessions.update(answered.visits)
        self._count_latencies(answered, settled.at_ms)
        if answered.tally.errors:
            for result in answered.results:
                if result.error is not None:
                    self._log_rejection(result)
        if wanted(RequestServed) and isinstance(part[0], Request):
            self._served.emit(partial(_served, part, answered, settled.at_ms))
        if settled.uncounted:
            self._uncounted.emit(lambda _: StatsWriteFailed(requests=len(part), key=settled.uncounted))
        if settled.unbounded:
            self._untrimmed.emit(
                lambda suppressed: ResultsTrimRefused(message=settled.unbounded, suppressed=suppressed)
            )

    def log_given_up(self, given_up: Sequence[GivenUp]) -> None:
        """Log some of the requests that were given up on, once their dead letters are stored."""
        for one in given_up:
            self._log_dead_letter(one)

    def log_unwritable(self, result: Result, why: str) -> None:
        """Log a result or a dead letter that could not be written."""
        self._unwritable.emit(
            lambda suppressed: ResultWriteFailed(
                request_id=result.request_id, entry_id=result.entry_id, message=why, suppressed=suppressed
            )
        )

    def log_failure(self, requests: int, error: Exception) -> None:
        """Log a bug that kept some requests, drawn together, from being answered."""
        name = type(error).__name__
        self._failed.emit(
            lambda suppressed: RequestFailed(
                requests=requests,
                error=name,
                message=str(error),
                traceback="".join(traceback.format_exception(error)),
                suppressed=suppressed,
            ),
            key=name,
        )

    def _count_latencies(self, answered: Answers, at_ms: int) -> None:
        """Count the time from each entry's arrival to its settling; an expired one only waited for a worker."""
        timed = answered.results
        if answered.tally.errors:
            timed = [result for result in timed if result.error != EXPIRED]
        for added_at_ms, count in _count_arrivals(timed):
            took_ms = at_ms - added_at_ms
            self.interval.latencies.add(took_ms, count)
            self.recent.add(took_ms, count)

    def _log_dead_letter(self, given_up: GivenUp) -> None:
        result, code = given_up.result, given_up.failure.code
        self._dead_lettered.emit(
            lambda suppressed: RequestDeadLettered(
                request_id=result.request_id,
                entry_id=result.entry_id,
                error=code,
                message=result.message,
                deliveries=given_up.deliveries,
                traceparent=result.traceparent,
                suppressed=suppressed,
            ),
            key=code,
        )

    def _log_rejection(self, result: Result) -> None:
        code = result.error or ""
        self._rejected.emit(
            lambda suppressed: RequestRejected(
                request_id=result.request_id,
                entry_id=result.entry_id,
                error=code,
                message=result.message,
                traceparent=result.traceparent,
                suppressed=suppressed,
            ),
            key=code,
        )


def _count_arrivals(results: Sequence[Result]) -> Iterable[tuple[int, int]]:
    """Return when the requests of some results were added (Unix time in ms), and how many at each time."""
    if len(results) == 1:
        return ((int(results[0].entry_id.partition("-")[0]), 1),)
    arrivals = Counter([result.entry_id.partition("-")[0] for result in results])
    return [(int(added_at), count) for added_at, count in arrivals.items()]


def _served(part: Sequence[Request | Result], answered: Answers, at_ms: int, suppressed: int) -> RequestServed:
    """Return the event that shows one request of a batch: the first one with a trace context, or else the first one."""
    valid = [one for one in part if isinstance(one, Request)]
    request = next((one for one in valid if one.traceparent is not None), valid[0])
    result = next(result for result in answered.results if result.entry_id == request.entry_id)
    terms = request.terms
    return RequestServed(
        request_id=request.request_id,
        entry_id=request.entry_id,
        size=_size(terms, result),
        status="ok" if result.error is None else "error",
        error=result.error,
        dataset=terms.dataset,
        preset=terms.preset,
        session=terms.session,
        split=terms.split,
        method=terms.method,
        counts=result.counts or None,
        weights_version=result.weights_version,
        latency_ms=at_ms - int(request.entry_id.partition("-")[0]),
        traceparent=request.traceparent,
        sampled_1_in=len(answered.results) * (suppressed + 1),
    )


def _size(terms: Terms, result: Result) -> int:
    """Return how many chunk ids a request wanted; with a budget, how many it got."""
    if terms.budget_s is None:
        return terms.size
    counts: dict[str, int] = json.loads(result.counts or "{}")
    return sum(counts.values())
