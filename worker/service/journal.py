"""Tell what was settled: counts for the statistics, and a few log lines out of many requests."""

import time
import traceback
from collections import Counter
from collections.abc import Sequence

from worker.core.draw.answer import Answers
from worker.core.events import (
    RequestDeadLettered,
    RequestFailed,
    RequestRejected,
    RequestServed,
    ResultsUnbounded,
    ResultUnwritable,
    StatsUncounted,
)
from worker.core.wire import EXPIRED, Request, Result
from worker.logs.emit import emit, wanted
from worker.logs.rate_limit import Pace
from worker.ports import GivenUp, Settled
from worker.service.meter import Meter


class Journal:
    """Count settled batches, and show some of their requests."""

    def __init__(self, meter: Meter) -> None:
        """Take where to count."""
        self._meter = meter
        self._rejections = Pace(interval_s=10.0, burst=5)
        self._served = Pace(interval_s=0.5, burst=2)
        self._failures = Pace(interval_s=10.0, burst=5)
        self._letters = Pace(interval_s=10.0, burst=5)
        self._unwritable = Pace(interval_s=10.0, burst=5)
        self._uncounted = Pace(interval_s=10.0, burst=1)
        self._unbounded = Pace(interval_s=60.0, burst=1)

    def count_redraw(self) -> None:
        """Count a batch that was drawn again because its weights had just changed."""
        self._meter.interval.redrawn += 1

    def tell(self, part: Sequence[Request | Result], answered: Answers, settled: Settled) -> None:
        """Count a settled batch and log what is worth a line."""
        self._meter.count(answered.tally)
        timed = answered.results
        if answered.tally.errors:  # one that expired waited for a worker, and not for its answer
            timed = [result for result in timed if result.error != EXPIRED]
        added_at_ms = Counter([result.entry_id.partition("-")[0] for result in timed])
        for added_at, count in added_at_ms.items():
            self._meter.interval.add_latency(settled.at_ms - int(added_at), count)
        if answered.tally.errors:
            for result in answered.results:
                if result.error is not None:
                    self._tell_rejection(result)
        if wanted(RequestServed):
            self._tell_served(part[0], answered, settled.at_ms)
        if not settled.counted and self._uncounted.admit("", time.monotonic()) is not None:
            emit(StatsUncounted(requests=len(part)))
        if settled.unbounded:
            self._tell_unbounded(settled.unbounded)

    def tell_given_up(self, given_up: Sequence[GivenUp]) -> None:
        """Tell of some of the requests that were given up on, now that they stand among the dead letters."""
        for result, _, deliveries, failure in given_up:
            suppressed = self._letters.admit(failure.code, time.monotonic())
            if suppressed is not None:
                emit(
                    RequestDeadLettered(
                        request_id=result.request_id,
                        entry_id=result.entry_id,
                        error=failure.code,
                        message=result.message,
                        deliveries=deliveries,
                        suppressed=suppressed,
                    )
                )

    def tell_unwritable(self, result: Result, why: str) -> None:
        """Tell of a result or a dead letter that could not be written."""
        suppressed = self._unwritable.admit("", time.monotonic())
        if suppressed is not None:
            emit(
                ResultUnwritable(
                    request_id=result.request_id, entry_id=result.entry_id, message=why, suppressed=suppressed
                )
            )

    def tell_failure(self, requests: int, error: Exception) -> None:
        """Tell of a bug that kept some requests, drawn together, from being answered."""
        name = type(error).__name__
        suppressed = self._failures.admit(name, time.monotonic())
        if suppressed is not None:
            text = "".join(traceback.format_exception(error))
            emit(
                RequestFailed(requests=requests, error=name, message=str(error), traceback=text, suppressed=suppressed)
            )

    def _tell_unbounded(self, message: str) -> None:
        suppressed = self._unbounded.admit("", time.monotonic())
        if suppressed is not None:
            emit(ResultsUnbounded(message=message, suppressed=suppressed))

    def _tell_rejection(self, result: Result) -> None:
        suppressed = self._rejections.admit(result.error or "", time.monotonic())
        if suppressed is not None:
            emit(
                RequestRejected(
                    request_id=result.request_id,
                    entry_id=result.entry_id,
                    error=result.error or "",
                    message=result.message,
                    suppressed=suppressed,
                )
            )

    def _tell_served(self, request: Request | Result, answered: Answers, at_ms: int) -> None:
        """Show one request of the batch."""
        suppressed = self._served.admit("", time.monotonic())
        if suppressed is None or isinstance(request, Result):
            return
        result = next(result for result in answered.results if result.entry_id == request.entry_id)
        emit(
            RequestServed(
                request_id=request.request_id,
                entry_id=request.entry_id,
                size=request.terms.size,
                status="ok" if result.error is None else "error",
                dataset=request.terms.dataset,
                weights_version=result.weights_version,
                latency_ms=at_ms - int(request.entry_id.partition("-")[0]),
                sampled_1_in=len(answered.results) * (suppressed + 1),
            )
        )
