"""Wait until all live workers draw from the library as it is now.

Each worker shows the version of its catalog: a fingerprint of the READY chunks. The same fingerprint is computed here
from PostgreSQL. A change of the library meanwhile makes it another one. So it is computed again now and then. A worker
that shows it has this change, and all before it.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.client import Client
from worker.adapters.redis.stats import RedisStats
from worker.core.keys import Keys
from worker.core.workers.states import WorkerState, read_workers
from worker.settings.servers import ServerSettings

_FIRST_WAIT_S: Final = 0.02
_LONGEST_WAIT_S: Final = 0.25
_REREAD_S: Final = 1.0
_REST: Final = 10.0
"""How many times as long as a reading of the library has taken no other one begins."""


class Followed(NamedTuple):
    """Which workers draw from the library as it is.

    Attributes:
        having: Workers that do, by consumer.
        missing: Those that do not.
        chunks: READY chunks of the library.
        took_s: Seconds that this took.
    """

    having: tuple[str, ...]
    missing: tuple[str, ...]
    chunks: int
    took_s: float


async def wait_until_followed(client: Client, keys: Keys, settings: ServerSettings, timeout_s: float) -> Followed:
    """Wait until every live worker draws from the READY chunks that PostgreSQL has now.

    Args:
        client: A connection.
        keys: Names in Redis.
        settings: Where the library is, and which of it workers read.
        timeout_s: Longest wait.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
        RedisError: Redis did not answer, or refused.
    """
    began_at = time.monotonic()
    stats, library = RedisStats(client, keys), _Library(settings)
    worker_keys = await stats.worker_keys()
    wait_s = _FIRST_WAIT_S
    while True:
        workers = read_workers(await stats.states(worker_keys))
        having = [worker.consumer for worker in workers if await library.is_of(worker)]
        missing = tuple(worker.consumer for worker in workers if worker.consumer not in having)
        took_s = time.monotonic() - began_at
        if not missing or took_s >= timeout_s:
            return Followed(tuple(having), missing, await library.chunks(workers), took_s)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


class _Library:
    """The versions of the library, by the unit that workers weigh by."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._found: dict[str, tuple[str, int]] = {}
        self._fresh_until = 0.0

    async def is_of(self, worker: WorkerState) -> bool:
        """Return whether a worker draws from the library."""
        version, _ = await self._version(worker.weight_unit)
        if worker.catalog_version != version and time.monotonic() >= self._fresh_until:
            self._found.clear()
            version, _ = await self._version(worker.weight_unit)
        return worker.catalog_version == version

    async def chunks(self, workers: Iterable[WorkerState]) -> int:
        """Count the READY chunks, as workers do."""
        units = [worker.weight_unit for worker in workers] or [self._settings.weight_unit]
        return (await self._version(units[0]))[1]

    async def _version(self, unit: str) -> tuple[str, int]:
        if unit not in self._found:
            began_at = time.monotonic()
            url, query = self._settings.database_url, self._settings.chunks_query
            catalog = (await PostgresCatalog(url, query, with_durations=unit == "seconds").load()).catalog
            self._found[unit] = catalog.version, len(catalog)
            now = time.monotonic()
            self._fresh_until = now + max(_REREAD_S, _REST * (now - began_at))
        return self._found[unit]
