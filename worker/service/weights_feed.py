"""Keep the weights in memory fresh: at once on a bell, on every (re)subscription, and every so often."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial

import anyio
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync

from worker.core.events import WeightsChanged, WeightsRejected, WeightsVanished
from worker.core.weights.in_force import ABSENT, Held, observe, source_of
from worker.errors import RedisError
from worker.logs.emit import emit
from worker.ports import Reading, WeightsStore
from worker.service.availability import Availability
from worker.service.snapshots import WeightsBook
from worker.service.supervisor import unending

_MORE_READINGS = 2
_LONG = 4096  # bytes: from here on reading a value would hold up others


def _is_long(reading: Reading) -> bool:
    return reading.value is not None and len(reading.value) > _LONG


def _observe_wholly(before: Held, reading: Reading, source: str) -> tuple[Held, str | None]:
    """Take in a value with all that is derived from it."""
    held, problem = observe(before, reading.mark, reading.value, source)
    if held.weights is not None:
        _ = held.weights.version
    return held, problem


class WeightsFeed:
    """Replace the weights in a book whenever their keys change."""

    def __init__(self, store: WeightsStore, book: WeightsBook, link: Availability, *, refresh_s: float) -> None:
        """Take where to read, where to put it, and how often to read without being told, in seconds."""
        self._store = store
        self._book = book
        self._link = link
        self._refresh_s = refresh_s
        self._reading = anyio.Lock(fast_acquire=True)
        self._taken = 0
        self._latest: dict[str | None, int] = {}  # dataset -> how much had been taken in with what stands there

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the weights fresh until cancelled; started when they were read once, or could not be."""
        attempted = anyio.Event()
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, partial(self._refresh_for_ever, attempted))
            await attempted.wait()
            loops.start_soon(unending, self._listen_for_ever)
            task_status.started()

    async def read(self, datasets: Sequence[str | None]) -> None:
        """Read some datasets' keys now; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        # One reading at a time, so that an older reading never replaces a newer one.
        async with self._reading:
            # A writer that never rests must not keep this from ending: settling corrects what is older at the last.
            taken_before, observed = await self._read(datasets)
            for _ in range(_MORE_READINGS):
                if self._taken == taken_before:
                    break
                taken_before, observed = await self._read(datasets)
            for dataset, (held, problem) in zip(datasets, observed, strict=True):
                if taken_before >= self._latest.get(dataset, 0):
                    self._put(dataset, held, problem)

    @property
    def taken(self) -> int:
        """Count what was taken in so far, to tell later what is new."""
        return self._taken

    async def apply(self, readings: Mapping[str | None, Reading], *, since: int) -> None:
        """Put in force what some datasets' keys were just found to hold; None is the global one.

        This waits for no reading under way; that one, which may be older, is read again. So is what was found here,
        where something else came by another way meanwhile: nobody can tell which of the two is older.

        Args:
            readings: What the keys were found to hold.
            since: How much had been taken in when they were asked for.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        doubtful = [
            dataset for dataset, reading in readings.items() if not await self._take_in(dataset, reading, since)
        ]
        if doubtful:
            await self.read(doubtful)

    def close(self) -> None:
        """Close what reading opened."""
        self._store.close()

    async def _refresh_for_ever(self, attempted: anyio.Event) -> None:
        while True:
            problem = await self._refresh()
            attempted.set()
            if problem is None:
                await anyio.sleep(self._refresh_s)
            else:
                await self._link.failed("weights refresh", problem)

    async def _refresh(self) -> str | None:
        """Read every key that is kept fresh; tell why not, where Redis is away."""
        try:
            self._book.forget_idle()
            self._latest = {dataset: turn for dataset, turn in self._latest.items() if self._book.knows(dataset)}
            await self.read(self._book.known())
        except RedisError as error:
            return str(error)
        self._link.succeeded("weights refresh")
        return None

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with aclosing(self._store.bells(self._follow)) as bells:  # type: ignore[type-var]
                    async for bell in bells:
                        if bell.resync:
                            await self.read(self._book.known())
                        elif self._book.knows(bell.dataset):
                            await self.read([bell.dataset])
                        self._link.succeeded("weights bell")
            except RedisError as error:
                await self._link.failed("weights bell", str(error))

    async def _read(self, datasets: Sequence[str | None]) -> tuple[int, list[tuple[Held, str | None]]]:
        """Read keys and make of their values what they mean; tell also how much had been taken in before."""
        taken_before, readings = self._taken, await self._store.read(datasets)
        return taken_before, [await self._observe(*found) for found in zip(datasets, readings, strict=True)]

    def _follow(self, dataset: str | None) -> Callable[[Reading], bool] | None:
        """Tell who takes in what is read because of a bell; nobody where nobody asks for that dataset."""
        return partial(self._take_at_once, dataset, self._taken) if self._book.knows(dataset) else None

    def _take_at_once(self, dataset: str | None, taken_before: int, reading: Reading) -> bool:
        """Put in force what a key was found to hold, unless something newer may be known or it takes long."""
        if self._taken != taken_before or _is_long(reading):
            return False
        self._put(dataset, *observe(self._book.held(dataset), reading.mark, reading.value, source_of(dataset)))
        return True

    async def _take_in(self, dataset: str | None, reading: Reading, since: int) -> bool:
        """Put in force what a key was found to hold; tell whether that is certain to be the newest that is known."""
        if reading.mark == self._book.held(dataset).mark:
            return True
        held, problem = await self._observe(dataset, reading)
        if self._latest.get(dataset, 0) > since:
            return False
        self._put(dataset, held, problem)
        return True

    async def _observe(self, dataset: str | None, reading: Reading) -> tuple[Held, str | None]:
        """Make of a key's value what it means for what is known of that key; tell why it is refused, where it is."""
        before, source = self._book.held(dataset), source_of(dataset)
        if _is_long(reading):
            return await run_sync(_observe_wholly, before, reading, source)
        return observe(before, reading.mark, reading.value, source)

    def _put(self, dataset: str | None, held: Held, problem: str | None) -> None:
        """Put what was read into the book, and tell what it changes."""
        before = self._book.held(dataset)
        if held.mark == before.mark:
            return  # a bell and settling found the same at once, and one of them has told it
        self._taken += 1
        self._latest[dataset] = self._taken
        text_before = self._text(dataset, before)
        self._book.put(dataset, held)
        self._tell_vanished(dataset, before, held)
        if problem is not None:
            keeping = self._book.in_force(dataset).weights.version
            emit(WeightsRejected(dataset=dataset, reason=problem, keeping_version=keeping))
        text_after = self._text(dataset, held)
        if text_before != text_after:
            self._book.changed_at_ms = time.time_ns() // 1_000_000
            weights = self._book.in_force(dataset).weights
            emit(
                WeightsChanged(
                    dataset=dataset,
                    version=weights.version,
                    source=weights.source,
                    before=text_before,
                    after=text_after or weights.text,
                )
            )

    def _tell_vanished(self, dataset: str | None, before: Held, held: Held) -> None:
        """Tell that a key is gone which put weights in force: nobody may have meant that."""
        if before.weights is not None and held.mark == ABSENT:
            now = self._book.in_force(dataset).weights
            emit(
                WeightsVanished(
                    dataset=dataset, version_before=before.weights.version, version=now.version, source=now.source
                )
            )

    def _text(self, dataset: str | None, held: Held) -> str | None:
        """Write the weights of one key; where it has none, a dataset has none of its own."""
        if held.weights is not None:
            return held.weights.text
        return None if dataset is not None else self._book.defaults.text
