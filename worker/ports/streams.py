"""What serving requests needs of Redis: the streams, the settling step, and showing that one lives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from worker.core.draw.sessions import Fields, SessionChange
from worker.core.wire import Entry, Result
from worker.ports.weights import Reading

if TYPE_CHECKING:
    from worker.core.mixture import Mixture


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bound what stays in Redis.

    Attributes:
        results_maxlen: Most entries of a result stream.
        reply_ttl_s: Life of an unused reply stream, in seconds.
        session_ttl_s: Life of an idle session, in seconds.
        results_max_bytes: About the most bytes of a result stream, in bytes; at least some batches of results.
    """

    results_maxlen: int
    reply_ttl_s: int
    session_ttl_s: int
    results_max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Pending:
    """Describe an entry that was delivered and not acknowledged.

    Attributes:
        id: Its stream entry's id.
        idle_ms: Since its last delivery, or since it was taken over.
        deliveries: How often it was delivered.
    """

    id: str
    idle_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Count what waits in the request stream.

    Attributes:
        lag: Entries not delivered yet.
        pending: Entries delivered and not acknowledged, of all consumers.
    """

    lag: int
    pending: int


class Batch(NamedTuple):
    """Hold what is to be settled in one step.

    Attributes:
        results: One an entry.
        span: The lowest and the highest of the entries.
        marks: (dataset, mark) of each weights key that has to hold still what the batch was drawn under.
        growth: Field of the stats hash -> how much it grows.
        dead: Entry id -> fields and values of its dead letter, for requests given up on.
        mixtures: Field of the stats hash -> the mixture that has to stand there for the counts to be understood.
        sessions: Session -> what becomes of its hash, which has to hold still what the batch was drawn under.
    """

    results: Sequence[Result]
    span: tuple[str, str]
    marks: Sequence[tuple[str | None, bytes]]
    growth: Mapping[str, int]
    dead: Mapping[str, Sequence[str | bytes]]
    mixtures: Mapping[str, "Mixture"] = MappingProxyType({})
    sessions: Mapping[str, SessionChange] = MappingProxyType({})


class Failure(NamedTuple):
    """Say why an attempt at a request failed.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        why: Part of a sentence.
    """

    code: str
    why: str


class GivenUp(NamedTuple):
    """Hold what becomes of a request that is given up on.

    Attributes:
        result: Its error result.
        letter: Fields and values of its dead letter.
        deliveries: How often it was delivered.
        failure: Why the last attempt at it failed.
    """

    result: Result
    letter: Sequence[str | bytes]
    deliveries: int
    failure: Failure


class Settled(NamedTuple):
    """Tell how settling went.

    Attributes:
        at_ms: Unix time in ms by the clock of Redis.
        counted: Whether the counts could be added; they cannot where another type holds the stats key.
        stale: Dataset -> what its weights key holds now, where that is not what the batch was drawn under.
        moved: Session -> what its hash holds now, where that is not what the batch was drawn under.
        lost: Entries that are not pending for this consumer any more.
        unwritable: Entries whose result cannot be written.
        unbounded: Why old results that take too many bytes could not be dropped; empty where nothing kept them.
    """

    at_ms: int
    counted: bool = True
    stale: Mapping[str | None, Reading] = MappingProxyType({})
    moved: Mapping[str, Fields] = MappingProxyType({})
    lost: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    unbounded: str = ""

    @property
    def is_done(self) -> bool:
        """Tell whether it was settled; else nothing was written."""
        return not (self.stale or self.moved or self.lost or self.unwritable)


class RequestStream(Protocol):
    """Read requests and settle them; see `worker.adapters.redis.streams` for what each call promises."""

    def now_ms(self) -> int:
        """Tell the Unix time in ms by the clock of Redis."""
        ...

    async def open(self) -> None:
        """Create the consumer group where it is missing."""
        ...

    @property
    def is_reading_ahead(self) -> bool:
        """Tell whether entries may have been delivered that nobody has read yet."""
        ...

    def read_ahead(self, count: int, block_ms: int) -> None:
        """Ask for entries that were never delivered, for the next `read` to return."""
        ...

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Read entries that were never delivered, or that were asked for ahead."""
        ...

    async def take_over(self, idle_ms: int) -> list[str]:
        """Make entries of other consumers this one's that have been pending for too long."""
        ...

    async def pending(self) -> list[Pending]:
        """List the entries that are pending for this consumer, oldest first."""
        ...

    async def deliver_again(self, pending: Sequence[Pending]) -> list[Entry]:
        """Deliver entries to this consumer once more."""
        ...

    async def look_at(self, pending: Pending) -> Entry | None:
        """Read a pending entry without delivering it."""
        ...

    async def note_failures(self, failures: Mapping[str, Failure], ttl_s: int) -> None:
        """Note for every worker why the last attempt at some entries failed."""
        ...

    async def failure_of(self, entry_id: str) -> Failure | None:
        """Tell why the last attempt at an entry failed, where a worker has noted it."""
        ...

    async def read_sessions(self, names: Sequence[str]) -> list[Fields]:
        """Read the hashes of some sessions."""
        ...

    async def settle(self, batch: Batch) -> Settled:
        """Write and acknowledge a batch in one atomic step, or nothing of it."""
        ...


class Presence(Protocol):
    """Show in Redis that a worker lives."""

    async def show(self, document: str, *, ttl_s: int) -> bytes | None:
        """Store a worker's state for some seconds; tell what stood there before.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    async def backlog(self) -> Backlog:
        """Count what waits.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...
