"""The clock of Redis: it decides when a request expires and how old an entry is. This machine's clock may be wrong."""

from typing import Final

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.script_texts import read_script

_TIME: Final = read_script("clock_read.lua")


async def redis_now_ms(client: Client, key: str) -> int:
    """Return the Unix time in ms by the clock of the server that holds a key.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    with redis_errors("reading its clock"):
        seconds, microseconds = await client.execute_command("EVAL", _TIME, 1, key)
    return int(seconds) * 1000 + int(microseconds) // 1000
