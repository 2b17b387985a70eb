"""Read what rules that learn go by: the reports of losses since their last steps.

Theory. Many rules go through the same reports, each from a cursor of its own. Reports are only ever added, with ids
that go up. So what was read after a cursor is all that is there up to the last of it, for good. Such a *page* is kept,
and serves every cursor within it. What is kept is bounded; the oldest pages go first.

Gathering many losses takes long, and then a thread does it, so that the worker goes on serving.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import anyio.lowlevel
from anyio.to_thread import run_sync

from worker.core.adjust.inputs import Evidence
from worker.core.adjust.reports import MOST_CELLS, NOTHING, LossReports, gather
from worker.core.adjust.state import State
from worker.core.adjust.step import Found
from worker.core.weights.history import sort_key
from worker.core.wire.feedback import RefusedReport, Report
from worker.ports.adjust import AdjustStore
from worker.service.feedback_log import FeedbackLog

HEAVY: Final = 2048
"""Losses that take some milliseconds to gather."""

_MOST_KEPT: Final = 1 << 17  # losses, some 200 bytes each
_T = TypeVar("_T")


class _Page(NamedTuple):
    """All reports after one entry, up to another one."""

    start: tuple[int, int]
    end: tuple[int, int]
    last: str
    reports: Sequence[Report]
    size: int

    def after(self, key: tuple[int, int]) -> "_Page":
        """Return what is after an entry within the page."""
        if key == self.start:
            return self
        reports = [report for report in self.reports if sort_key(report.entry_id) > key]
        return self._replace(start=key, reports=reports, size=_size(reports))


class ReportReader:
    """Reads reports once for all rules."""

    def __init__(self, store: AdjustStore, feedback: FeedbackLog) -> None:
        """Keep nothing yet.

        Args:
            store: Where reports are.
            feedback: Is told of reports that are refused.
        """
        self._store = store
        self._feedback = feedback
        self._pages: list[_Page] = []
        self._kept = 0

    async def read(self, state: State, found: Found) -> Evidence:
        """Read all reports of losses since the last step of a rule.

        Args:
            state: How far the rule is.
            found: What Redis holds about it.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        version = found.weights.in_force.weights.version
        since_ms = max(state.began_ms, state.stepped_ms, state.resumed_ms)
        gather_own = partial(gather, dataset=found.name, version=version, since_ms=since_ms)
        parts: list[LossReports] = []
        size, cursor = 0, state.cursor
        while size < MOST_CELLS and (page := await self._page(cursor)) is not None:
            parts.append(await call(gather_own, page.reports, is_heavy=page.size > HEAVY))
            size, cursor = size + parts[-1].size, page.last
        losses = await call(NOTHING.merged, *parts, is_heavy=size > HEAVY)
        return Evidence({}, losses, losses.used, cursor)

    async def _page(self, cursor: str) -> _Page | None:
        """Return the reports after a cursor, of those that are kept, or else of the next ones; None: there are none."""
        key = sort_key(cursor)
        place = bisect_right(self._pages, key, key=lambda page: page.start) - 1
        if place >= 0 and key < self._pages[place].end:
            await anyio.lowlevel.checkpoint()
            return self._pages[place].after(key)
        read, last = await self._store.reports(cursor)
        self._feedback.refused((one.entry_id, one.error) for one in read if isinstance(one, RefusedReport))
        if last == cursor:
            return None
        reports = [one for one in read if isinstance(one, Report)]
        page = _Page(key, sort_key(last), last, reports, _size(reports))
        self._keep(page)
        return page

    def _keep(self, page: _Page) -> None:
        insort(self._pages, page, key=lambda one: one.start)
        self._kept += page.size
        while self._kept > _MOST_KEPT:
            self._kept -= self._pages.pop(0).size


async def call(do: Callable[..., _T], *args: Any, is_heavy: bool) -> _T:
    """Call a pure function, in a thread if that takes long.

    Args:
        do: The function.
        *args: Its arguments.
        is_heavy: Whether it takes long.
    """
    return await run_sync(do, *args) if is_heavy else do(*args)


def _size(reports: Sequence[Report]) -> int:
    """Return what a page counts for: its losses, and one for each report and for the page."""
    return 1 + sum(1 + len(report.losses) for report in reports)
