"""What changed in `audio_chunks`: notifications gathered into news, and the rows they name read again."""

import math
from collections.abc import AsyncGenerator, Sequence

import anyio
import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.adapters.postgres.client import Connection, connected, translated
from worker.adapters.postgres.watch import Sight, look
from worker.core.catalog import ascending
from worker.core.catalog.durations import whole_milliseconds
from worker.core.catalog.rendering import UUID, cell_width, id_from_text, render_cells
from worker.core.keys import CATALOG_CHANNEL, CATEGORY_PATTERN
from worker.errors import PostgresError
from worker.ports import CatalogNews, Known, Unheard

READY_CHUNKS = "select id, category from audio_chunks where status = 'READY'"
READY_CHUNKS_WITH_DURATIONS = "select id, category, duration_s from audio_chunks where status = 'READY'"
DURATION = "coalesce(duration_s::double precision, 'NaN')"

_GATHER_S = 0.015
_INTERVAL_S = 0.15
_LOOK_EVERY_S = 0.5
_LOOK_SHARE = 50  # a look takes at most one part in so many of the time
_PROBE_EVERY_S = 2.0  # at the latest: a dead link is silent too
_PROBE_TIMEOUT_S = 2.0
_HEAR_TIMEOUT_S = 2.0
_READ_TIMEOUT_S = 10.0
_READ_AT_ONCE = 100_000  # measured: one read of 100,000 rows takes half the time of ten of 10,000
_MOST_IDS = 200_000
_ALL = "*"


class PostgresListener:
    """Hear of changed rows, and read those rows again, over one connection.

    A notification is a hint and no more: every user of a database may send one, with any payload.
    """

    def __init__(
        self, connection: Connection, database_url: str, kind: np.dtype[np.generic], *, with_durations: bool = False
    ) -> None:
        """Own a connection from now on.

        Args:
            connection: Open, idle.
            database_url: For the sentences of errors.
            kind: int64 or S16, what ids are.
            with_durations: Whether durations matter: what has none is not READY then.
        """
        self._connection = connection
        self._database_url = database_url
        self._kind = kind
        self._with_durations = with_durations
        self._sight = Sight(is_standby=False, is_queue_full=False, shape=0, activity=None, found={})
        self._look_at = math.inf
        self._turn = anyio.Lock()  # a connection does one thing at a time
        self._stirred = anyio.Event()
        self._payloads: list[str] = []
        self._named = 0
        self._reload = False
        self._is_doubtful = False
        self._has_heard = False
        self._is_deaf = False

    @property
    def unheard(self) -> tuple[Unheard, ...]:
        """Return which changes are announced to nobody."""
        return self._sight.unheard(is_deaf=self._is_deaf)

    @property
    def hears_all(self) -> bool:
        """Return whether every change is announced."""
        return not self.unheard

    async def subscribe(self) -> None:
        """Hear of every change that commits from now on; a standby server cannot notify, and is only watched.

        Raises:
            PostgresError: The server refused, or did not answer.
        """
        self._connection.add_termination_listener(lambda _: self._stirred.set())
        self._sight = await self._look()
        if not self._sight.is_standby:
            with translated(self._database_url), anyio.fail_after(_PROBE_TIMEOUT_S):
                await self._connection.add_listener(
                    CATALOG_CHANNEL, lambda _connection, _pid, _channel, payload: self._hear(str(payload))
                )
            self._is_deaf = not await self._hears_another()
        self._look_at = anyio.current_time() + _LOOK_EVERY_S

    async def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit: the first at once, what follows it at intervals, as one.

        It ends when a look finds that the table itself is another one, or has other rights or triggers.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        told_at = -math.inf
        while await self._wait_for_stir():
            await anyio.sleep(max(_GATHER_S, told_at + _INTERVAL_S - anyio.current_time()))
            told_at = anyio.current_time()
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
        categories = np.full(len(ids), None, dtype=np.object_)
        durations = np.zeros(len(ids), np.uint32) if self._with_durations else None
        is_found = np.zeros(len(ids), np.bool_)
        for start in range(0, len(ids), _READ_AT_ONCE):
            part = slice(start, start + _READ_AT_ONCE)
            for category, packed in await self._read(await run_sync(array_literal, ids[part])):
                if durations is None:
                    places = np.frombuffer(packed, ">i4") - 1
                else:
                    rows = np.frombuffer(packed, [("place", ">i4"), ("duration_s", ">f8")])
                    milliseconds = whole_milliseconds(rows["duration_s"].astype(np.float64))
                    places = (rows["place"] - 1)[milliseconds > 0]
                    durations[part][places] = milliseconds[milliseconds > 0]
                if is_found[part][places].any():
                    self._ask_for_all()  # an id in two categories, as partitions allow, cannot be told in this way
                categories[part][places] = category
                is_found[part][places] = True
        found: list[str | None] = categories.tolist()
        return Known(found, durations)

    async def _read(self, literal: str) -> list[tuple[str, bytes]]:
        """Read, for each category, which of these ids are READY in it: places from 1 on, and durations, packed."""
        packed, chunks = "int4send(named.place::int)", READY_CHUNKS
        if self._with_durations:
            packed, chunks = f"{packed} || float8send({DURATION})", READY_CHUNKS_WITH_DURATIONS
        statement = (
            f"select chunk.category::text, string_agg({packed}, '') "  # noqa: S608 - constants
            f"from unnest($1::text::{type_name(self._kind)}[]) with ordinality as named (id, place) "
            f"join ({chunks}) as chunk on chunk.id = named.id "
            f"where chunk.category is not null group by chunk.category having {is_name('chunk.category')}"
        )
        async with self._turn:
            with translated(self._database_url):
                rows = await self._connection.fetch(statement, literal, timeout=_READ_TIMEOUT_S)
        return [(category, packed) for category, packed in rows]

    def _hear(self, payload: str) -> None:
        """Keep a notification for later: those of a bulk update come all at once."""
        self._has_heard = True
        self._named += payload.count(",") + 1
        if payload == _ALL or self._named > _MOST_IDS:
            self._ask_for_all()
        if not self._reload:
            self._payloads.append(payload)
        self._stirred.set()

    def _ask_for_all(self) -> None:
        """Ask for everything to be read again."""
        self._reload = True
        self._payloads.clear()
        self._stirred.set()

    async def _take(self) -> CatalogNews:
        payloads, reload, is_doubtful = self._payloads, self._reload, self._is_doubtful
        self._payloads, self._named, self._reload, self._is_doubtful = [], 0, False, False
        self._stirred = anyio.Event()
        return CatalogNews(await run_sync(_named_ids, payloads, self._kind), reload, is_doubtful)

    async def _wait_for_stir(self) -> bool:
        """Wait for a notification, and look at the table now and then; False: it is not what it was."""
        while True:
            if anyio.current_time() >= self._look_at and not await self._look_again():
                return False
            with anyio.CancelScope(deadline=self._look_at):
                await self._stirred.wait()
            if self._connection.is_closed():
                raise PostgresError("PostgreSQL closed the connection that notifies of changed chunks")
            if self._stirred.is_set():
                return True

    async def _look_again(self) -> bool:
        """Look, and tell whether everything is still as when it was subscribed to."""
        began = anyio.current_time()
        before, self._sight = self._sight, await self._look()
        ended = anyio.current_time()
        self._look_at = ended + min(max(_LOOK_EVERY_S, _LOOK_SHARE * (ended - began)), _PROBE_EVERY_S)
        if not self.hears_all and self._sight.activity != before.activity:
            self._is_doubtful = True
            self._stirred.set()
        is_other = self._sight[:3] != before[:3] or (self._is_deaf and self._has_heard)
        return not is_other

    async def _look(self) -> Sight:
        async with self._turn:
            with translated(self._database_url):
                return await look(self._connection, _PROBE_TIMEOUT_S)

    async def _hears_another(self) -> bool:
        """Notify from another session, and return whether it is heard: some poolers pass no notifications on."""
        async with connected(self._database_url, statement_timeout_s=_PROBE_TIMEOUT_S) as other:
            with translated(self._database_url):
                await other.execute("select pg_notify($1, '')", CATALOG_CHANNEL)
            with anyio.move_on_after(_HEAR_TIMEOUT_S):
                await self._stirred.wait()
        is_heard, self._has_heard = self._has_heard, False
        return is_heard


