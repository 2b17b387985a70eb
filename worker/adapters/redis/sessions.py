"""Training sessions in Redis, for people who look at them and end them; the settling script changes them."""

from typing import Any

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.core.draw.sessions import Fields
from worker.core.keys import PINNED, POSITION, SCHEDULE, Keys


class RedisSessions:
    """Reads, releases and ends sessions."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def names(self) -> list[str]:
        """List all sessions, sorted; this scans all keys of the database.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        start = self._keys.session("")
        with redis_errors("looking for sessions"):
            found = [key async for key in self._client.scan_iter(match=f"{start}*", count=1000)]
        return sorted(key.decode(errors="replace").removeprefix(start) for key in found)

    async def read(self, name: str) -> Fields:
        """Read a session's hash; empty if there is none, None if its key is of another type.

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
        """Return in how many seconds a session ends if nobody uses it; 0 if there is none.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("reading a session"):
            return max(0, int(await self._client.ttl(self._keys.session(name))))

    async def release(self, name: str) -> bool:
        """Release a session from the weights that it is pinned to, and from its schedule; return whether it had any.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"releasing a session in {self._keys.session(name)}"):
            return bool(await self._client.hdel(self._keys.session(name), PINNED, SCHEDULE, POSITION))

    async def set_schedule(self, name: str, schedule: bytes, keep_s: int) -> None:
        """Let a session follow a schedule from its beginning.

        Args:
            name: The session, which need not exist.
            schedule: See `worker.core.draw.session_schedules`.
            keep_s: In how many seconds it ends if nobody asks for it.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.session(name)
        with redis_errors(f"storing the schedule of a session in {key}"):
            await self._client.hset(key, mapping={SCHEDULE: schedule, POSITION: 0})
            await self._client.expire(key, keep_s)

    async def end(self, name: str) -> bool:
        """End a session: its weights, passes and counts; return whether there was one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("ending a session"):
            return bool(await self._client.delete(self._keys.session(name)))
