"""Read requests in lanes: while one lane settles, another one reads and draws.

Rules:

1. A lane goes round: settle what is in hand, take more when it is its turn, settle that. One lane takes at a time.
2. Taking is reading new entries, or reclaiming pending ones when that is due. No read is in progress during a reclaim,
   or the reclaim would take the entries of that read for lost ones.
3. After an error of Redis, a reply may be lost, and with it entries that were delivered. So a reclaim is due at once,
   and the lane goes on with what it has in hand.
4. If the consumer group is gone, all lanes let go of everything. A new group, or another server, delivers again what
   still exists.
5. Nothing is taken while this worker leaves requests to others, see `worker.service.step_back`.
6. To stop is to read no more. The lanes end when nothing is in hand and no read is in progress.

If a bug ends a lane, all lanes end, and the supervisor starts them again. They let go of what they held, whose entries
are either pending or settled. A reclaim delivers the pending ones again and counts that, so that requests that bring
lanes down are attempted alone, and given up on at last. A settled entry is refused when it is settled again.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from worker.core.wire import Decoder, Entry
from worker.errors import GroupMissingError, RedisError
from worker.ports import RequestStream
from worker.service.availability import Availability
from worker.service.linger import Linger
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.settler import Settler
from worker.service.step_back import StepBack
from worker.service.supervisor import unending
from worker.ticks import Idleness, before_tick_within

LANES = 2
_STEP_BACK_S = 0.1  # until it is asked again whether to step back
SHORTEST_BLOCK_S = 0.5
"""Shortest wait of a read in vain, in seconds; where reclaims are further apart, it waits until the next one is due."""
_FULL = 0.25  # of a batch: above it, more requests are likely to wait


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of what is read.

    Attributes:
        batch: Most requests read at once.
        max_size: Largest `size` of a request.
        linger_s: Longest wait for company before a read, see `worker.service.linger`; 0: none.
        block_s: Longest wait of a read in vain; a worker that is told to stop waits for its end.
    """

    batch: int
    max_size: int
    linger_s: float = 0.0
    block_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Intake:
    """What decides which requests are taken, and when.

    Attributes:
        reclaim: Finds entries that were delivered and never answered.
        step_back: Says whether to leave requests to other workers.
        limits: How much is read at once, and how large a request may be.
        idleness: Is told of requests.
    """

    reclaim: Reclaim
    step_back: StepBack
    limits: RequestLimits
    idleness: Idleness


