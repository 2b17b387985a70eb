"""The library of one trial: what is READY, and since when, as whoever changed it noted it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.records import Stay
from tests.support.library import fill, ready_in, session
from tests.support.servers import execute

_CHUNKS = {"voice": 300, "music": 200, "documentary": 100}
_ADD = "insert into audio_chunks (id, category, status) values (%d, '%s', 'READY')"
_TAKE_AWAY = "update audio_chunks set status = 'FAILED' where id = %d"


class Library:
    """Chunks that come and go.

    Attributes:
        url: Of the database.
        stays: When chunks were READY.
        outages: (begin, end) in Unix ns of times in which workers could not know what is READY.
    """

    def __init__(self, url: str) -> None:
        """Fill a database that is migrated and empty."""
        for category, count in _CHUNKS.items():
            execute(url, fill(count, f"'{category}'"))
        self.url = url
        self.stays = asyncio.run(_stays(url))
        self.outages: list[tuple[int, int]] = []

    @property
    def ready(self) -> int:
        """Count the chunks that are READY now."""
        return sum(stay.ended_ns is None for stay in self.stays)

    def add(self, chunk: int, category: str) -> None:
        """Add a READY chunk."""
        begun_ns = time.time_ns()
        execute(self.url, _ADD % (chunk, category))
        self.stays.append(Stay(chunk, category, begun_ns))

    def take_away(self) -> None:
        """Let a chunk be READY no more."""
        place = next(place for place, stay in enumerate(self.stays) if stay.ended_ns is None)
        execute(self.url, _TAKE_AWAY % self.stays[place].chunk)
        self.stays[place] = self.stays[place]._replace(ended_ns=time.time_ns())

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Note that workers cannot know meanwhile what is READY."""
        begun_ns = time.time_ns()
        yield
        self.outages.append((begun_ns, time.time_ns()))


async def _stays(url: str) -> list[Stay]:
    async with session(url) as connection:
        ready = await ready_in(connection)
    return [Stay(int(chunk), category) for category, chunks in ready.items() for chunk in chunks]
