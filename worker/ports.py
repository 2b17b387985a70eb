"""What the loops need of the outside, as protocols that the adapters fulfil."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.mixture import Mixture
from worker.core.wire import Entry, Result


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """Hold a catalog as PostgreSQL has it.

    Attributes:
        catalog: The READY chunks.
        ignored: Rows left out because their category is not a category name.
    """

    catalog: Catalog
    ignored: int


@dataclass(frozen=True, slots=True)
class CatalogNews:
    """Tell which rows changed.

    Attributes:
        ids: int64 or S16, shape (m,), each once: rows to read again.
        reload: Too much changed to name it: read everything again.
    """

    ids: NDArray[np.generic]
    reload: bool


class CatalogListener(Protocol):
    """Hear of changed rows, and read those rows again, over one connection."""

    def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit, those that pile up meanwhile as one.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        ...

    async def read(self, ids: NDArray[np.generic]) -> Sequence[str | None]:
        """Tell the category in which each of these chunks is READY now, or None.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        ...


class CatalogSource(Protocol):
    """Read the catalog from PostgreSQL."""

    def listening(self) -> AbstractAsyncContextManager[CatalogListener]:
        """Open a connection that hears of changes from this moment on; of none where the source cannot notify.

        Raises:
            PostgresError: PostgreSQL could not be reached.
        """
        ...

    async def load(self) -> LoadedCatalog:
        """Read the whole catalog, over a connection of its own.

        Raises:
            PostgresError: PostgreSQL could not be reached, or refused the statement.
        """
        ...


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bound the result streams.

    Attributes:
        results_maxlen: Most entries of a result stream.
        reply_ttl_s: Life of an unused reply stream, in seconds.
    """

    results_maxlen: int
    reply_ttl_s: int


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
    """

    results: Sequence[Result]
    span: tuple[str, str]
    marks: Sequence[tuple[str | None, bytes]]
    growth: Mapping[str, int]
    dead: Mapping[str, Sequence[str | bytes]]
    mixtures: Mapping[str, Mixture] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a weights key held when it was read.

    Attributes:
        mark: See `worker.core.weights.Held`.
        value: Its value; None when absent or of a wrong type.
    """

    mark: bytes
    value: bytes | None


class Settled(NamedTuple):
    """Tell how settling went: done when nothing is stale, lost or unwritable; else nothing was written.

    Attributes:
        at_ms: Unix time in ms by the clock of Redis.
        counted: Whether the counts could be added; they cannot where another type holds the stats key.
        stale: Dataset -> what its weights key holds now, where that is not what the batch was drawn under.
        lost: Entries that are not pending for this consumer any more.
        unwritable: Entries whose result cannot be written.
    """

    at_ms: int
    counted: bool = True
    stale: Mapping[str | None, Reading] = MappingProxyType({})
    lost: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()


class WeightsReader(Protocol):
    """Keep weights fresh on demand."""

    async def read(self, datasets: Sequence[str | None]) -> None:
        """Read some datasets' keys now; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    async def take_in(self, readings: Mapping[str | None, Reading]) -> None:
        """Put in force what some keys were just found to hold."""
        ...


class RequestStream(Protocol):
    """Read requests and settle them; see `worker.adapters.redis_streams` for what each call promises."""

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

    async def settle(self, batch: Batch) -> Settled:
        """Write and acknowledge a batch in one atomic step, or nothing of it."""
        ...


@dataclass(frozen=True, slots=True)
class Bell:
    """Tell that weights may have changed.

    Attributes:
        dataset: Whose; None for the global ones.
        resync: Anything may have been missed: read every key again.
    """

    dataset: str | None
    resync: bool = False


class WeightsStore(Protocol):
    """Read weights and hear of their changes."""

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        """Read the keys of some datasets; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    def close(self) -> None:
        """Close the connection that keys are read over."""
        ...

    def bells(self) -> AsyncIterator[Bell]:
        """Subscribe and yield a bell for each message, and a resync for each (re)subscription.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        ...


class Presence(Protocol):
    """Show in Redis that a worker lives."""

    async def show(self, document: str, *, ttl_s: int) -> None:
        """Store a worker's state for some seconds.

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
