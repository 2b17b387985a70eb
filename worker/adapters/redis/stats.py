"""Counts over all workers, and the states of live workers."""

from collections.abc import Sequence
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.stats import Counts, fields_of_dataset, read_stats
from worker.core.workers.state_document import read_state

_CLEAR: Final = read_script("stats_clear.lua")
_PAGE = 1_000  # keys that Redis looks at in one go: about 1 ms in which it serves nobody else


class RedisStats:
    """Reads what the workers have counted, and the states that they show."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def read(self, *, clear: bool = False) -> Counts:
        """Read the stats hash; fields that are no counts are left out and named.

        Args:
            clear: Remove the counts in the same step, so that none is lost in between.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        return read_stats(await self._fields(clear=clear))

    async def _fields(self, *, clear: bool = False) -> dict[str, str]:
        with redis_errors(f"reading the counts in {self._keys.stats}"):
            if clear:
                # A script, because redis-py's pipelines cannot read and remove in one step in a cluster.
                words = await self._client.execute_command("EVAL", _CLEAR, 1, self._keys.stats)
                pairs = list(zip(words[0::2], words[1::2], strict=True))
            else:  # reading alone needs no right to write
                fields: Any = await self._client.hgetall(self._keys.stats)
                pairs = list(fields.items())
        return {name.decode(errors="replace"): text.decode(errors="replace") for name, text in pairs}

    async def remove_dataset(self, dataset: str) -> None:
        """Remove a dataset's counts.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        names = fields_of_dataset(await self._fields(), dataset)
        if names:
            with redis_errors(f"removing counts in {self._keys.stats}"):
                await self._client.hdel(self._keys.stats, *names)

    async def workers(self) -> list[dict[str, Any]]:
        """List the states that live workers show, by consumer; see `worker.core.workers.state_document.read_state`.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        return await self.states(await self.worker_keys())

    async def worker_keys(self) -> list[bytes]:
        """List the keys of live workers' states; this scans all keys of the database.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("looking for live workers"):
            return sorted([key async for key in self._client.scan_iter(match=self._keys.worker("*"), count=_PAGE)])

    async def states(self, worker_keys: Sequence[bytes]) -> list[dict[str, Any]]:
        """Read the states of some workers in one round trip; workers that have ended are left out.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        pipeline = self._client.pipeline(transaction=False)
        for key in worker_keys:
            pipeline.get(key)
        with redis_errors("reading the states of workers"):
            values = await pipeline.execute(raise_on_error=False)
            return [self._state(*found) for found in zip(worker_keys, values, strict=True) if found[1] is not None]

    def _state(self, key: bytes, value: bytes | Exception) -> dict[str, Any]:
        """Read one state.

        Raises:
            Exception: Redis refused for another reason than the key's type.
        """
        consumer = key.decode(errors="backslashreplace").removeprefix(self._keys.worker(""))
        if isinstance(value, Exception):
            if not (isinstance(value, redis.exceptions.ResponseError) and "WRONGTYPE" in str(value)):
                raise value
            return read_state(consumer, None)
        return read_state(consumer, value)
