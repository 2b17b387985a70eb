"""Read, answer, settle: the loop that serves requests."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from worker.core.events import RequestDeadLettered
from worker.core.wire import Entry, decode
from worker.errors import GroupMissingError, RedisError
from worker.links import Link
from worker.logs import emit
from worker.meter import Meter
from worker.ports import RequestStream
from worker.recovery import Recovery
from worker.settler import Settler

_BLOCK_MS = 500


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Bound what is taken in hand.

    Attributes:
        batch: Most requests read at once.
        max_size: Largest `size` of a request.
    """

    batch: int
    max_size: int


class Consumer:
    """Serve the requests of one stream until told to stop."""

    def __init__(
        self,
        stream: RequestStream,
        settler: Settler,
        *,
        recovery: Recovery,
        link: Link,
        meter: Meter,
        limits: RequestLimits,
    ) -> None:
        """Take the parts.

        Args:
            stream: Where requests come from.
            settler: Answers and settles them.
            recovery: Finds entries that were delivered and never answered.
            link: Tells when Redis is lost and restored.
            meter: Notes that the loop makes progress.
            limits: How much is read at once, and how large a request may be.
        """
        self._stream = stream
        self._settler = settler
        self._recovery = recovery
        self._link = link
        self._meter = meter
        self._limits = limits
        self._is_stopping = False
        self._is_open = False

    @property
    def is_stopping(self) -> bool:
        """Tell whether it was told to stop."""
        return self._is_stopping

    def stop(self) -> None:
        """Stop reading; what is in hand is finished, then `run` returns."""
        self._is_stopping = True

    async def open(self) -> None:
        """Have the consumer group made, if Redis answers now; `run` sees to it again."""
        try:
            await self._open()
        except RedisError as error:
            await self._link.failed("requests", str(error))

    async def run(self) -> None:
        """Serve until stopped, whatever happens to Redis."""
        while not self._is_stopping or self._settler.held:
            try:
                await self._turn()
                self._link.succeeded("requests")
            except RedisError as error:
                # A reply may have been lost: what it delivered is found among the pending entries.
                self._recovery.demand()
                self._is_open = False
                if isinstance(error, GroupMissingError):
                    self._settler.let_go()  # a new group delivers again what still exists
                await self._link.failed("requests", str(error))
            self._meter.progress_at = time.monotonic()

    async def _turn(self) -> None:
        await self._open()
        await self._settler.settle_held()
        if self._is_stopping:
            return
        if self._recovery.is_due():
            await self._recover()
            return
        self._hold(await self._stream.read(self._limits.batch, _BLOCK_MS))
        await self._settler.settle_held()

    async def _open(self) -> None:
        if not self._is_open:
            await self._stream.open()
            self._is_open = True

    async def _recover(self) -> None:
        """Serve what was delivered and never answered."""
        async for rescued in self._recovery.entries():
            self._hold(rescued.entries)
            for entry in rescued.given_up:
                self._give_up(entry)
            await self._settler.settle_held()
            if self._is_stopping:
                return

    def _hold(self, entries: Sequence[Entry]) -> None:
        self._settler.hold([decode(entry, max_size=self._limits.max_size) for entry in entries])

    def _give_up(self, entry: Entry) -> None:
        result, letter = self._recovery.give_up(entry)
        self._settler.hold_dead(result, letter)
        emit(
            RequestDeadLettered(
                request_id=result.request_id,
                entry_id=entry.id,
                error=result.error or "",
                deliveries=entry.deliveries,
            )
        )
