"""What serving requests needs of Redis: the streams, the settling step, and the list of live workers.

`worker.adapters.redis` documents what each call promises. Every call may raise `RedisError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from worker.core.wire import Entry, Result

if TYPE_CHECKING:
    from worker.core.draw.sessions import Fields, SessionChange
    from worker.core.mixture import Mixture


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The limits of what stays in Redis.

    Attributes:
        results_maxlen: Most entries of a result stream.
        reply_ttl_s: Lifetime of an unused reply stream, in seconds.
        session_ttl_s: Lifetime of an idle session, in seconds.
        results_max_bytes: About the most bytes of a result stream; a few batches of results stay in any case.
    """

    results_maxlen: int
    reply_ttl_s: int
    session_ttl_s: int
    results_max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was delivered and not acknowledged.

    Attributes:
        id: Its id in the stream.
        idle_ms: Time since its last delivery, or since it was claimed.
        deliveries: How often it was delivered.
    """

    id: str
    idle_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of requests that wait.

    Attributes:
        lag: Entries not delivered yet: all of the stream less those that are pending.
        pending: Entries delivered and not acknowledged, of all consumers.
        oldest_at_ms: When the oldest of these was added, Unix time in ms by the clock of Redis; None: none is pending.
    """

    lag: int
    pending: int
    oldest_at_ms: int | None = None


class NextRead(NamedTuple):
    """A read of new entries.

    Attributes:
        most: At most this many.
        block_ms: Wait this long for the first, in ms; below the time-out of the client.
    """

    most: int
    block_ms: int


class Batch(NamedTuple):
    """What is to be settled in one step.

    Attributes:
        results: One for each entry.
        span: The lowest and the highest of the entries.
        marks: (dataset, mark) of each weights key, and of each head of an exclusion list (see
            `worker.core.wire.exclusions`), that must still hold what the batch was drawn under.
        growth: Field of the stats hash -> how much it grows.
        dead: Entry id -> fields and values of its dead letter, for requests given up on.
        mixtures: Field of the stats hash -> the mixture that the counts refer to.
        sessions: Session -> the change of its hash, which must still hold what the batch was drawn under.
        heard: Field of what was heard -> how much it grows, see `worker.core.stats.heard`.
        is_bounded: Whether it may settle only while no bound of these fields is met.
    """

    results: Sequence[Result]
    span: tuple[str, str]
    marks: Sequence[tuple[str | None, bytes]]
    growth: Mapping[str, int]
    dead: Mapping[str, Sequence[str | bytes]]
    mixtures: Mapping[str, "Mixture"] = MappingProxyType({})
    sessions: Mapping[str, "SessionChange"] = MappingProxyType({})
    heard: Mapping[str, int] = MappingProxyType({})
    is_bounded: bool = True


class Failure(NamedTuple):
    """Why an attempt at a request failed.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        why: Part of a sentence.
    """

    code: str
    why: str


class GivenUp(NamedTuple):
    """A request that is given up on.

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
    """The outcome of settling a batch.

    Attributes:
        at_ms: Unix time in ms by the clock of Redis.
        uncounted: A key that could not be counted in, as it or one of its fields holds something else; empty: none.
        stale: Dataset or exclusion list -> mark of what its key holds now, if the batch was drawn under something else.
        moved: Session -> what its hash holds now, if the batch was drawn under something else.
        lost: Entries that are not pending for this consumer any more.
        unwritable: Entries whose result cannot be written.
        met: Fields of what was heard whose bounds are met: their rules have to make a step before.
        unbounded: Why old results that take too many bytes were not dropped; empty if nothing prevented it.
    """

    at_ms: int
    uncounted: str = ""
    stale: Mapping[str | None, bytes] = MappingProxyType({})
    moved: Mapping[str, "Fields"] = MappingProxyType({})
    lost: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    met: tuple[str, ...] = ()
    unbounded: str = ""

    @property
    def is_done(self) -> bool:
        """Return whether it was settled; otherwise nothing was written."""
        return not (self.stale or self.moved or self.met or self.lost or self.unwritable)


class RequestStream(Protocol):
    """Reads requests and settles them."""

    def now_ms(self) -> int:
        """Return the Unix time in ms by the clock of Redis."""

    async def open(self) -> None:
        """Create the consumer group if it is missing."""

    @property
    def is_reading_ahead(self) -> bool:
        """Return whether a read that nobody waits for is in progress."""

    def read_ahead(self, count: int, block_ms: int) -> None:
        """Start to read new entries, which the next `read` returns."""

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Read new entries, or wait for those of `read_ahead`."""

    async def is_any_pending(self, *, now: bool = False) -> bool:
        """Return whether any entry is pending, for whichever consumer: now, or a tenth of a second ago."""

    async def take_over(self, idle_ms: int) -> list[str]:
        """Claim entries of other consumers that have been pending for too long."""

    async def pending(self) -> list[Pending]:
        """Return the entries that are pending for this consumer, oldest first."""

    async def deliver_again(self, pending: Sequence[Pending]) -> list[Entry]:
        """Deliver entries to this consumer once more."""

    async def look_at(self, pending: Pending) -> Entry | None:
        """Read a pending entry without delivering it."""

    async def note_failures(self, failures: Mapping[str, Failure], ttl_s: int) -> None:
        """Store, for every worker, why the last attempt at some entries failed."""

    async def failure_of(self, entry_id: str) -> Failure | None:
        """Return why the last attempt at an entry failed, if a worker has stored it."""

    async def read_sessions(self, names: Sequence[str]) -> "list[Fields]":
        """Read the hashes of some sessions."""

    async def read_exclusion(self, name: str) -> tuple[bytes | None, bytes | None]:
        """Read the head and the ids of an exclusion list at one moment."""

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Write and acknowledge a batch in one atomic step, or nothing of it; perhaps begin to read ahead behind it."""


class SessionLimits(Protocol):
    """Reads the limits of sessions, and notes what was told of them."""

    async def read_limited(self, names: Sequence[str]) -> "Mapping[str, Mapping[str, bytes]]":
        """Read the hashes of those sessions that have a limit of repeats."""

    async def note_told(self, name: str, field: str) -> bool:
        """Note in a session's hash that something was told; return whether it was not noted before."""


class Presence(Protocol):
    """Shows in Redis that a worker is alive."""

    async def show(self, document: str, *, ttl_s: int) -> bytes | None:
        """Store a worker's state for some seconds, and return the previous value."""

    async def backlog(self) -> Backlog:
        """Return how many requests wait."""

    def now_ms(self) -> int:
        """Return the Unix time in ms by the clock of Redis."""


class OtherWorkers(Protocol):
    """Shows the other live workers."""

    async def other_workers(self) -> dict[str, bytes]:
        """Return the states of the other live workers, by consumer."""
