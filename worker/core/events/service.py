"""Log events about the worker process itself."""

from dataclasses import dataclass, field
from typing import ClassVar

from worker.core.events.event import MAX_CHARS, Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Event):
    """A worker process began; it has opened no connection yet.

    Attributes:
        weight_unit: What weights are shares of: `chunks` or `seconds`.
        redis: URL of Redis without its password.
        postgres: URL of PostgreSQL without its password.
    """

    event: ClassVar[str] = "worker.started"
    version: str
    consumer: str
    pid: int
    prefix: str
    weight_unit: str
    redis: str
    postgres: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsIgnored(Event):
    """Environment variables that look like settings are none; they were ignored.

    Attributes:
        names: The variables, separated by commas.
    """

    event: ClassVar[str] = "settings.ignored"
    names: str = field(metadata={MAX_CHARS: 1500})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady(Event):
    """The worker is listed, and reads requests from now on; without a catalog yet, it has 0 chunks and no version."""

    event: ClassVar[str] = "worker.ready"
    consumer: str
    startup_ms: float
    weights_version: str
    catalog_version: str
    chunks: int
    categories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSteppedBack(Event):
    """The worker has no catalog yet, and leaves requests to workers that have one, while such live.

    Attributes:
        other: One of these workers.
    """

    event: ClassVar[str] = "worker.stepped_back"
    level: ClassVar[Level] = "warning"
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSteppedIn(Event):
    """The worker serves again: it has read the catalog, or no other worker serves with one.

    Attributes:
        reason: Which of the two.
        stepped_back_s: For how long it had left requests to others.
    """

    event: ClassVar[str] = "worker.stepped_in"
    reason: str
    stepped_back_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDraining(Event):
    """A signal came; the worker reads no more requests and finishes those that it holds.

    Attributes:
        signal: Name of the signal, such as `SIGTERM`.
        held: Requests that it holds.
    """

    event: ClassVar[str] = "worker.draining"
    signal: str
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(Event):
    """The worker ended; this is the last line of its process, with its totals."""

    event: ClassVar[str] = "worker.stopped"
    reason: str
    exit_status: int
    requests: int
    chunks: int
    uptime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailed(Event):
    """A bug ended the worker.

    Attributes:
        error: Name of the exception's class, or of each class of an exception group.
        message: Its text.
        traceback: Where it was raised; the middle of a long one is left out.
    """

    event: ClassVar[str] = "worker.failed"
    level: ClassVar[Level] = "error"
    error: str
    message: str
    traceback: str = field(metadata={MAX_CHARS: 3000})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFailed(Event):
    """A bug ended one of the worker's loops, which starts again; the tenth within 60 s ends the worker.

    Attributes:
        loop: Which loop.
        error: Name of the exception's class, or of each class of an exception group.
        message: Its text.
        traceback: Where it was raised; the middle of a long one is left out.
        failures: Failures of this loop within the last 60 s, this one included.
        suppressed: Failures of this loop with the same exception without a line since the last such line.
    """

    event: ClassVar[str] = "loop.failed"
    level: ClassVar[Level] = "error"
    loop: str
    error: str
    message: str
    traceback: str = field(metadata={MAX_CHARS: 3000})
    failures: int
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerShared(Event):
    """Another live worker has this consumer name; results stay right, but only one of the two is listed.

    Attributes:
        consumer: The name.
        host: Of the other worker.
        pid: Of the other worker.
        message: What to do.
        suppressed: How often it was seen without a line since the last such line.
    """

    event: ClassVar[str] = "consumer.shared"
    level: ClassVar[Level] = "warning"
    consumer: str
    host: str
    pid: int
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthWriteFailed(Event):
    """The health file could not be written; probes will call this worker dead.

    Attributes:
        suppressed: Failures without a line since the last such line.
    """

    event: ClassVar[str] = "health.write_failed"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemdUnheard(Event):
    """The systemd that started the worker did not take a message; it may end a worker that serves.

    Attributes:
        suppressed: Failures without a line since the last such line.
    """

    event: ClassVar[str] = "systemd.unheard"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerListingRefused(Event):
    """Redis refused the worker's state, its look at others or its count of waiting requests; it serves all the same.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "worker.listing_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryMessage(Event):
    """A library (redis, asyncpg or asyncio) logged a message.

    Attributes:
        logger: Name of the stdlib logger.
        message: Its text.
        traceback: Traceback of the logged exception, if there is one.
        suppressed: Messages from the same line of code without an event since the last such event.
    """

    event: ClassVar[str] = "library.message"
    level: ClassVar[Level] = "warning"
    logger: str
    message: str
    traceback: str | None = field(metadata={MAX_CHARS: 3000})
    suppressed: int
