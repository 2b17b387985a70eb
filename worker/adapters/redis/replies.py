"""Replies that have another shape than their command's replies: a broken connection, not a bug of ours.

A proxy may have torn the stream of replies, or another program may listen there. From then on each reply may answer
another command than its own. So a reply that cannot be read closes its connection.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Any, Protocol

import redis.exceptions

from worker.core.wire import Entry

_DIGITS = b"0123456789"
_ID = re.compile(rb"[0-9]+-[0-9]+")
# Errors of reading a reply that has another shape.
MISREAD = (AttributeError, LookupError, TypeError, ValueError)


class Closable(Protocol):
    """A client that opens connections when it is used."""

    async def aclose(self) -> None:
        """Close all of its connections."""


@contextmanager
def misread_as_invalid_response() -> Iterator[None]:
    """Turn the errors of reading a misshapen reply into the one that redis-py raises for text that is not RESP.

    Raises:
        redis.exceptions.InvalidResponse: It cannot be read.
    """
    try:
        yield
    except MISREAD as error:
        raise misread(error) from error


def misread(error: Exception) -> redis.exceptions.InvalidResponse:
    """Return what redis-py raises for text that is not RESP, of the error of reading a misshapen reply."""
    if isinstance(error, redis.exceptions.InvalidResponse):
        return error
    return redis.exceptions.InvalidResponse(f"the reply is no reply to it ({error})")


@asynccontextmanager
async def closing_if_misread(client: Closable) -> AsyncIterator[None]:
    """Close all of a client's connections if a reply cannot be read; the client opens new ones when it is used.

    Raises:
        redis.exceptions.InvalidResponse: It cannot be read.
    """
    try:
        with misread_as_invalid_response():
            yield
    except redis.exceptions.InvalidResponse:
        await client.aclose()
        raise


async def gathered(replies: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Wait for the replies to commands of one connection; an error stands in the place of its reply.

    They come in the order of the commands, so nothing is gained by `asyncio.gather`, which takes many times as long.
    """
    found: list[Any] = []
    for reply in replies:
        try:
            found.append(await reply)
        except redis.exceptions.RedisError as error:
            found.append(error)
    return found


def text_of(word: str | bytes) -> str:
    """Return a word of a reply as text."""
    return word if isinstance(word, str) else word.decode(errors="replace")


def check_ids(ids: Sequence[bytes]) -> None:
    """Refuse what is no id of a stream entry, and ids that come twice: their request would be answered twice.

    Raises:
        TypeError, ValueError: One is no id, or comes twice.
    """
    if len(ids) == 1 and _ID.fullmatch(ids[0]):
        return
    # Checked all together, because this happens for every request.
    text = b" ".join((b"", *ids, b"")) if ids else b" "
    if text.translate(None, _DIGITS) != b" -" * len(ids) + b" " or b" -" in text or b"- " in text:
        raise ValueError("an id is two numbers")
    if len(set(ids)) != len(ids):
        raise ValueError("an entry comes once")


def read_records(reply: Any, stream: bytes) -> Sequence[Any]:
    """Read the records that XREAD or XREADGROUP found in one stream; none if it waited in vain.

    Args:
        reply: The reply.
        stream: Name of the stream that was asked for.

    Raises:
        TypeError, ValueError: It is no such reply, or it is of another stream.
    """
    if reply is None:
        return ()
    [[name, records]] = reply
    if name != stream:
        raise ValueError("it is of another stream")
    return records  # type: ignore[no-any-return]


def read_entries(records: Sequence[Any]) -> list[Entry]:
    """Read entries of the request stream; an entry that was deleted meanwhile has no fields.

    Raises:
        TypeError, ValueError: They are not entries.
    """
    check_ids([entry_id for entry_id, _ in records])
    entries = [Entry(entry_id.decode(), fields or ()) for entry_id, fields in records]
    fields = [entry.fields for entry in entries]
    # Checked all together, because this happens for every request.
    if set(map(type, chain.from_iterable(fields))) - {bytes} or 1 in {len(words) % 2 for words in fields}:
        raise TypeError("an entry is fields and values")
    return entries
