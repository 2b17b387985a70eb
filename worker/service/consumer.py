"""Read requests in lanes: while one lane settles, another one reads and draws.

Rules:

1. A lane goes round: settle what is in hand, take more when it is its turn, settle that. One lane takes at a time. A
   few small requests are settled in the same turn, with the next read right behind: a second lane would not help. If
   that does not succeed at once, the turn ends. So no request waits for the trouble of another one.
2. Taking is reading new entries, or reclaiming pending ones when that is due. No read is in progress during a reclaim.
   Otherwise the reclaim would take the entries of that read for lost ones.
3. After an error of Redis, a reply may be lost, and with it entries that were delivered. So a reclaim is due at once,
   and the lane goes on with what it has in hand.
4. If the consumer group is gone, all lanes let go of everything. A new group, or another server, delivers again what
   still exists.
5. Nothing is taken while this worker leaves requests to others, see `worker.service.step_back`.
6. A worker that is told to stop reads no more. The lanes end when nothing is in hand and no read is in progress.

If a bug ends a lane, all lanes end, and the supervisor starts them again. They let go of the requests that they held,
whose entries are either pending or settled. A reclaim delivers the pending ones again, and counts that. So requests
that bring lanes down are attempted alone, and given up on at last. A settled entry is refused when it is settled again.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from worker.core.wire import Decoder, Entry
from worker.errors import GroupMissingError, RedisError
from worker.ports import NextRead, RequestStream
from worker.service.availability import Availability
from worker.service.linger import Linger
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.settler import Settler
from worker.service.step_back import StepBack
from worker.service.supervisor import unending
from worker.ticks import Idleness, before_tick_within

LANES = 2
_READING = "reading"  # what fails in the turn of a lane, whichever it is
_STEP_BACK_S = 0.1  # until it is asked again whether to step back
_UNDER_WAY = NextRead(0, 0)  # what was asked for ahead is not asked for again
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
            doing = name
            try:
                await settler.settle_held()
                self._availability.succeeded(name)  # it may wait for its turn for long
                async with self._turn:
                    doing, is_settled = _READING, True
                    while is_settled and await self._take(settler):
                        doing = name
                        is_settled = await settler.settle_at_once(self._next_read())
                        doing = _READING
                        self._meter.progress_at = time.monotonic()
                        self._availability.succeeded(_READING)
                    self._availability.succeeded(_READING)
                doing = name
                await settler.settle_held()
            except RedisError as error:
                # A reply may be lost; the entries that it delivered are among the pending ones.
                self._reclaim.demand()
                self._is_open = False
                if isinstance(error, GroupMissingError):
                    self._let_go()
                await self._availability.failed(doing, str(error))
            self._meter.progress_at = time.monotonic()

    def _let_go(self) -> None:
        """Let go of everything in every lane."""
        for settler in self._settlers:
            settler.in_hand.clear()

    async def _take(self, settler: Settler) -> bool:
        """Take requests in hand: new ones, and before them pending ones when a reclaim is due.

        Returns:
            Whether it took new ones that are so few that they are settled in the same turn.
        """
        if self._stream.is_reading_ahead:
            return await self._read(settler)
        if self._is_stopping:
            return False
        await self._open()
        if await self._step_back.is_needed():
            await anyio.sleep(_STEP_BACK_S)
            return False
        if self._reclaim.is_due():
            await self._reclaim_entries(settler)
        if (wait_s := self._linger.wait_s(time.monotonic())) > 0:
            await anyio.sleep(wait_s)
        if not self._is_stopping:  # it may have been told while it waited
            return await self._read(settler)
        return False

    async def _open(self) -> None:
        if not self._is_open:
            await self._stream.open()
            self._is_open = True
            self._availability.succeeded("requests")

    async def _read(self, settler: Settler) -> bool:
        """Read new requests; return whether they are so few that they are settled in the same turn."""
        entries = await self._stream.read(*(_UNDER_WAY if self._stream.is_reading_ahead else self._wanted()))
        self._linger.note(len(entries), time.monotonic())
        if entries:
            self._idleness.note_requests()
        self._hold(settler, entries)
        if settler.in_hand.is_light:
            return True
        if len(entries) >= _FULL * self._batch and self._may_read_ahead():
            self._stream.read_ahead(*self._wanted())
        return False

    def _next_read(self) -> NextRead | None:
        """Return the read that may be sent with a settling; None if something else has to come before."""
        is_next = self._may_read_ahead() and self._linger.wait_s(time.monotonic()) <= 0
        return self._wanted() if is_next else None

    def _may_read_ahead(self) -> bool:
        """Return whether the next thing to do is to read. No read may be in progress when a reclaim begins."""
        return not (self._is_stopping or self._reclaim.is_due() or self._step_back.is_considered)

    def _wanted(self) -> NextRead:
        """Return what a read asks for. It waits until just before a tick, at which Redis hears from this worker."""
        block_s = max(0.0, before_tick_within(self._block_s) - time.monotonic())
        return NextRead(self._batch, math.ceil(1000 * block_s) or 1)

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
