"""Log events about weights, the catalog and the servers."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from worker.core.events.event import MAX_CHARS, Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsChanged(Event):
    """Other weights came into force.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        source: Their origin, as in a result's `weights_source`.
        before: JSON object category -> normalised weight; None if there were none.
        after: The same, now.
        who: Who changed them, by the history; None if the change is not in it, or Redis did not say.
        reason: Why, likewise.
        entry: Id of the change's entry in the history, likewise.
        until_ms: When these temporary weights end, Unix time in ms; None if they are not temporary.
    """

    event: ClassVar[str] = "weights.changed"
    dataset: str | None
    version: str
    source: str
    before: str | None = field(metadata={MAX_CHARS: 1500})
    after: str = field(metadata={MAX_CHARS: 1500})
    who: str | None = None
    reason: str | None = None
    entry: str | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsHistoryRefused(Event):
    """Redis refused the history of weights; changes are logged without who made them.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "weights.history_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRejected(Event):
    """A weights value is not valid; the last valid weights stay in force."""

    event: ClassVar[str] = "weights.rejected"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    reason: str
    keeping_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsVanished(Event):
    """A weights key that held weights is gone, and the history has nobody who removed it.

    Other weights came into force.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        version_before: Version of the weights that the key put in force.
        version: Version of those in force now.
        source: Their origin, as in a result's `weights_source`.
    """

    event: ClassVar[str] = "weights.vanished"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    version_before: str
    version: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRevertRefused(Event):
    """Temporary weights could not be reverted; it is attempted again.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "weights.revert_refused"
    level: ClassVar[Level] = "error"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsTrimRefused(Event):
    """Redis refused to drop old results that take too many bytes; it is attempted again.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "results.trim_refused"
    level: ClassVar[Level] = "error"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsFoldingRefused(Event):
    """Redis refused to add up the counts of mixtures that are no longer drawn; it is attempted again.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "stats.folding_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumersCleanupRefused(Event):
    """Redis refused to remove dead consumers from the group; it is attempted again.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "consumers.cleanup_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogLoaded(Event):
    """The whole catalog was read for the first time.

    Attributes:
        ignored: READY rows that were left out: their category is not a category name, or the duration is missing
            while weights are shares of audio time.
        ignored_examples: Categories of some of these rows; empty without such rows.
        load_ms: Time until it was loaded, with the wait for a turn while other workers read.
    """

    event: ClassVar[str] = "catalog.loaded"
    catalog_version: str
    chunks: int
    categories: int
    ignored: int
    ignored_examples: str
    load_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChanged(Event):
    """The READY chunks, their categories or their durations changed.

    Attributes:
        added: Chunks that became READY, or got this category or duration.
        removed: Chunks that are no longer READY, or lost a category or duration.
        chunks: READY chunks now.
        cause: `notify`: a notification named the rows; `reload`: a notification asked to read everything again;
            `refresh`: a periodic comparison found the change.
        apply_ms: Time from the notification to the new catalog being in force.
    """

    event: ClassVar[str] = "catalog.changed"
    catalog_version: str
    added: int
    removed: int
    chunks: int
    cause: Literal["notify", "reload", "refresh"]
    apply_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogUnwatched(Event):
    """PostgreSQL does not announce some changes of chunks; the worker finds them by reading.

    Attributes:
        table: The table, or one of several with the same problem.
        tables: How many tables have this problem.
        reason: Why.
        unseen: Which changes are not announced.
        refresh_s: Longest time until they are found, `WORKER_CATALOG_REFRESH_S`.
        mend: What would solve it.
    """

    event: ClassVar[str] = "catalog.unwatched"
    level: ClassVar[Level] = "warning"
    table: str
    tables: int
    reason: str
    unseen: str
    refresh_s: float
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogWatched(Event):
    """PostgreSQL announces every change of chunks again."""

    event: ClassVar[str] = "catalog.watched"
    unwatched_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSplitHidden(Event):
    """This role may not read the splits of chunks; chunks of all splits are drawn alike.

    Attributes:
        message: What is accepted.
    """

    event: ClassVar[str] = "catalog.split_hidden"
    level: ClassVar[Level] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogMissing(Event):
    """The worker is ready without a catalog, as it could not read one yet; `catalog.loaded` ends this.

    Attributes:
        message: What becomes of requests until then.
    """

    event: ClassVar[str] = "catalog.missing"
    level: ClassVar[Level] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogHidden(Event):
    """This role sees no READY chunk, and row level security may be hiding some.

    Attributes:
        tables: Tables with row level security that applies to this role.
        message: What is accepted.
    """

    event: ClassVar[str] = "catalog.hidden"
    level: ClassVar[Level] = "warning"
    tables: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLost(Event):
    """Redis stopped answering; the line is repeated when the cause changes."""

    event: ClassVar[str] = "redis.lost"
    level: ClassVar[Level] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisRestored(Event):
    """Redis answers again."""

    event: ClassVar[str] = "redis.restored"
    down_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLost(Event):
    """PostgreSQL stopped answering; the line is repeated when the cause changes."""

    event: ClassVar[str] = "postgres.lost"
    level: ClassVar[Level] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresRestored(Event):
    """PostgreSQL answers again."""

    event: ClassVar[str] = "postgres.restored"
    down_s: float
