"""Fields of several hashes, read in one round trip."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.errors import RedisError, RedisLoginError, RedisUnreachableError

Fields = list[bytes | None]


async def read_fields(client: Client, wanted: Mapping[str, Sequence[str]]) -> list[Fields | RedisError]:
    """Read some fields of each hash.

    Args:
        client: A connection.
        wanted: Key of a hash -> names of its fields.

    Returns:
        Of each hash what its fields hold, in the order of their names; or why Redis refuses them.

    Raises:
        RedisUnreachableError: Redis does not answer.
        RedisLoginError: It refuses the login.
    """
    pipeline = client.pipeline(transaction=False)
    for key, names in wanted.items():
        for name in names:
            pipeline.hget(key, name)
    with redis_errors(f"reading {', '.join(wanted)}"):
        replies = iter(await pipeline.execute(raise_on_error=False))
    return [_taken(key, list(islice(replies, len(names)))) for key, names in wanted.items()]


def given(found: Fields | RedisError) -> Fields:
    """Return fields that Redis gave.

    Raises:
        RedisError: It refused them.
    """
    if isinstance(found, RedisError):
        raise found
    return found


def _taken(key: str, replies: Sequence[Any]) -> Fields | RedisError:
    """Return the fields of one hash, or why Redis refuses them."""
    refusal = next((reply for reply in replies if isinstance(reply, Exception)), None)
    if refusal is None:
        return list(replies)
    try:
        with redis_refusals(f"reading {key}"):
            raise refusal
    except (RedisUnreachableError, RedisLoginError):
        raise
    except RedisError as error:
        return error
