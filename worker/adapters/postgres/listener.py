"""Changes of `audio_chunks`: notifications are collected into news, and the rows that they name are read again."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.adapters.postgres.client import Connection, PreparedStatement, connected, place_of, translated
from worker.adapters.postgres.findings import Findings, packed_columns
from worker.adapters.postgres.selection import Selection, array_literal, is_name, is_split, type_name
from worker.adapters.postgres.watch import Sight, look, prepare_look
from worker.core.catalog import ascending
from worker.core.catalog.rendering import id_from_text
from worker.core.keys import CATALOG_CHANNEL
from worker.errors import PostgresError
from worker.ports import CatalogNews, Known, Unheard
from worker.ticks import Idleness, tick_within, wait_until

_GATHER_S = 0.015
_INTERVAL_S = 0.15
_LOOK_EVERY_S = 0.5
_IDLE_LOOK_EVERY_S = 1.0
_LOOK_SHARE = 50  # looks take at most one part in so many of the time
_PROBE_EVERY_S = 2.0  # at the latest, as a dead connection is silent too
_PROBE_TIMEOUT_S = 2.0
_HEAR_TIMEOUT_S = 2.0
_READ_TIMEOUT_S = 10.0
_READ_AT_ONCE = 100_000  # measured: one read of 100,000 rows takes half the time of ten of 10,000
_READ_AT_ONCE_WITH_COLUMNS = 10_000  # each path is an object of its own meanwhile
_MOST_IDS = 200_000
_ALL = "*"


class PostgresListener:
    """The listener that hears of changed rows and reads those rows again, over one connection.

    A notification is a hint and no more: every user of a database may send one, with any payload.
    """

    def __init__(
        self, connection: Connection, database_url: str, selection: Selection, idleness: Idleness | None = None
    ) -> None:
        """Take over a connection.

        Args:
            connection: Open and idle.
            database_url: For error messages.
            selection: What is read of each chunk.
            idleness: Says when looks are further apart. The first request after it has the next look taken at once.
        """
        self._connection = connection
        self._idleness = idleness
        self._database_url = database_url
        self._selection = selection
        self._sight = Sight(is_standby=False, is_queue_full=False, shape=0, activity=None, found={})
        self._look_at = math.inf
        self._prepared: PreparedStatement | None = None
        self._turn = anyio.Lock(fast_acquire=True)  # a connection runs one statement at a time
        self._woken = asyncio.Event()
        self._is_stirred = False
        self._payloads: list[str] = []
        self._named = 0
        self._reload = False
        self._is_doubtful = False
        self._has_heard = False
        self._is_deaf = False

    @property
    def unheard(self) -> tuple[Unheard, ...]:
        """Return the changes that are not announced."""
        return self._sight.unheard(is_deaf=self._is_deaf)

    @property
    def hears_all(self) -> bool:
        """Return whether every change is announced."""
        return not self.unheard

    async def subscribe(self) -> None:
        """Listen for every change that commits from now on; a standby server cannot notify, and is only looked at.

        Raises:
            PostgresError: The server refused, or did not answer.
        """
        self._connection.add_termination_listener(lambda _: self._stir())
        self._sight = await self._look()
        if not self._sight.is_standby:
            with translated(self._database_url), anyio.fail_after(_PROBE_TIMEOUT_S):
                await self._connection.add_listener(
                    CATALOG_CHANNEL, lambda _connection, _pid, _channel, payload: self._hear(str(payload))
                )
            self._is_deaf = not await self._hears_another()
            if not self._is_deaf:
                with translated(self._database_url), anyio.fail_after(_PROBE_TIMEOUT_S):
                    self._prepared = await prepare_look(self._connection)
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        if self._idleness is not None:
            self._idleness.ended = self._look_soon

    async def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit: the first at once, those that follow it together, at intervals.

        It ends when a look finds that the table itself is another one, or has other rights or triggers.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        told_at = -math.inf
        while await self._wait_for_stir():
            await anyio.sleep(max(_GATHER_S, told_at + _INTERVAL_S - time.monotonic()))
            told_at = time.monotonic()
            news = await self._take()
            if news.reload or news.is_doubtful or len(news.ids):
                yield news

    async def read(self, ids: NDArray[np.generic]) -> Known:
        """Return what is known of these chunks now.

        Args:
            ids: int64 or S16, shape (m,).

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        found = Findings(self._selection, len(ids))
        most = _READ_AT_ONCE if not self._selection.held else _READ_AT_ONCE_WITH_COLUMNS
        for start in range(0, len(ids), most):
            for row in await self._read(await run_sync(array_literal, ids[start : start + most])):
                await run_sync(found.add, start, row)
        if found.has_twice:
            self._ask_for_all()  # partitions allow an id in two categories, which this reading cannot express
        return found.known()

    async def _read(self, literal: str) -> list[Any]:
        """Read what `Findings` adds up, for each part that some of these ids are READY in."""
        selection = self._selection
        statement = (
            f"select chunks.category::text, {selection.split} as split, {packed_columns(selection)} "  # noqa: S608 - constants
            f"from unnest($1::text::{type_name(selection.kind)}[]) with ordinality as named (named_id, place) "
            f"join {selection.rows} on chunks.id = named.named_id where chunks.category is not null "
            f"group by chunks.category, {selection.split} "
            f"having {is_name('chunks.category')} and {is_split(selection.split)}"
        )
        async with self._turn:
            with translated(self._database_url):
                return await self._connection.fetch(statement, literal, timeout=_READ_TIMEOUT_S)

    def _hear(self, payload: str) -> None:
        """Collect a notification; those of a bulk update come at once, and are read together later."""
        self._has_heard = True
        self._named += payload.count(",") + 1
        if payload == _ALL or self._named > _MOST_IDS:
            self._ask_for_all()
        if not self._reload:
            self._payloads.append(payload)
        self._stir()

    def _ask_for_all(self) -> None:
        """Ask for everything to be read again."""
        self._reload = True
        self._payloads.clear()
        self._stir()

    def _stir(self) -> None:
        """Wake the reader: something was heard, or the connection has ended."""
        self._is_stirred = True
        self._woken.set()

    def _look_soon(self) -> None:
        """Look now, as chunks are drawn again."""
        self._look_at = min(self._look_at, time.monotonic())
        self._woken.set()

    async def _take(self) -> CatalogNews:
        payloads, reload, is_doubtful = self._payloads, self._reload, self._is_doubtful
        self._payloads, self._named, self._reload, self._is_doubtful = [], 0, False, False
        self._is_stirred = False
        return CatalogNews(await run_sync(_named_ids, payloads, self._selection.kind), reload, is_doubtful)

    async def _wait_for_stir(self) -> bool:
        """Wait for a notification, and look at the table now and then; return False if the table was replaced."""
        while True:
            if time.monotonic() >= self._look_at and not await self._look_again():
                return False
            if self._connection.is_closed():
                raise PostgresError("PostgreSQL closed the connection that notifies of changed chunks")
            if self._is_stirred:
                return True
            self._woken = asyncio.Event()
            await wait_until(self._woken, self._look_at)

    async def _look_again(self) -> bool:
        """Look, and return whether everything is as it was at the subscription."""
        began = time.monotonic()
        before, self._sight = self._sight, await self._look()
        ended = time.monotonic()
        pause_s = min(_LOOK_SHARE * (ended - began), _PROBE_EVERY_S)
        is_idle = self._idleness is not None and self._idleness.holds
        every_s = _IDLE_LOOK_EVERY_S if is_idle else _LOOK_EVERY_S
        self._look_at = tick_within(every_s) if pause_s < every_s else ended + pause_s
        if not self.hears_all and self._sight.activity != before.activity:
            self._is_doubtful = True
            self._stir()
        is_other = self._sight[:3] != before[:3] or (self._is_deaf and self._has_heard)
        return not is_other

    async def _look(self) -> Sight:
        async with self._turn:
            with translated(self._database_url):
                return await look(self._connection, _PROBE_TIMEOUT_S, self._prepared)

    async def _hears_another(self) -> bool:
        """Notify from another session, and return whether that arrives: some poolers pass no notifications on."""
        place = place_of(self._connection)
        async with connected(self._database_url, statement_timeout_s=_PROBE_TIMEOUT_S, place=place) as other:
            with translated(self._database_url):
                await other.execute("select pg_notify($1, '')", CATALOG_CHANNEL)
            with anyio.move_on_after(_HEAR_TIMEOUT_S):
                await self._woken.wait()
        is_heard, self._has_heard = self._has_heard, False
        return is_heard


class DeafListener:
    """The listener for tables of others, which notify nobody."""

    unheard: tuple[Unheard, ...] = ()
    hears_all = False

    async def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Wait for ever; nothing is announced."""
        await anyio.sleep_forever()
        yield  # type: ignore[misc]  # makes it a generator

    async def read(self, ids: NDArray[np.generic]) -> Known:
        """Raise an error, as no notification can have named rows."""
        raise NotImplementedError(f"{len(ids)} rows cannot be read by id from a query")


def _named_ids(payloads: Sequence[str], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return the ids that notifications name, each once; texts that are no ids of this kind are ignored."""
    ids: list[int | bytes] = []
    for text in ",".join(payloads).split(","):
        try:
            ids.append(_id_from(text, kind))
        except ValueError:  # any user of the database can send anything
            continue
    return ascending(np.array(ids, dtype=kind))  # in the order of the index, rows are read faster


def _id_from(text: str, kind: np.dtype[np.generic]) -> int | bytes:
    parsed = id_from_text(text, kind)
    if isinstance(parsed, int) and not -(2**63) <= parsed < 2**63:
        raise ValueError("a bigint has 64 bits")
    return parsed
