"""Keep the weights in memory fresh: at once when notified, at each (re)subscription, and now and then.

Theory. A key's value reaches the book on four paths, because no one of them does everything:

1. A notification has its key read, and the callback that receives the value puts it in force. This is the fast path:
   it waits for no task, which matters under load. It may miss changes: a message may get lost, or never be sent.
2. The feed reads keys itself: all of them at each subscription and every `refresh_s`. It also reads a key whose value
   path 1 could not put in force. This finds whatever path 1 has missed.
3. A request names a dataset that the book does not know. Its key is read before the request is drawn.
4. Settling finds that a key has changed under a batch. It brings no value, only word that path 2 has to read the key.
   This keeps the promise: a batch that was drawn under older weights is never settled, whatever else went wrong.

The order of values. All values come as replies over one connection, which Redis answers in the order of the commands.
The store numbers readings as it sends them. So of two readings of a key, the one with the higher number is the later
one. The book accepts a reading unless it has a later one of that key. No clock is compared, so none can be wrong. It
does not matter how long a value takes to be parsed, or which task runs first.

Why it is right.
- An older value never replaces a newer one that the server had when both were read: its number is lower.
- No value stays for ever: the next reading has a higher number than all before, also after a reconnect or a failover.
- After settling said "changed", the key is read again. That command is sent after the settling's reply, so it finds
  what settling found, or something newer. If it finds what the batch was drawn under, three times in a row, the
  connection is opened anew. The old one leads to another server than settling does (a master that was replaced), or its
  replies went astray. Once or twice is no proof: a writer may have changed the key there and back. Three come before
  the eight redraws after which a batch is settled without a look at the keys.

Long values are parsed in a thread, because parsing them would hold up every request. Path 1 leaves them to path 2.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial

import anyio
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync

from worker.core.events import WeightsChanged, WeightsRejected, WeightsVanished
from worker.core.keys import CHECK
from worker.core.weights.authors import AppliedChange
from worker.core.weights.in_force import ABSENT, Held, observe, source_of
from worker.errors import RedisError
from worker.logs.emit import emit
from worker.ports import Reading, WeightsStore
from worker.service.availability import Availability
from worker.service.snapshots import WeightsBook
from worker.service.supervisor import unending
from worker.service.weights_log import WeightsLog
from worker.ticks import sleep_to_tick

_LONG = 4096  # bytes: parsing a longer value would hold up others
_DISAGREEMENTS = 3  # in a row between settling and reading, after which the connection is opened anew


class WeightsFeed:
    """Replaces the weights in a book whenever their keys change."""

    def __init__(self, store: WeightsStore, book: WeightsBook, availability: Availability, *, refresh_s: float) -> None:
        """Start nothing yet.

        Args:
            store: Where keys are read.
            book: What is known of them.
            availability: Learns whether Redis is away.
            refresh_s: Seconds after which all keys are read without a notification.
        """
        self._store = store
        self._book = book
        self._availability = availability
        self._refresh_s = refresh_s
        self._log = WeightsLog(store)
        self._orders: dict[str | None, int] = {}  # dataset -> number of its latest reading
        self._disagreements: dict[str | None, tuple[bytes, int]] = {}  # dataset -> what settling found, and how often

    def __repr__(self) -> str:
        """Show how many keys are kept fresh, and the number of the latest reading."""
        return (
            f"<WeightsFeed of {len(self._book.known())} keys, latest reading {max(self._orders.values(), default=0)}>"
        )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the weights fresh until cancelled; started after the first attempt to read them."""
        attempted = anyio.Event()
        async with anyio.create_task_group() as loops:
            loops.start_soon(unending, self._log.run)
            loops.start_soon(unending, partial(self._refresh_for_ever, attempted))
            await attempted.wait()
            loops.start_soon(unending, self._listen_for_ever)
            task_status.started()

    async def read(self, datasets: Sequence[str | None]) -> None:
        """Read some datasets' keys now; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        for dataset, reading in zip(datasets, await self._store.read(datasets), strict=True):
            if not self.accept(dataset, reading):
                await self._accept_long(dataset, reading)

    async def catch_up(self, found: Mapping[str | None, bytes], *, drawn: Mapping[str | None, bytes]) -> None:
        """Read the keys again that settling found to hold something else; None is the global one.

        Args:
            found: Dataset -> mark of what settling found there.
            drawn: Dataset -> mark of what the batch was drawn under.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        unknown = [name for name, mark in found.items() if self._book.held(name).mark != mark]
        if not unknown:
            return  # a notification was faster
        await self.read(unknown)
        if any(self._disagrees(name, found[name], drawn[name]) for name in unknown):
            self._disagreements.clear()
            self._store.close()  # it does not lead to where settling does
            await self.read(unknown)

    def _disagrees(self, dataset: str | None, found: bytes, drawn: bytes) -> bool:
        """Return whether reading went on finding what a batch was drawn under, and settling one other value."""
        mark, times = self._disagreements.pop(dataset, (found, 0))
        if self._book.held(dataset).mark != drawn:
            return False
        self._disagreements[dataset] = (found, times + 1 if mark == found else 1)
        return self._disagreements[dataset][1] >= _DISAGREEMENTS

    def follows(self, dataset: str | None) -> bool:
        """Whether a key is kept fresh."""
        return self._book.knows(dataset)

    def accept(self, dataset: str | None, reading: Reading) -> bool:
        """Put a reading in force at once; return False if its value is so long that this would hold up others."""
        before = self._book.held(dataset)
        if _is_long(reading) and reading.mark != before.mark:
            return False
        self._put(dataset, reading, *_observe(before, dataset, reading))
        return True

    def close(self) -> None:
        """Close what reading opened."""
        self._store.close()

    async def _refresh_for_ever(self, attempted: anyio.Event) -> None:
        while True:
            problem = await self._refresh()
            attempted.set()
            if problem is None:
                await sleep_to_tick(self._refresh_s)
            else:
                await self._availability.failed("weights refresh", problem)

    async def _refresh(self) -> str | None:
        """Read every key that is kept fresh; return why not, if Redis is away."""
        try:
            self._book.forget_idle()
            self._orders = {dataset: order for dataset, order in self._orders.items() if self._book.knows(dataset)}
            self._disagreements.clear()
            await asyncio.sleep(0)  # then it is sent with what other loops ask at this tick, and Redis wakes once
            await self.read(self._book.known())
        except RedisError as error:
            return str(error)
        self._availability.succeeded("weights refresh")
        return None

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with aclosing(self._store.notifications(self)) as notifications:  # type: ignore[type-var]
                    async for notification in notifications:
                        if notification.resync:
                            await self.read(self._book.known())
                        elif self._book.knows(notification.dataset):
                            await self.read([notification.dataset])
                        self._availability.succeeded("weights notifications")
            except RedisError as error:
                await self._availability.failed("weights notifications", str(error))

    async def _accept_long(self, dataset: str | None, reading: Reading) -> None:
        """Parse a long value in a thread and put it in force."""
        while True:
            before = self._book.held(dataset)
            held, problem = await run_sync(_observe_wholly, before, dataset, reading)
            if self._book.held(dataset) is before or self._is_old(dataset, reading):
                break  # else an earlier reading has come into force meanwhile: a refused value keeps its weights
        self._put(dataset, reading, held, problem)

    def _is_old(self, dataset: str | None, reading: Reading) -> bool:
        """Whether a later reading of the same key is known."""
        return reading.order < self._orders.get(dataset, 0)

    def _put(self, dataset: str | None, reading: Reading, held: Held, problem: str | None) -> None:
        """Put what a reading means into the book, unless a later one is known; log what it changes."""
        if self._is_old(dataset, reading):
            return
        self._orders[dataset] = reading.order
        before = self._book.held(dataset)
        if held.mark == before.mark:
            return
        text_before = self._text(dataset, before)
        self._book.put(dataset, held)
        vanished = self._vanished(dataset, before, held)
        if problem is not None:
            keeping = self._book.in_force(dataset).weights.version
            emit(WeightsRejected(dataset=dataset, reason=problem, keeping_version=keeping))
        text_after = self._text(dataset, held)
        changed = None
        if text_before != text_after:
            self._book.changed_at_ms = time.time_ns() // 1_000_000
            weights = self._book.in_force(dataset).weights
            changed = WeightsChanged(
                dataset=dataset,
                version=weights.version,
                source=weights.source,
                before=text_before,
                after=text_after or weights.text,
            )
        self._log.tell(AppliedChange(dataset, held.mark), changed, vanished)

    def _vanished(self, dataset: str | None, before: Held, held: Held) -> WeightsVanished | None:
        """Return a warning if a key is gone that put weights in force; None for those of `check`, which end with it."""
        if before.weights is None or held.mark != ABSENT or (dataset or "").startswith(CHECK):
            return None
        now = self._book.in_force(dataset).weights
        return WeightsVanished(
            dataset=dataset, version_before=before.weights.version, version=now.version, source=now.source
        )

    def _text(self, dataset: str | None, held: Held) -> str | None:
        """Return the weights of one key as text; None for a dataset without weights of its own."""
        if held.weights is not None:
            return held.weights.text
        return None if dataset is not None else self._book.defaults.text


def _is_long(reading: Reading) -> bool:
    return reading.value is not None and len(reading.value) > _LONG


def _observe(before: Held, dataset: str | None, reading: Reading) -> tuple[Held, str | None]:
    """Interpret a key's value by what is known of the key; return also why it is refused, if it is."""
    return observe(before, reading.mark, reading.value, source_of(dataset))


def _observe_wholly(before: Held, dataset: str | None, reading: Reading) -> tuple[Held, str | None]:
    """Interpret a value with all that is derived from it."""
    held, problem = _observe(before, dataset, reading)
    if held.weights is not None:
        _ = held.weights.version
    return held, problem
