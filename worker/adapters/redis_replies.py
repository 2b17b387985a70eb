"""Replies that are not what their command's replies are: the sign of a broken connection, and no bug of ours.

A proxy may have torn the stream of replies, or something else may listen there. From then on every reply may be told to
another command than its own, so that whoever reads one that cannot be read closes the connection.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Any

import redis.exceptions

from worker.adapters.redis_client import Client
from worker.core.wire import Entry

# What comes of reading a reply as if it had another shape.
_MISREAD = (AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def telling_misread() -> Iterator[None]:
    """Tell of a reply that cannot be read as redis-py tells of what is not RESP.

    Raises:
        redis.exceptions.InvalidResponse: It cannot be read.
    """
    try:
        yield
    except _MISREAD as error:
        raise redis.exceptions.InvalidResponse(f"the reply is no reply to it ({error})") from error


@asynccontextmanager
async def closing_if_misread(client: Client) -> AsyncIterator[None]:
    """Close all of a client's connections where a reply cannot be read; it opens others when it is used.

    Raises:
        redis.exceptions.InvalidResponse: It cannot be read.
    """
    try:
        with telling_misread():
            yield
    except redis.exceptions.InvalidResponse:
        await client.aclose()
        raise


def read_entries(records: Sequence[Any]) -> list[Entry]:
    """Read entries of the request stream; one that was deleted meanwhile has no fields.

    Raises:
        TypeError: They are none.
    """
    entries = [Entry(entry_id.decode(), fields or ()) for entry_id, fields in records]
    fields = [entry.fields for entry in entries]
    # All words together: this is done for every request.
    if set(map(type, chain.from_iterable(fields))) - {bytes} or 1 in {len(words) % 2 for words in fields}:
        raise TypeError("an entry is fields and values")
    return entries
