"""What the loops need of Redis and PostgreSQL: values, and protocols that the adapters fulfil."""

from worker.ports.catalog import (
    ROWS_SHOWN,
    SPLIT_SHOWN,
    CatalogListener,
    CatalogNews,
    CatalogSource,
    Known,
    LoadedCatalog,
    Unheard,
)
from worker.ports.streams import (
    Backlog,
    Batch,
    Failure,
    GivenUp,
    OtherWorkers,
    Pending,
    Presence,
    RequestStream,
    SessionLimits,
    Settled,
    StreamLimits,
)
from worker.ports.weights import Follower, Notification, Reading, WeightsReader, WeightsStore

__all__ = [
    "ROWS_SHOWN",
    "SPLIT_SHOWN",
    "Backlog",
    "Batch",
    "CatalogListener",
    "CatalogNews",
    "CatalogSource",
    "Failure",
    "Follower",
    "GivenUp",
    "Known",
    "LoadedCatalog",
    "Notification",
    "OtherWorkers",
    "Pending",
    "Presence",
    "Reading",
    "RequestStream",
    "SessionLimits",
    "Settled",
    "StreamLimits",
    "Unheard",
    "WeightsReader",
    "WeightsStore",
]
