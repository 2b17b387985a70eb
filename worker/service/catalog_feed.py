"""Keep the catalog in memory fresh: apply changed rows as they commit, and compare all of it every so often.

Rules

1. Subscribe, then compare, then apply what is heard. So nothing is missed between the comparison and the subscription.
2. A comparison asks PostgreSQL for a checksum. The library is read only where the catalog's checksum differs.
3. What is heard during a comparison or a load is applied to its outcome as well: an older state never comes back.
4. A subscription that ends, by an error or because the table is another one, is followed by a new one. See rule 1.
5. Notifications make it quick, comparisons make it right: `refresh_s` bounds how long a missed change stays unseen.
   Where every change is announced, comparisons take at most a fiftieth of the time, and come less often if need be.

The catalog is replaced by one assignment. A catalog with the same content is not: what was derived from it would go.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from typing import Literal

import anyio
import numpy as np
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.core.catalog import Catalog, Difference, apply_changes, ascending, compare
from worker.core.events import (
    CatalogChanged,
    CatalogHidden,
    CatalogLoaded,
    CatalogUnwatched,
    CatalogWatched,
    WeightsChanged,
)
from worker.core.weights.values import Weights
from worker.errors import PostgresError
from worker.logs.emit import emit
from worker.ports import ROWS_SHOWN, CatalogListener, CatalogSource, LoadedCatalog, Unheard
from worker.service.availability import Availability
from worker.service.snapshots import CurrentSnapshots, WeightsBook
from worker.service.supervisor import name_causes, unending

Cause = Literal["notify", "reload", "refresh"]

_READING_SHARE = 50  # readings take at most one part in so many of the time
_DOUBT_SHARE = 10  # the same, where rows change that nobody announces


class CatalogFeed:
    """The loop that replaces the current catalog whenever other chunks are READY."""

    def __init__(
        self, source: CatalogSource, current: CurrentSnapshots, availability: Availability, *, refresh_s: float
    ) -> None:
        """Connect the parts.

        Args:
            source: Where to read.
            current: Where to put the catalog.
            availability: Whether PostgreSQL answers.
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

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the catalog fresh until cancelled; started when it was read once, or could not be."""
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, self._keep_fresh)
            await self._attempted.wait()
            task_status.started()

    async def _keep_fresh(self) -> None:
        """Subscribe, and again whenever a subscription ends: by an error, or because the table is another one."""
        while True:
            message = ""
            try:
                async with self._source.listening() as listener:
                    self._log_unannounced(listener.unheard)
                    subscription = _Subscription(self._source, listener, self._current, self._end_reading)
                    await unending(partial(subscription.follow, self._refresh_s), may_end=subscription.is_over)
            except* PostgresError as errors:
                _, message = name_causes(errors.exceptions[0])
            self._attempted.set()
            if message:
                await self._availability.failed("catalog", message)

    def _log_unannounced(self, unheard: tuple[Unheard, ...]) -> None:
        """Log which changes nobody announces, once."""
        for one in unheard:
            if one not in self._unheard:
                emit(CatalogUnwatched(**asdict(one), refresh_s=self._refresh_s))
        if self._unheard and not unheard:
            emit(CatalogWatched(unwatched_s=round(time.monotonic() - self._unheard_at, 3)))
        if unheard and not self._unheard:
            self._unheard_at = time.monotonic()
        self._unheard = unheard

    async def _end_reading(self) -> None:
        """Note that a reading succeeded; where nothing is READY, log whether rights may be missing."""
        is_empty = not len(self._current.catalog or ())
        hiding = await self._source.hiding() if is_empty else ()
        self._availability.succeeded("catalog")
        self._attempted.set()
        if hiding and hiding != self._hiding:
            emit(CatalogHidden(tables=", ".join(hiding), message=ROWS_SHOWN))
        self._hiding = hiding


class _Subscription:
    """One subscription: two loops replace the catalog in turn, one by what is heard, one by what is loaded."""

    def __init__(
        self,
        source: CatalogSource,
        listener: CatalogListener,
        current: CurrentSnapshots,
        end_reading: Callable[[], Awaitable[None]],
    ) -> None:
        """Connect the parts.

        Args:
            source: Where to read.
            listener: Where changes are heard.
            current: Where to put the catalog.
            end_reading: Is called after each reading that succeeded.
        """
        self._source = source
        self._listener = listener
        self._current = current
        self._end_reading = end_reading
        self._turn = anyio.Lock()
        self._reload = anyio.Event()
        self._doubt = anyio.Event()
        self._known: Catalog | None = None  # what is in force, once this subscription loaded: ids may be others now
        self._heard_during_load: list[NDArray[np.generic]] | None = None
        self._is_over = False

    def is_over(self) -> bool:
        """Return whether nothing more can be heard, so that another subscription is needed."""
        return self._is_over

    async def follow(self, refresh_s: float) -> None:
        """Compare now, and again every `refresh_s` or when asked for; apply what is heard until nothing more can be.

        Raises:
            ExceptionGroup: Of PostgresError: a connection is gone, or a statement was refused.
        """
        async with anyio.create_task_group() as loops:
            news = partial(self._apply_news, loops.cancel_scope)
            loops.start_soon(partial(unending, news, may_end=self.is_over))
            cause: Cause = "refresh"
            while True:
                began = anyio.current_time()
                if cause == "reload" or not await self._is_in_force():
                    await self._load(cause)
                await self._end_reading()
                cause = await self._wait(refresh_s, anyio.current_time() - began)

    async def _wait(self, refresh_s: float, took_s: float) -> Cause:
        """Wait until it is time to compare, or somebody asks for it."""
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
        """Return whether the current catalog is what PostgreSQL has, without reading it."""
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
                _log_change(catalog, change, "notify", _ms_since(began))

    async def _load(self, cause: Cause) -> None:
        began = time.perf_counter()
        self._reload, self._doubt = anyio.Event(), anyio.Event()
        async with self._turn:  # in the middle of an application, rows that it reads later would be noted nowhere
            self._heard_during_load = []
        loaded = await self._source.load()
        async with self._turn:
            before, catalog = self._current.catalog, loaded.catalog
            heard, self._heard_during_load = self._heard_during_load, None
            if heard:
                catalog, _ = await self._read_again(catalog, await run_sync(ascending, np.concatenate(heard)))
            is_other, took_ms = self._swap(catalog), _ms_since(began)
        if before is None:
            _log_first(catalog, loaded, took_ms)
        elif is_other:
            _log_change(catalog, await run_sync(compare, before, catalog), cause, took_ms)

    async def _read_again(self, catalog: Catalog, ids: NDArray[np.generic]) -> tuple[Catalog, Difference]:
        if not len(ids):
            return catalog, Difference(0, 0)
        return await run_sync(apply_changes, catalog, ids, *await self._listener.read(ids))

    def _swap(self, catalog: Catalog) -> bool:
        """Put another catalog in force, and return whether it is another one."""
        before = self._current.catalog
        is_other = before is None or (before.version, before.ids.dtype) != (catalog.version, catalog.ids.dtype)
        if is_other:
            defaults = self._current.weights.defaults
            self._current.catalog = catalog
            _log_defaults(self._current.weights, defaults)
            self._current.catalog_at_ms = time.time_ns() // 1_000_000
        self._known = self._current.catalog
        return is_other


def _log_defaults(book: WeightsBook, before: Weights) -> None:
    """Log that other categories have other defaults, where nobody has set weights."""
    if book.defaults is not before and book.shared.weights is None:
        book.changed_at_ms = time.time_ns() // 1_000_000
        after = book.defaults
        emit(
            WeightsChanged(
                dataset=None, version=after.version, source=after.source, before=before.text, after=after.text
            )
        )


def _log_first(catalog: Catalog, loaded: LoadedCatalog, load_ms: float) -> None:
    emit(
        CatalogLoaded(
            catalog_version=catalog.version,
            chunks=len(catalog),
            categories=len(catalog.categories),
            ignored=loaded.ignored,
            ignored_examples=", ".join(loaded.ignored_examples),
            load_ms=load_ms,
        )
    )


def _log_change(catalog: Catalog, change: Difference, cause: Cause, apply_ms: float) -> None:
    emit(
        CatalogChanged(
            catalog_version=catalog.version,
            added=change.added,
            removed=change.removed,
            chunks=len(catalog),
            cause=cause,
            apply_ms=apply_ms,
        )
    )


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
