"""A catalog feed that runs for the time of a block, with a session that changes the library under it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from tests.support.library import contents, ready_in, session
from tests.support.tasks import endless
from tests.support.waiting import wait_until
from worker.adapters.postgres.client import Connection
from worker.core.catalog import Catalog
from worker.ports import CatalogSource
from worker.service.availability import Availability
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

NEVER_S = 3600.0
FOUND_S = 300.0
"""Longest wait for what a comparison finds: on a busy machine one takes a second, and the next comes after fifty."""


class Remembering(CurrentSnapshots):
    """A state that remembers every catalog it ever held."""

    catalogs: list[Catalog | None]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "catalog":
            self.__dict__.setdefault("catalogs", []).append(value)


@dataclass
class Log:
    """The log lines of a test."""

    path: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.path.read_text().splitlines()) if line["event"] == event]


@dataclass
class Worker:
    """What a feed keeps fresh, and a session that changes it."""

    current: Remembering
    availability: Availability
    writer: Connection

    async def agrees(self) -> bool:
        return contents(self.current.catalog) == await ready_in(self.writer)

    async def converges(self) -> None:
        await wait_until(self.agrees, timeout_s=FOUND_S, what="the catalog is what SQL says")


@asynccontextmanager
async def feeding(source: CatalogSource, writer_url: str, *, refresh_s: float = NEVER_S) -> AsyncIterator[Worker]:
    """Run a feed for the time of a block."""
    current = Remembering()
    availability = postgres_availability()
    feed = CatalogFeed(source, current, availability, refresh_s=refresh_s)
    async with session(writer_url) as writer, anyio.create_task_group() as loops:
        await loops.start(endless, feed.run)
        yield Worker(current, availability, writer)
        loops.cancel_scope.cancel()


async def execute(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)
