"""Counts over all workers, and the workers that live."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from worker.adapters.redis_client import Client, redis_errors
from worker.core.keys import Keys
from worker.core.tally import Counts, fields_of_dataset, read_counts

_READ: Final = files("worker.adapters").joinpath("stats_read.lua").read_text()


class RedisStats:
    """Read what the workers have counted and what they say of themselves."""

    def __init__(self, client: Client, keys: Keys) -> None:
        """Take a connection and the names in Redis."""
        self._client = client
        self._keys = keys

    async def read(self, *, clear: bool = False) -> Counts:
        """Read the stats hash; what somebody else has put there that is no count is left out.

        Args:
            clear: Remove the counts in the same step, so that none is lost between.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        fields = await self._fields(clear=clear)
        return read_counts({name: int(text) for name, text in fields.items() if text.isdecimal()}, fields)

    async def _fields(self, *, clear: bool = False) -> dict[str, str]:
        # A script, because redis-py's pipelines cannot do this in a cluster.
        with redis_errors("reading the counts"):
            words = await self._client.execute_command("EVAL", _READ, 1, self._keys.stats, int(clear))
        pairs = zip(words[0::2], words[1::2], strict=True)
        return {name.decode(errors="replace"): text.decode(errors="replace") for name, text in pairs}

    async def remove_dataset(self, dataset: str) -> None:
        """Remove a dataset's counts.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        names = fields_of_dataset(await self._fields(), dataset)
        if names:
            with redis_errors("removing counts"):
                await self._client.hdel(self._keys.stats, *names)

    async def workers(self) -> list[dict[str, Any]]:
        """List the states that live workers show, by consumer.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        return await self.states(await self.worker_keys())

    async def worker_keys(self) -> list[str]:
        """List the keys in which live workers show their states; it takes a look at every key there is.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("looking for live workers"):
            found = [key async for key in self._client.scan_iter(match=self._keys.worker("*"), count=1000)]
        return sorted(key.decode() for key in found)

    async def states(self, worker_keys: Sequence[str]) -> list[dict[str, Any]]:
        """Read the states of some workers; those that have ended are left out.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("reading the states of workers"):
            values = [await self._client.get(key) for key in worker_keys]
        return [json.loads(value) for value in values if value is not None]
