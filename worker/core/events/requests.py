"""What a worker says of requests, and of the counts they add up to."""

from dataclasses import dataclass, field
from typing import ClassVar

from worker.core.events.event import MAX_CHARS, Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStats(Event):
    """What the worker did in one interval, and where it stands at the end of it.

    Attributes:
        interval_s: Length of the interval; the counts and latencies are of it alone.
        lag: Entries of the stream that no consumer has read; None where Redis did not answer, or has no group yet.
        pending: Entries read and not settled, over all consumers; None where the server cannot tell.
        redrawn: Batches drawn again because the weights had just changed.
        log_lines_dropped: Lines that could not be written, since the process began.
    """

    event: ClassVar[str] = "worker.stats"
    interval_s: float
    requests: int
    chunks: int
    errors: int
    requests_per_s: float
    chunks_per_s: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    lag: int | None
    pending: int | None
    redrawn: int
    weights_version: str
    catalog_version: str
    log_lines_dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryStats(Event):
    """What one category of one dataset got in one interval, compared with its weight.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        count: Chunks drawn.
        audio_s: How long they last, where weights are shares of audio time; None where they are shares of chunks.
        weight: Its normalised weight, 0 to 1, at the end of the interval; categories without READY chunks included.
        share: `count` over the dataset's chunks of the interval, 0 to 1; the same of `audio_s`, where it is told.
        expected: Chunks expected under the weights each batch was drawn with; seconds, where `audio_s` is told.
        z: Standard deviations between that and what was drawn; None where no draw was left to chance.
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
    """Settled requests were not counted: the stats key or one of its fields holds something else.

    Attributes:
        requests: How many, in the batch that brought the line.
    """

    event: ClassVar[str] = "stats.write_failed"
    level: ClassVar[Level] = "error"
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestServed(Event):
    """A request was settled; a few a second at most get this line.

    Attributes:
        status: `ok` or `error`.
        latency_ms: From the entry being added, by its id, to its settling.
        sampled_1_in: How many settled requests the line stands for, itself included.
    """

    event: ClassVar[str] = "request.served"
    level: ClassVar[Level] = "debug"
    request_id: str
    entry_id: str
    size: int
    status: str
    dataset: str | None
    weights_version: str
    latency_ms: float
    sampled_1_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRejected(Event):
    """A request got an error result.

    Attributes:
        error: One of `worker.core.wire.ERROR_CODES`.
        suppressed: Rejections with the same code since the last such line that got no line.
    """

    event: ClassVar[str] = "request.rejected"
    level: ClassVar[Level] = "warning"
    request_id: str
    entry_id: str
    error: str
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClaimed(Event):
    """Entries of a consumer that fell silent were claimed.

    Attributes:
        count: Entries taken over.
        deliveries_max: Most deliveries that one of them has had.
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
        suppressed: Failures with the same exception since the last such line that got no line.
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
        suppressed: Such failures since the last such line that got no line.
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
        message: Why, as the dead letter says it.
        suppressed: Requests given up on for the same reason since the last such line that got no line.
    """

    event: ClassVar[str] = "request.dead_lettered"
    level: ClassVar[Level] = "error"
    request_id: str
    entry_id: str
    error: str
    message: str = ""
    deliveries: int
    suppressed: int