class DeafListener:
    """Stand in where nothing notifies: somebody else's tables."""

    unheard: tuple[Unheard, ...] = ()
    hears_all = False

    async def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield nothing, for ever."""
        await anyio.sleep_forever()
        yield  # type: ignore[misc]  # makes it a generator

    async def read(self, ids: NDArray[np.generic]) -> Known:
        """Refuse, for nobody can have named rows."""
        raise NotImplementedError(f"{len(ids)} rows cannot be read by id from a query")


def array_literal(ids: NDArray[np.generic]) -> str:
    """Write ids as PostgreSQL reads an array: JSON in other brackets.

    Args:
        ids: int64 or S16, shape (n,).
    """
    cells = render_cells(ids, cell_width(ids)).tobytes()
    return "{" + cells[:-1].decode() + "}"


def is_name(category: str) -> str:
    """Write the condition that a category is a name; others may not even be text that PostgreSQL can send."""
    return f"{category}::text collate \"C\" ~ '^(?:{CATEGORY_PATTERN.pattern})$'"


def type_name(kind: np.dtype[np.generic]) -> str:
    """Name the type in which ids of this kind are compared."""
    return "uuid" if kind == UUID else "bigint"


def _named_ids(payloads: Sequence[str], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Read the ids that notifications name, each once; what is not an id of this kind is nobody's."""
    ids: list[int | bytes] = []
    for text in ",".join(payloads).split(","):
        try:
            ids.append(_id_from(text, kind))
        except ValueError:  # any user of the database can send anything
            continue
    return ascending(np.array(ids, dtype=kind))  # neighbours in the index are quicker to read


def _id_from(text: str, kind: np.dtype[np.generic]) -> int | bytes:
    parsed = id_from_text(text, kind)
    if isinstance(parsed, int) and not -(2**63) <= parsed < 2**63:
        raise ValueError("a bigint has 64 bits")
    return parsed
