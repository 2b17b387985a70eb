"""Serve requests in lanes: one lane reads and draws while the other waits for its settling.

Rules

1. Lanes take requests in turn, so that each hand is in the order of the stream.
2. Where a read was full to a quarter, the next one is sent before its entries are asked for (`read_ahead`). No read is
   under way while entries are reclaimed: reclaiming would take what it delivers for lost.
3. After an error of Redis a reply may have been lost. What it delivered is pending, so entries are reclaimed next.
4. Where the group is gone, or another server is the master, lanes let go of everything: what still exists is delivered
   again, and what was settled is refused when it is settled again.
5. Where a bug ends a lane, both lanes end and are restarted with empty hands. Their entries are pending still, or
   settled. Reclaiming delivers and counts them, so that a request which brings lanes down is tried alone.
6. `stop` ends the reading. What is in hand, and what was read ahead, is settled before `run` returns.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from worker.core.wire import Decoder, Entry
from worker.errors import GroupMissingError, RedisError
from worker.ports import RequestStream
from worker.service.availability import Availability
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.settler import Settler
from worker.service.supervisor import unending

LANES = 2
_BLOCK_MS = 500
_FULL = 0.25  # of a batch: from here on more is likely to wait


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How much is taken in hand.

    Attributes:
        batch: Most requests read at once.
        max_size: Largest `size` of a request.
    """

    batch: int
    max_size: int


class Consumer:
    """The loop that serves the requests of one stream until it is told to stop."""

    def __init__(
        self,
        stream: RequestStream,
        settlers: Sequence[Settler],
        *,
        reclaim: Reclaim,
        availability: Availability,
        meter: Meter,
        limits: RequestLimits,
    ) -> None:
        """Connect the parts.

        Args:
            stream: Where requests come from.
            settlers: Answer and settle them, one a lane.
            reclaim: Finds entries that were delivered and never answered.
            availability: Is told whether Redis answers.
            meter: Notes that the loop makes progress.
            limits: How much is read at once, and how large a request may be.
        """
        self._stream = stream
        self._settlers = settlers
        self._reclaim = reclaim
        self._availability = availability
        self._meter = meter
        self._batch = limits.batch
        self._decoder = Decoder(limits.max_size)
        self._turn = anyio.Lock(fast_acquire=True)
        self._is_stopping = False
        self._is_open = False

    @property
    def is_stopping(self) -> bool:
        """Return whether it was told to stop."""
        return self._is_stopping

    @property
    def held(self) -> int:
        """Return the number of requests in hand."""
        return sum(len(settler.held) for settler in self._settlers)

    def stop(self) -> None:
        """Stop reading; what is in hand is finished, then `run` returns."""
        self._is_stopping = True

    async def open(self) -> None:
        """Create the consumer group if Redis answers now; `run` does it otherwise."""
        try:
            await self._open()
        except RedisError as error:
            await self._availability.failed("requests", str(error))

    async def run(self) -> None:
        """Serve until stopped, whatever happens to Redis; it may be restarted after a bug.

        Raises:
            ExceptionGroup: Of what ended a lane that nobody had told to stop.
        """
        self._let_go()
        self._reclaim.demand()
        self._is_open = False
        async with anyio.create_task_group() as lanes:
            for number, settler in enumerate(self._settlers):
                serve = partial(self._serve, settler, f"lane {number}")
                lanes.start_soon(partial(unending, serve, may_end=lambda: self._is_stopping))

    async def _serve(self, settler: Settler, name: str) -> None:
        """Serve in one lane: read when it is this lane's turn, settle while the others read."""
        while not self._is_stopping or settler.held or self._stream.is_reading_ahead:
            try:
                await settler.settle_held()
                async with self._turn:
                    await self._take(settler)
                await settler.settle_held()
                self._availability.succeeded(name)
            except RedisError as error:
                # A reply may have been lost: what it delivered is found among the pending entries.
                self._reclaim.demand()
                self._is_open = False
                if isinstance(error, GroupMissingError):
                    self._let_go()
                await self._availability.failed(name, str(error))
            self._meter.progress_at = time.monotonic()

    def _let_go(self) -> None:
        """Let go of everything in every lane."""
        for settler in self._settlers:
            settler.let_go()

    async def _take(self, settler: Settler) -> None:
        """Read what waits, or reclaim what is due."""
        if self._stream.is_reading_ahead:
            await self._read(settler)
        elif not self._is_stopping:
            await self._open()
            if self._reclaim.is_due():
                await self._recover(settler)
            else:
                await self._read(settler)

    async def _open(self) -> None:
        if not self._is_open:
            await self._stream.open()
            self._is_open = True
            self._availability.succeeded("requests")

    async def _read(self, settler: Settler) -> None:
        entries = await self._stream.read(self._batch, _BLOCK_MS)
        # No read may be under way during a recovery: what it delivers would be taken for lost.
        if len(entries) >= _FULL * self._batch and not self._is_stopping and not self._reclaim.is_due():
            self._stream.read_ahead(self._batch, _BLOCK_MS)
        self._hold(settler, entries)

    async def _recover(self, settler: Settler) -> None:
        """Serve what was delivered and never answered."""
        in_hand = {request.entry_id for other in self._settlers for request in other.held}
        async for reclaimed in self._reclaim.entries(in_hand):
            self._hold(settler, reclaimed.entries)
            for entry in reclaimed.given_up:
                settler.hold_given_up(await self._reclaim.give_up(entry))
            await settler.settle_held()
            if self._is_stopping:
                return

    def _hold(self, settler: Settler, entries: Sequence[Entry]) -> None:
        decode = self._decoder.decode
        settler.hold([decode(entry) for entry in entries])
