"""Training sessions in Redis, for those who look at them and end them; drawing for them is the settling script's."""

from typing import Any

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.core.draw.sessions import Fields
from worker.core.keys import PINNED, Keys


class RedisSessions:
    """Read, release and end sessions."""

    def __init__(self, client: Client, keys: Keys) -> None:
        """Take a connection and the names in Redis."""
        self._client = client
        self._keys = keys

    async def names(self) -> list[str]:
        """List the sessions there are, sorted; a look at every key of the database.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        start = self._keys.session("")
        with redis_errors("looking for sessions"):
            found = [key async for key in self._client.scan_iter(match=f"{start}*", count=1000)]
        return sorted(key.decode(errors="replace").removeprefix(start) for key in found)

    async def read(self, name: str) -> Fields:
        """Read a session's hash; empty where there is none, None where its key holds another type.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"reading a session in {self._keys.session(name)}"):
            try:
                fields: Any = await self._client.hgetall(self._keys.session(name))
            except redis.exceptions.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                return None
        return {field.decode(errors="replace"): value for field, value in fields.items()}

    async def idle_left_s(self, name: str) -> int:
        """Tell in how many seconds a session ends if nobody asks for it any more; 0 where there is none.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("reading a session"):
            return max(0, int(await self._client.ttl(self._keys.session(name))))

    async def release(self, name: str) -> bool:
        """Release a session from the weights that it is pinned to; tell whether it was.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"releasing a session in {self._keys.session(name)}"):
            return bool(await self._client.hdel(self._keys.session(name), PINNED))

    async def end(self, name: str) -> bool:
        """End a session: its weights, passes and counts; tell whether there was one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("ending a session"):
            return bool(await self._client.delete(self._keys.session(name)))
