"""Keep the catalog in memory fresh: apply changed rows as they commit, and compare the whole every so often.

Notifications are for latency, comparisons for correctness. Rules:

1. A subscription begins with a comparison, and repeats it every `WORKER_CATALOG_REFRESH_S`. PostgreSQL computes a
   checksum of its rows. Everything is read again only if the catalog in memory has another checksum.
2. Listening begins before the comparison or load. So a change commits either before the load reads, or is heard.
3. Changes heard during a load are collected. Their rows are read again after the load, and applied to what was loaded.
   So a load never brings back an older state, whichever of the two came first.
4. A catalog is replaced by one assignment. One loop at a time may replace it: that of the news, or that of the loads.
5. Any error ends the subscription, and the next one starts at rule 1. So nothing has to be known about what was missed.

If PostgreSQL announces every change, comparisons and loads take at most a fiftieth of the time. They are then further
apart than the setting says.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from functools import partial

import anyio
import numpy as np
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.core.catalog import Catalog, Difference, apply_changes, ascending, compare
from worker.core.events import (
    CatalogHidden,
    CatalogSplitHidden,
    CatalogUnwatched,
    CatalogWatched,
)
from worker.errors import PostgresError
from worker.logs.emit import emit
from worker.ports import ROWS_SHOWN, SPLIT_SHOWN, CatalogListener, CatalogSource, Unheard
from worker.service.availability import Availability
from worker.service.catalog_events import Cause, log_change, log_defaults, log_first, ms_since
from worker.service.snapshots import CurrentSnapshots
from worker.service.supervisor import name_causes, unending

_READING_SHARE = 50  # comparisons and loads take at most one part in so many of the time
_DOUBT_SHARE = 10  # the same, if rows may have changed without an announcement


class CatalogFeed:
    """The loop that replaces the current catalog whenever the READY chunks change."""

    def __init__(
        self, source: CatalogSource, current: CurrentSnapshots, availability: Availability, *, refresh_s: float
    ) -> None:
        """Connect the parts.

        Args:
            source: Reads the catalog.
            current: Holds the current catalog.
            availability: Is told whether PostgreSQL answers.
            refresh_s: Time between two comparisons, in seconds.
        """
        self._source = source
        self._current = current
        self._availability = availability
        self._refresh_s = refresh_s
        self._attempted = anyio.Event()
        self._unheard: tuple[Unheard, ...] = ()
        self._unheard_at = 0.0
        self._hiding: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return (
            f"<CatalogFeed {len(self._current.catalog or ())} chunks, unheard: {[one.table for one in self._unheard]}>"
        )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the catalog fresh until cancelled; report the start after the first load or its failure."""
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, self._keep_fresh)
            await self._attempted.wait()
            task_status.started()

    async def _keep_fresh(self) -> None:
        """Subscribe, and again whenever a subscription ends: by an error, or because the table was replaced."""
        while True:
            message = ""
            try:
                async with self._source.listening() as listener:
                    self._log_unheard(listener.unheard)
                    subscription = _Subscription(self._source, listener, self._current, self._finish_reading)
                    await unending(partial(subscription.follow, self._refresh_s), may_end=subscription.is_over)
            except* PostgresError as errors:
                _, message = name_causes(errors.exceptions[0])
            self._attempted.set()
            if message:
                await self._availability.failed("catalog", message)

    def _log_unheard(self, unheard: tuple[Unheard, ...]) -> None:
        """Log changes that nobody announces, if they are new."""
        for one in unheard:
            if one not in self._unheard:
                emit(CatalogUnwatched(**asdict(one), refresh_s=self._refresh_s))
        if self._unheard and not unheard:
            emit(CatalogWatched(unwatched_s=round(time.monotonic() - self._unheard_at, 3)))
        if unheard and not self._unheard:
            self._unheard_at = time.monotonic()
        self._unheard = unheard

    async def _finish_reading(self) -> None:
        """Record that a reading succeeded; if nothing is READY, log whether row level security may be the reason."""
        is_empty = not len(self._current.catalog or ())
        hiding = await self._source.hiding() if is_empty else ()
        self._availability.succeeded("catalog")
        self._attempted.set()
        if hiding and hiding != self._hiding:
            emit(CatalogHidden(tables=", ".join(hiding), message=ROWS_SHOWN))
        self._hiding = hiding


