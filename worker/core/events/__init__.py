"""The closed catalogue of log events: one flat dataclass an event, units in the field names.

Names, fields and units are part of the wire contract: fields may be added, none is renamed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from worker.core.events.base import MAX_CHARS, Event, Level, Value
from worker.core.events.lifecycle import (
    HealthUnwritten,
    LibraryMessage,
    LoopFailed,
    WorkerDraining,
    WorkerFailed,
    WorkerReady,
    WorkerStarted,
    WorkerStopped,
)
from worker.core.events.serving import (
    CategoryStats,
    RequestClaimed,
    RequestDeadLettered,
    RequestFailed,
    RequestRejected,
    RequestServed,
    StatsUncounted,
    WorkerStats,
)
from worker.core.events.surroundings import (
    CatalogChanged,
    CatalogHidden,
    CatalogLoaded,
    CatalogUnwatched,
    CatalogWatched,
    ConsumersKept,
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    WeightsAdjusted,
    WeightsChanged,
    WeightsRejected,
    WeightsUnreturned,
)

_CATALOGUE: tuple[type[Event], ...] = (
    WorkerStarted,
    WorkerReady,
    WorkerDraining,
    WorkerStopped,
    WorkerFailed,
    LoopFailed,
    HealthUnwritten,
    WorkerStats,
    CategoryStats,
    WeightsChanged,
    WeightsRejected,
    WeightsAdjusted,
    WeightsUnreturned,
    CatalogLoaded,
    CatalogChanged,
    CatalogUnwatched,
    CatalogWatched,
    CatalogHidden,
    RequestServed,
    RequestRejected,
    RequestClaimed,
    RequestFailed,
    RequestDeadLettered,
    StatsUncounted,
    ConsumersKept,
    RedisLost,
    RedisRestored,
    PostgresLost,
    PostgresRestored,
    LibraryMessage,
)

EVENTS: Mapping[str, type[Event]] = MappingProxyType({kind.event: kind for kind in _CATALOGUE})
"""Every event that can stand in a log, by name."""

__all__ = [
    "EVENTS",
    "MAX_CHARS",
    "CatalogChanged",
    "CatalogHidden",
    "CatalogLoaded",
    "CatalogUnwatched",
    "CatalogWatched",
    "CategoryStats",
    "ConsumersKept",
    "Event",
    "HealthUnwritten",
    "Level",
    "LibraryMessage",
    "LoopFailed",
    "PostgresLost",
    "PostgresRestored",
    "RedisLost",
    "RedisRestored",
    "RequestClaimed",
    "RequestDeadLettered",
    "RequestFailed",
    "RequestRejected",
    "RequestServed",
    "StatsUncounted",
    "Value",
    "WeightsAdjusted",
    "WeightsChanged",
    "WeightsRejected",
    "WeightsUnreturned",
    "WorkerDraining",
    "WorkerFailed",
    "WorkerReady",
    "WorkerStarted",
    "WorkerStats",
    "WorkerStopped",
]
