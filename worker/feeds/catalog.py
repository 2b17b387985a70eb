"""Keep the catalog in memory fresh: changed rows as they commit, all of it on every subscription and every so often."""

import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Literal

import anyio
import numpy as np
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from worker.core.catalog import Catalog, Change, apply_changes, ascending, compare
from worker.core.events import CatalogChanged, CatalogLoaded
from worker.errors import PostgresError
from worker.links import Link
from worker.logs import emit
from worker.ports import CatalogListener, CatalogSource
from worker.state import State
from worker.supervisor import name_causes, unending

Cause = Literal["notify", "reload", "refresh"]


class CatalogFeed:
    """Replace the catalog in a state whenever other chunks are READY."""

    def __init__(self, source: CatalogSource, state: State, link: Link, *, refresh_s: float) -> None:
        """Take where to read, where to put it, and how often to read everything without being told, in seconds."""
        self._source = source
        self._state = state
        self._link = link
        self._refresh_s = refresh_s
        self._attempted = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the catalog fresh until cancelled; started when it was read once, or could not be."""
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, self._keep_fresh)
            await self._attempted.wait()
            task_status.started()

    async def _keep_fresh(self) -> None:
        """Subscribe, and again whenever a subscription ends, as it does only by an error."""
        while True:
            message = ""
            try:
                async with self._source.listening() as listener:
                    subscription = _Subscription(self._source, listener, self._state, self._tell_success)
                    await unending(partial(subscription.follow, self._refresh_s))
            except* PostgresError as errors:
                _, message = name_causes(errors.exceptions[0])
            self._attempted.set()
            await self._link.failed("catalog", message)

    def _tell_success(self) -> None:
        self._link.succeeded("catalog")
        self._attempted.set()


class _Subscription:
    """Keep the catalog fresh for as long as one subscription lasts.

    Two loops replace the catalog, in turns: one applies what is heard, one puts in force what is loaded. What is
    heard during a load is read again and applied to what was loaded, so that no load brings back an older state.
    """

    def __init__(
        self, source: CatalogSource, listener: CatalogListener, state: State, tell_success: Callable[[], None]
    ) -> None:
        """Take where to read and hear, where to put it, and whom to tell of each load that succeeded."""
        self._source = source
        self._listener = listener
        self._state = state
        self._tell_success = tell_success
        self._turn = anyio.Lock()
        self._reload = anyio.Event()
        self._known: Catalog | None = None  # what is in force, once this subscription loaded: ids may be others now
        self._heard_during_load: list[NDArray[np.generic]] | None = None

    async def follow(self, refresh_s: float) -> None:
        """Load now, and again every `refresh_s` or when asked for; apply what is heard.

        Raises:
            ExceptionGroup: Of PostgresError: a connection is gone, or a statement was refused.
        """
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, self._apply_news)
            cause: Cause = "refresh"
            while True:
                await self._load(cause)
                self._tell_success()
                with anyio.move_on_after(refresh_s):
                    await self._reload.wait()
                cause = "reload" if self._reload.is_set() else "refresh"

    async def _apply_news(self) -> None:
        async with aclosing(self._listener.news()) as all_news:
            async for news in all_news:
                if news.reload:
                    self._reload.set()
                async with self._turn:
                    await self._apply(news.ids)

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
        self._reload = anyio.Event()
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
            _tell_first(catalog, loaded.ignored, took_ms)
        elif is_other:
            _tell_change(catalog, await run_sync(compare, before, catalog), cause, took_ms)

    async def _read_again(self, catalog: Catalog, ids: NDArray[np.generic]) -> tuple[Catalog, Change]:
        if not len(ids):
            return catalog, Change(0, 0)
        return await run_sync(apply_changes, catalog, ids, *await self._listener.read(ids))

    def _swap(self, catalog: Catalog) -> bool:
        """Put another catalog in force; an equal one would only lose what was derived from this one."""
        before = self._state.catalog
        is_other = before is None or (before.version, before.ids.dtype) != (catalog.version, catalog.ids.dtype)
        if is_other:
            self._state.catalog = catalog
            self._state.catalog_at_ms = time.time_ns() // 1_000_000
        self._known = self._state.catalog
        return is_other


def _tell_first(catalog: Catalog, ignored: int, load_ms: float) -> None:
    emit(
        CatalogLoaded(
            catalog_version=catalog.version,
            chunks=len(catalog),
            categories=len(catalog.categories),
            ignored=ignored,
            load_ms=load_ms,
        )
    )


def _tell_change(catalog: Catalog, change: Change, cause: Cause, apply_ms: float) -> None:
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