class _Subscription:
    """One subscription: its two loops apply what is heard, and put in force what is loaded."""

    def __init__(
        self,
        source: CatalogSource,
        listener: CatalogListener,
        current: CurrentSnapshots,
        finish_reading: Callable[[], Awaitable[None]],
    ) -> None:
        """Connect the parts.

        Args:
            source: Reads the whole catalog.
            listener: Hears of changes, and reads single rows.
            current: Holds the current catalog.
            finish_reading: Is called after each reading that succeeded.
        """
        self._source = source
        self._listener = listener
        self._current = current
        self._finish_reading = finish_reading
        self._turn = anyio.Lock()
        self._reload = anyio.Event()
        self._doubt = anyio.Event()
        # In force, and compared or loaded by this subscription; an earlier catalog may have ids of another type.
        self._known: Catalog | None = None
        self._heard_during_load: list[NDArray[np.generic]] | None = None
        self._is_over = False

    def is_over(self) -> bool:
        """Return whether nothing more can be heard, so that a new subscription is needed."""
        return self._is_over

    async def follow(self, refresh_s: float) -> None:
        """Compare now, every `refresh_s` and on demand; apply what is heard until nothing more can be heard.

        Raises:
            ExceptionGroup: Contains a PostgresError: a connection is gone, or a statement was refused.
        """
        async with anyio.create_task_group() as loops:
            news = partial(self._apply_news, loops.cancel_scope)
            loops.start_soon(partial(unending, news, may_end=self.is_over))
            cause: Cause = "refresh"
            while True:
                began = anyio.current_time()
                if cause == "reload" or not await self._is_in_force():
                    await self._load(cause)
                await self._finish_reading()
                cause = await self._wait(refresh_s, anyio.current_time() - began)

    async def _wait(self, refresh_s: float, took_s: float) -> Cause:
        """Wait until it is time to read again, or until the news ask for it."""
        longest_s = max(refresh_s, _READING_SHARE * took_s) if self._listener.hears_all else refresh_s
        with anyio.move_on_after(longest_s):
            with anyio.move_on_after(min(_DOUBT_SHARE * took_s, longest_s)):
                await self._reload.wait()
            await self._doubt.wait()
        return "reload" if self._reload.is_set() else "refresh"

    async def _apply_news(self, subscription: anyio.CancelScope) -> None:
        async with aclosing(self._listener.news()) as all_news:
            async for news in all_news:
                if news.reload:
                    self._reload.set()
                if news.reload or news.is_doubtful:
                    self._doubt.set()
                async with self._turn:
                    await self._apply(news.ids)
        self._is_over = True
        subscription.cancel()

    async def _is_in_force(self) -> bool:
        """Return whether the catalog in force equals that of PostgreSQL, without reading it."""
        self._doubt = anyio.Event()
        catalog = self._current.catalog
        if catalog is None:
            return False
        async with self._turn:
            self._heard_during_load = []
        is_held = await self._source.holds(catalog)
        async with self._turn:
            heard, self._heard_during_load = self._heard_during_load, None
            if is_held and self._known is None:
                self._known = catalog
                for ids in heard or ():
                    await self._apply(ids)
        return is_held

    async def _apply(self, ids: NDArray[np.generic]) -> None:
        began = time.perf_counter()
        if self._heard_during_load is not None:
            self._heard_during_load.append(ids)
        if self._known is not None:
            catalog, change = await self._read_again(self._known, ids)
            if self._swap(catalog):
                log_change(catalog, change, "notify", ms_since(began))

    async def _load(self, cause: Cause) -> None:
        began = time.perf_counter()
        self._reload, self._doubt = anyio.Event(), anyio.Event()
        async with self._turn:  # rows that an application in progress reads later would not be collected
            self._heard_during_load = []
        loaded = await self._source.load()
        async with self._turn:
            before, catalog = self._current.catalog, loaded.catalog
            heard, self._heard_during_load = self._heard_during_load, None
            if heard:
                catalog, _ = await self._read_again(catalog, await run_sync(ascending, np.concatenate(heard)))
            is_other, took_ms = self._swap(catalog), ms_since(began)
        self._log_hidden_split(is_hidden=loaded.is_split_hidden)
        if before is None:
            log_first(catalog, loaded, took_ms)
        elif is_other:
            log_change(catalog, await run_sync(compare, before, catalog), cause, took_ms)

    def _log_hidden_split(self, *, is_hidden: bool) -> None:
        """Log that splits cannot be read, once for as long as that lasts."""
        if is_hidden and not self._current.is_split_hidden:
            emit(CatalogSplitHidden(message=SPLIT_SHOWN))
        self._current.is_split_hidden = is_hidden

    async def _read_again(self, catalog: Catalog, ids: NDArray[np.generic]) -> tuple[Catalog, Difference]:
        if not len(ids):
            return catalog, Difference(0, 0)
        return await run_sync(apply_changes, catalog, ids, *await self._listener.read(ids))

    def _swap(self, catalog: Catalog) -> bool:
        """Put another catalog in force; keep an equal one, with all that was derived from it."""
        before = self._current.catalog
        is_other = before is None or not before.equals(catalog)
        if is_other:
            defaults = self._current.weights.defaults
            self._current.catalog = catalog
            log_defaults(self._current.weights, defaults)
            self._current.catalog_at_ms = time.time_ns() // 1_000_000
            self._current.weights.tell()
        self._known = self._current.catalog
        return is_other
