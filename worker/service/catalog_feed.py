"""Keep the catalog in memory fresh: changed rows as they commit, all of it compared every so often.

Every subscription begins with a comparison, and every so often there is another: PostgreSQL computes a checksum of what
it has, and everything is read again only where the catalog's is another. Where every change is announced, readings
take at most one part in fifty of the time, and are further apart than was asked for if need be.
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
from worker.service.availability import Link
from worker.service.snapshots import State, WeightsBook
from worker.service.supervisor import name_causes, unending

Cause = Literal["notify", "reload", "refresh"]

_READING_SHARE = 50  # readings take at most one part in so many of the time
_DOUBT_SHARE = 10  # the same, where rows change that nobody announces


class CatalogFeed:
    """Replace the catalog in a state whenever other chunks are READY."""

    def __init__(self, source: CatalogSource, state: State, link: Link, *, refresh_s: float) -> None:
        """Take where to read, where to put it, and how often to read everything without being told, in seconds."""
        self._source = source
        self._state = state
        self._link = link
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
                    self._tell_unheard(listener.unheard)
                    subscription = _Subscription(self._source, listener, self._state, self._end_reading)
                    await unending(partial(subscription.follow, self._refresh_s), may_end=subscription.is_over)
            except* PostgresError as errors:
                _, message = name_causes(errors.exceptions[0])
            self._attempted.set()
            if message:
                await self._link.failed("catalog", message)

    def _tell_unheard(self, unheard: tuple[Unheard, ...]) -> None:
        """Say which changes nobody announces, where that is news."""
        for one in unheard:
            if one not in self._unheard:
                emit(CatalogUnwatched(**asdict(one), refresh_s=self._refresh_s))
        if self._unheard and not unheard:
            emit(CatalogWatched(unwatched_s=round(time.monotonic() - self._unheard_at, 3)))
        if unheard and not self._unheard:
            self._unheard_at = time.monotonic()
        self._unheard = unheard

    async def _end_reading(self) -> None:
        """Say that a reading succeeded, and where nothing is READY, whether that may be for want of rights."""
        is_empty = not len(self._state.catalog or ())
        hiding = await self._source.hiding() if is_empty else ()
        self._link.succeeded("catalog")
        self._attempted.set()
        if hiding and hiding != self._hiding:
            emit(CatalogHidden(tables=", ".join(hiding), message=ROWS_SHOWN))
        self._hiding = hiding


class _Subscription:
    """Keep the catalog fresh for as long as one subscription lasts.

    Two loops replace the catalog, in turns: one applies what is heard, one puts in force what is loaded. What is
    heard during a load is read again and applied to what was loaded, so that no load brings back an older state.
    """

    def __init__(
        self, source: CatalogSource, listener: CatalogListener, state: State, end_reading: Callable[[], Awaitable[None]]
    ) -> None:
        """Take where to read and hear, where to put it, and what follows each reading that succeeded."""
        self._source = source
        self._listener = listener
        self._state = state
        self._end_reading = end_reading
        self._turn = anyio.Lock()
        self._reload = anyio.Event()
        self._doubt = anyio.Event()
        self._known: Catalog | None = None  # what is in force, once this subscription loaded: ids may be others now
        self._heard_during_load: list[NDArray[np.generic]] | None = None
        self._is_over = False

    def is_over(self) -> bool:
        """Tell whether nothing more can be heard, so that there has to be another subscription."""
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
        """Wait until it is time to read again, or somebody asks for it."""
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
        """Tell whether the catalog in force is what PostgreSQL has, without reading it."""
        self._doubt = anyio.Event()
        catalog = self._state.catalog
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
                _tell_change(catalog, change, "notify", _ms_since(began))

    async def _load(self, cause: Cause) -> None:
        began = time.perf_counter()
        self._reload, self._doubt = anyio.Event(), anyio.Event()
        async with self._turn:  # in the middle of an application, rows that it reads later would be noted nowhere
            self._heard_during_load = []
        loaded = await self._source.load()
        async with self._turn:
            before, catalog = self._state.catalog, loaded.catalog
            heard, self._heard_during_load = self._heard_during_load, None
            if heard:
                catalog, _ = await self._read_again(catalog, await run_sync(ascending, np.concatenate(heard)))
            is_other, took_ms = self._swap(catalog), _ms_since(began)
        if before is None:
            _tell_first(catalog, loaded, took_ms)
        elif is_other:
            _tell_change(catalog, await run_sync(compare, before, catalog), cause, took_ms)

    async def _read_again(self, catalog: Catalog, ids: NDArray[np.generic]) -> tuple[Catalog, Difference]:
        if not len(ids):
            return catalog, Difference(0, 0)
        return await run_sync(apply_changes, catalog, ids, *await self._listener.read(ids))

    def _swap(self, catalog: Catalog) -> bool:
        """Put another catalog in force; an equal one would only lose what was derived from this one."""
        before = self._state.catalog
        is_other = before is None or (before.version, before.ids.dtype) != (catalog.version, catalog.ids.dtype)
        if is_other:
            defaults = self._state.weights.defaults
            self._state.catalog = catalog
            _tell_defaults(self._state.weights, defaults)
            self._state.catalog_at_ms = time.time_ns() // 1_000_000
        self._known = self._state.catalog
        return is_other


def _tell_defaults(book: WeightsBook, before: Weights) -> None:
    """Tell that the defaults are others for other categories, where nobody has set weights."""
    if book.defaults is not before and book.shared.weights is None:
        book.changed_at_ms = time.time_ns() // 1_000_000
        after = book.defaults
        emit(
            WeightsChanged(
                dataset=None, version=after.version, source=after.source, before=before.text, after=after.text
            )
        )


def _tell_first(catalog: Catalog, loaded: LoadedCatalog, load_ms: float) -> None:
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


def _tell_change(catalog: Catalog, change: Difference, cause: Cause, apply_ms: float) -> None:
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
