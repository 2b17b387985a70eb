"""Log events about requests, and about the counts of them."""

from dataclasses import dataclass, field
from typing import ClassVar

from worker.core.events.event import MAX_CHARS, Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStats(Event):
    """What the worker did in one interval, and where it stands at the end of it.

    Attributes:
        interval_s: Length of the interval, which the counts and latencies refer to.
        lag: Entries of the stream that no consumer has read, XLEN less pending; None if Redis did not answer or has no
            group yet.
        latency_max_ms: The longest time of a request, exactly; None without requests.
        pending: Entries read and not settled, over all consumers; None if the server does not know.
        oldest_pending_ms: How long ago the oldest of these was added; None if none is pending or Redis did not answer.
        redrawn: Batches drawn again because weights or a session had just changed.
        log_lines_dropped: Lines that could not be written, since the process began.
        loop_lag_ms: The largest delay of the event loop in the interval.
        memory_bytes: Resident memory at its end; None where the system does not say.
    """

    event: ClassVar[str] = "worker.stats"
    interval_s: float
    requests: int
    chunks: int
    errors: int
    requests_per_s: float
    chunks_per_s: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    lag: int | None
    pending: int | None
    oldest_pending_ms: int | None
    redrawn: int
    weights_version: str
    catalog_version: str
    log_lines_dropped: int
    loop_lag_ms: float
    memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryStats(Event):
    """What one category of one dataset got in one interval, compared with its weight.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        count: Chunks drawn.
        audio_s: Their total duration if weights are shares of audio time; None if they are shares of chunks.
        weight: Its normalised weight, 0 to 1, at the end of the interval; categories without READY chunks included.
        share: `count` over the dataset's chunks of the interval, 0 to 1; of `audio_s` if that is not None.
        expected: Chunks expected under the weights of each batch; seconds if `audio_s` is not None.
        z: Standard deviations between `expected` and what was drawn; None if no draw was random.
        ready: READY chunks of the category.
    """

    event: ClassVar[str] = "category.stats"
    dataset: str | None
    category: str
    count: int
    audio_s: float | None
    weight: float
    share: float
    expected: float
    z: float | None
    ready: int
    weights_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsWriteFailed(Event):
    """Settled requests were not counted: a key of counts, or one of its fields, holds something else.

    Attributes:
        requests: How many requests the batch of this line had.
        key: The key, of the counts of all workers, of a session or of what was heard under a rule.
    """

    event: ClassVar[str] = "stats.write_failed"
    level: ClassVar[Level] = "error"
    requests: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestServed(Event):
    """A request was settled: all about one of many in one line; two at once at most, and one a second.

    Attributes:
        size: How many chunk ids it asked for; with a budget, how many it got.
        status: `ok` or `error`.
        error: Its error code; None if it is ok.
        counts: JSON object category -> how many of the ids; None if it has none.
        traceparent: W3C trace context of the request; a request that has one is preferred.
        latency_ms: Time from the arrival of the entry, by its id, to its settling.
        sampled_1_in: Settled requests that the line stands for, its own included.
    """

    event: ClassVar[str] = "request.served"
    request_id: str
    entry_id: str
    size: int
    status: str
    error: str | None = None
    dataset: str | None
    preset: str | None = None
    session: str | None = None
    split: str | None = None
    method: str = "random"
    counts: str | None = None
    weights_version: str
    latency_ms: float
    traceparent: str | None = None
    sampled_1_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRejected(Event):
    """A request got an error result.

    Attributes:
        error: One of `worker.core.wire.ERROR_CODES`.
        traceparent: W3C trace context of the request; None if it has none.
        suppressed: Rejections with the same code without a line since the last such line.
    """

    event: ClassVar[str] = "request.rejected"
    level: ClassVar[Level] = "warning"
    request_id: str
    entry_id: str
    error: str
    message: str
    traceparent: str | None = None
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClaimed(Event):
    """Entries of a consumer that fell silent were claimed.

    Attributes:
        count: Claimed entries.
        deliveries_max: Most deliveries of one of them.
    """

    event: ClassVar[str] = "request.claimed"
    level: ClassVar[Level] = "warning"
    count: int
    deliveries_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed(Event):
    """A bug kept requests from being answered; they stay pending and are attempted again.

    Attributes:
        requests: How many were drawn together.
        error: Name of the exception's class.
        message: Its text.
        traceback: Where it was raised; the middle of a long one is left out.
        suppressed: Failures with the same exception without a line since the last such line.
    """

    event: ClassVar[str] = "request.failed"
    level: ClassVar[Level] = "error"
    requests: int
    error: str
    message: str
    traceback: str = field(metadata={MAX_CHARS: 3000})
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultWriteFailed(Event):
    """A result or a dead letter could not be written; its request stays pending and is attempted again.

    Attributes:
        message: What could not be written, and why.
        suppressed: Such failures without a line since the last such line.
    """

    event: ClassVar[str] = "result.write_failed"
    level: ClassVar[Level] = "error"
    request_id: str
    entry_id: str
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDeadLettered(Event):
    """A request was given up on and stored with the dead letters.

    Attributes:
        message: The reason, as in the dead letter.
        traceparent: W3C trace context of the request; None if it has none.
        suppressed: Requests given up on for the same reason without a line since the last such line.
    """

    event: ClassVar[str] = "request.dead_lettered"
    level: ClassVar[Level] = "error"
    request_id: str
    entry_id: str
    error: str
    message: str = ""
    deliveries: int
    traceparent: str | None = None
    suppressed: int
