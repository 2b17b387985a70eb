"""Training sessions in Redis, for people who look at them and end them; the settling script changes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.replies import closing_if_misread
from worker.core.draw.sessions import Fields
from worker.core.keys import PINNED, POSITION, REPEATS_LIMIT, SCHEDULE, Keys


class RedisSessions:
    """Reads, releases and ends sessions."""

    def __init__(self, client: Client, keys: Keys, *, ttl_s: int = 86_400) -> None:
        """Take the sessions of one prefix.

        Args:
            client: A connection.
            keys: Names in Redis.
            ttl_s: Lifetime of an idle session, in seconds.
        """
        self._client = client
        self._keys = keys
        self._ttl_s = ttl_s

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
                async with closing_if_misread(self._client):  # redis-py makes a mapping of the reply
                    fields: Any = await self._client.hgetall(self._keys.session(name))
                    return {field.decode(errors="replace"): value for field, value in fields.items()}
            except redis.exceptions.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                return None

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

    async def set_limit(self, name: str, limit: float, keep_s: int) -> None:
        """Limit how often the chunks of any category shall be repeated in a session.

        Args:
            name: The session, which need not exist.
            limit: The most repeats, see `worker.core.draw.session_shown`; 0: no limit any more.
            keep_s: In how many seconds a new session ends if nobody asks for it.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.session(name)
        with redis_errors(f"storing the limit of a session in {key}"):
            if limit:
                await self._client.hset(key, REPEATS_LIMIT, repr(limit))
                await self._client.expire(key, keep_s, nx=True)
            else:
                await self._client.hdel(key, REPEATS_LIMIT)

    async def read_limited(self, names: Sequence[str]) -> Mapping[str, Mapping[str, bytes]]:
        """Read the hashes of those sessions that have a limit of repeats.

        Args:
            names: The sessions. One whose key holds another type has none.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(self._keys.session(name), REPEATS_LIMIT)
        with redis_errors("reading the limits of sessions"):
            limits = await pipeline.execute(raise_on_error=False)
            async with closing_if_misread(self._client):
                limited = [name for name, limit in zip(names, limits, strict=True) if limit is not None]
        found = {name: await self.read(name) for name in limited}
        return {name: fields for name, fields in found.items() if fields}

    async def note_told(self, name: str, field: str) -> bool:
        """Note in a session's hash that something was told; return whether it was not noted before.

        Args:
            name: The session. One that has ended meanwhile lasts as long as a new one.
            field: Of its hash.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = self._keys.session(name)
        with redis_errors(f"noting what was told of a session in {key}"):
            is_new = bool(await self._client.hset(key, field, "1"))
            await self._client.expire(key, self._ttl_s, nx=True)
        return is_new

    async def end(self, name: str) -> bool:
        """End a session: its weights, passes and counts; return whether there was one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("ending a session"):
            return bool(await self._client.delete(self._keys.session(name)))