class Consumer:
    """The loop that serves the requests of one stream, in lanes."""

    def __init__(
        self,
        stream: RequestStream,
        settlers: Sequence[Settler],
        *,
        intake: Intake,
        availability: Availability,
        meter: Meter,
    ) -> None:
        """Connect the parts.

        Args:
            stream: Delivers the requests.
            settlers: Answer and settle them, one for each lane.
            intake: Decides which requests are taken, and when.
            availability: Is told whether Redis answers.
            meter: Remembers when the loop last made progress.
        """
        self._stream = stream
        self._settlers = settlers
        self._reclaim = intake.reclaim
        self._step_back = intake.step_back
        self._idleness = intake.idleness
        self._availability = availability
        self._meter = meter
        self._batch = intake.limits.batch
        self._block_s = min(max(SHORTEST_BLOCK_S, intake.reclaim.pause_s), intake.limits.block_s)
        self._linger = Linger(intake.limits.linger_s)
        self._decoder = Decoder(intake.limits.max_size)
        self._turn = anyio.Lock(fast_acquire=True)
        self._is_stopping = False
        self._is_open = False

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        state = "stopping" if self._is_stopping else "open" if self._is_open else "not open"
        return f"<Consumer {state}, {self.held} requests in hand, {self._reclaim!r}>"

    @property
    def is_stopping(self) -> bool:
        """Return whether it was told to stop."""
        return self._is_stopping

    @property
    def held(self) -> int:
        """Return the number of requests in hand."""
        return sum(len(settler.in_hand) for settler in self._settlers)

    def stop(self) -> None:
        """Stop reading; what is in hand is finished, then `run` returns."""
        self._is_stopping = True

    async def open(self) -> None:
        """Create the consumer group if Redis answers now; `run` tries it again."""
        try:
            await self._open()
        except RedisError as error:
            await self._availability.failed("requests", str(error))

    async def run(self) -> None:
        """Serve until stopped, whatever happens to Redis; after a bug it may be run again.

        Raises:
            ExceptionGroup: A lane ended although nobody had told it to stop.
        """
        self._let_go()
        self._reclaim.demand()
        self._is_open = False
        async with anyio.create_task_group() as lanes:
            for number, settler in enumerate(self._settlers):
                serve = partial(self._serve, settler, f"lane {number}")
                lanes.start_soon(partial(unending, serve, may_end=lambda: self._is_stopping))

    async def _serve(self, settler: Settler, name: str) -> None:
        """Serve in one lane: take requests in turn with the other lanes, and settle them while others take theirs."""
        while not self._is_stopping or settler.in_hand or self._stream.is_reading_ahead:
            try:
                await settler.settle_held()
                async with self._turn:
                    await self._take(settler)
                await settler.settle_held()
                self._availability.succeeded(name)
            except RedisError as error:
                # A reply may be lost; the entries that it delivered are among the pending ones.
                self._reclaim.demand()
                self._is_open = False
                if isinstance(error, GroupMissingError):
                    self._let_go()
                await self._availability.failed(name, str(error))
            self._meter.progress_at = time.monotonic()

    def _let_go(self) -> None:
        """Let go of everything in every lane."""
        for settler in self._settlers:
            settler.in_hand.clear()

    async def _take(self, settler: Settler) -> None:
        """Take requests in hand: new ones, and before them pending ones when a reclaim is due."""
        if self._stream.is_reading_ahead:
            await self._read(settler)
        elif not self._is_stopping:
            await self._open()
            if await self._step_back.is_needed():
                await anyio.sleep(_STEP_BACK_S)
                return
            if self._reclaim.is_due():
                await self._reclaim_entries(settler)
            if (wait_s := self._linger.wait_s(time.monotonic())) > 0:
                await anyio.sleep(wait_s)
            if not self._is_stopping:  # it may have been told while it waited
                await self._read(settler)

    async def _open(self) -> None:
        if not self._is_open:
            await self._stream.open()
            self._is_open = True
            self._availability.succeeded("requests")

    async def _read(self, settler: Settler) -> None:
        entries = await self._stream.read(self._batch, self._block_ms())
        self._linger.note(len(entries), time.monotonic())
        if entries:
            self._idleness.note_requests()
        # No read may be in progress when a reclaim begins.
        if len(entries) >= _FULL * self._batch and not self._is_stopping and not self._reclaim.is_due():
            self._stream.read_ahead(self._batch, self._block_ms())
        self._hold(settler, entries)

    async def _reclaim_entries(self, settler: Settler) -> None:
        """Serve entries that were delivered and never answered."""
        in_hand = {entry_id for other in self._settlers for entry_id in other.in_hand.entry_ids}
        async for reclaimed in self._reclaim.entries(in_hand):
            self._hold(settler, reclaimed.entries)
            for entry in reclaimed.given_up:
                settler.in_hand.add_dead(await self._reclaim.give_up(entry))
            await settler.settle_held()
            self._meter.progress_at = time.monotonic()  # a round over many pending entries is long
            if self._is_stopping:
                return

    def _hold(self, settler: Settler, entries: Sequence[Entry]) -> None:
        decode = self._decoder.decode
        settler.in_hand.add([decode(entry) for entry in entries])

    def _block_ms(self) -> int:
        """Return how long a read may wait, in ms: until just before a tick, at which Redis hears from this worker."""
        return math.ceil(1000 * max(0.0, before_tick_within(self._block_s) - time.monotonic())) or 1
