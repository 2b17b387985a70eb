"""The READY chunks of PostgreSQL and of a catalog, in one form, so that they can be compared."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from worker.core.catalog import Catalog
from worker.core.catalog.rendering import UUID

Ready = dict[str, set[str]]

FILL = "insert into audio_chunks (category, status) select %s, 'READY' from generate_series(1, %d) as i"
MIXED = "(array['voice', 'music', 'documentary'])[1 + i % 3]"


@asynccontextmanager
async def session(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Open a connection of a test's own."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


def fill(count: int, category: str = MIXED) -> str:
    """Write the statement that adds READY chunks; `category` is SQL."""
    return FILL % (category, count)


def contents(catalog: Catalog | None) -> Ready | None:
    """List the ids of each category of a catalog."""
    if catalog is None:
        return None
    if catalog.ids.dtype == UUID:
        return {
            name: {str(uuid.UUID(bytes=chunk.ljust(16, b"\0"))) for chunk in ids.tolist()}
            for name, ids in catalog.segments()
        }
    return {name: {str(chunk) for chunk in ids.tolist()} for name, ids in catalog.segments()}


async def ready_in(connection: "asyncpg.Connection[asyncpg.Record]") -> Ready:
    """List the ids of each category in `audio_chunks`."""
    rows = await connection.fetch("select category::text, id::text from audio_chunks where status = 'READY'")
    ready: Ready = {}
    for category, chunk in rows:
        ready.setdefault(category, set()).add(chunk)
    return ready
