"""Look through the results that Redis keeps for one chunk: who drew it, and when.

Results are looked at in pages, each from behind the last, while workers go on writing. A stream that is trimmed
meanwhile loses its oldest results, as ever. Nothing is written.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from worker.adapters.redis.client import Client, redis_errors
from worker.core.keys import Keys
from worker.core.wire.sought import Drawn, Sought, find_sought
from worker.errors import UnreadableError

_PAGE: Final = 500
_KEYS_AT_ONCE: Final = 1000


@dataclass(slots=True)
class Looked:
    """What was looked at, and found.

    Attributes:
        drawn: Results that have the chunk, oldest first.
        results: How many results were looked at.
        streams: How many streams.
        oldest_ms: When the oldest result was written, Unix time in ms; None: there is none.
        unreadable: Keys that are no streams.
    """

    drawn: list[Drawn] = field(default_factory=list)
    results: int = 0
    streams: int = 0
    oldest_ms: int | None = None
    unreadable: list[str] = field(default_factory=list)


class RedisDrawn:
    """Looks through the shared result stream and all reply streams."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def look_for(self, sought: Sought) -> Looked:
        """Look for a chunk; this scans all keys of the database, and reads every result.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        looked = Looked()
        for stream in await self._streams():
            try:
                await self._look_through(stream, sought, looked)
            except UnreadableError:
                looked.unreadable.append(stream)
        looked.drawn.sort()
        return looked

    async def _streams(self) -> list[str]:
        """List the result streams."""
        with redis_errors("looking for result streams"):
            pattern = self._keys.reply("*")
            found = {key async for key in self._client.scan_iter(match=pattern, count=_KEYS_AT_ONCE)}
        return [self._keys.results, *sorted(key.decode(errors="replace") for key in found)]

    async def _look_through(self, stream: str, sought: Sought, looked: Looked) -> None:
        """Look through one stream."""
        has_any = False
        async for record_id, words in self._records(stream):
            if not has_any:
                has_any, at_ms = True, int(record_id.partition(b"-")[0])
                looked.oldest_ms = at_ms if looked.oldest_ms is None else min(looked.oldest_ms, at_ms)
            looked.results += 1
            if (drawn := find_sought(sought, record_id, words, stream)) is not None:
                looked.drawn.append(drawn)
        looked.streams += has_any

    async def _records(self, stream: str) -> AsyncIterator[tuple[bytes, list[bytes]]]:
        """Yield the entries of a stream, oldest first."""
        start = b"-"
        while True:
            with redis_errors(f"reading the results in {stream}"):
                page: Any = await self._client.execute_command("XRANGE", stream, start, "+", "COUNT", _PAGE)
            for record_id, words in page:
                yield record_id, words
            if len(page) < _PAGE:
                return
            start = b"(" + page[-1][0]
