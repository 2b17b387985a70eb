"""How things stand in a running `up`, by what its worker shows in Redis."""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

from worker.adapters.redis.client import Client, connect
from worker.adapters.redis.stats import RedisStats
from worker.core.keys import Keys
from worker.core.workers.ready import ready_of
from worker.core.workers.states import read_workers
from worker.core.workers.weights_in_use import in_use
from worker.errors import RedisError
from worker.up.screen import Status
from worker.weights.in_use import read_stored

_TIMEOUT_S: Final = 5.0
_LOOK_AGAIN_S: Final = 10.0  # for workers that were started beside ours, which takes a scan of all keys


class Watch:
    """Reads how things stand, while it is entered.

    Args:
        redis_url: URL of Redis.
        prefix: Start of every key.
    """

    def __init__(self, redis_url: str, prefix: str) -> None:
        self._url = redis_url
        self._keys = Keys(prefix)
        self._runner = asyncio.Runner()
        self._workers: tuple[float, list[bytes]] = (float("-inf"), [])
        self._last: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        """Open the connection.

        Raises:
            RedisError: Redis does not answer, or refuses.
        """
        self._client = self._runner.run(self._connect())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    def look(self) -> Status:
        """Read how things stand now."""
        try:
            return self._runner.run(self._read())
        except RedisError as error:
            self._last = None
            return Status(None, 0, None, str(error))

    async def _connect(self) -> Client:
        client = connect(self._url, timeout_s=_TIMEOUT_S)
        self._workers = (time.monotonic(), await RedisStats(client, self._keys).worker_keys())
        return client

    async def _read(self) -> Status:
        stats, now = RedisStats(self._client, self._keys), time.monotonic()
        if not self._workers[1] or now - self._workers[0] > _LOOK_AGAIN_S:
            self._workers = (now, await stats.worker_keys())
        workers = read_workers(await stats.states(self._workers[1]))
        if not workers:
            self._workers = (float("-inf"), [])
            return Status(None, 0, None, "no worker shows itself")
        ready = ready_of(workers)
        stored, _ = await read_stored(self._client, self._keys, None, ready.defaults)
        newest = max(workers, key=lambda worker: worker.catalog_at_ms)
        rate = self._rate(now, sum((await stats.read()).requests.values()))
        return Status(rate, newest.chunks, in_use(None, stored, workers)[0].shares)

    def _rate(self, now: float, requests: int) -> float | None:
        """Count the requests a second since the last look; counts may have been cleared meanwhile."""
        last, self._last = self._last, (now, requests)
        return None if last is None else max(0, requests - last[1]) / (now - last[0])
