"""Reclaim entries that were delivered and never answered: after a crash, a lost reply, or a failure of ours.

States of a pending entry, by its deliveries:

    fresh    delivered once           attempted with up to 255 others
    suspect  delivered twice or more  attempted alone
    dead     delivered too often      given up on: an error result and a dead letter

Rules:

1. Claiming an entry of another consumer is no delivery. An attempt is one, and it is counted just before the attempt.
   So an entry that brings workers down reaches the limit even if no worker lives to say so.
2. A suspect is attempted alone, so that it takes no other request down with it.
3. An entry that failed here rests until the idle time is over. Without a rest, its deliveries would be used up within
   a second, and a short trouble would kill good requests.
4. Entries in hand are left alone: this worker is about to settle them.
5. Mostly nothing is pending. One command shows that, and then nothing else is asked. It is sent with the worker's
   state, in one packet. If a reply may be lost or an entry rests, it is sent after that.
6. The reason why an attempt failed is remembered here while the entry rests. It is also noted in Redis, as another
   worker may be the one that gives up on the entry.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass

from worker.core.events import RequestClaimed
from worker.core.wire import Decoder, Entry, encode_dead_letter, encode_error
from worker.logs.emit import emit
from worker.ports import Failure, GivenUp, Pending, RequestStream
from worker.ticks import before_tick_within

_SUSPECT_DELIVERIES = 2
_TOGETHER = 256
_LONGEST_PAUSE_S = 1.0
_NOTES_LAST_S = 3600  # at least; notes last longer than all attempts at an entry
_LONGEST_NOTES_S = 10**9
_NOT_NOTED = Failure(
    "too_many_deliveries", "no worker has noted why, as each that had it ended or lost Redis before it could"
)


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """Entries to serve now, and entries to give up on."""

    entries: Sequence[Entry]
    given_up: Sequence[Entry]


class Reclaim:
    """The search for entries that are pending for this consumer, or for another one for too long.

    Attributes:
        pause_s: Longest time between two searches, in seconds.
    """

    def __init__(self, stream: RequestStream, *, idle_ms: int, max_deliveries: int) -> None:
        """Configure the search.

        Args:
            stream: The request stream.
            idle_ms: Time, in ms, after which entries of other consumers are claimed, and failed ones attempted again.
            max_deliveries: Deliveries after which an entry is given up on.
        """
        self._stream = stream
        self._idle_ms = idle_ms
        self._max_deliveries = max_deliveries
        self.pause_s = min(_LONGEST_PAUSE_S, idle_ms / 2000)
        self._due_at = 0.0
        self._is_demanded = True
        self._notes_ttl_s = min(_LONGEST_NOTES_S, _NOTES_LAST_S + 2 * max_deliveries * idle_ms // 1000)
        self._failures: dict[str, Failure] = {}

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Reclaim {'due' if self.is_due() else 'not due'}, {len(self.resting)} entries rest>"

    @property
    def resting(self) -> Collection[str]:
        """Return the entries that failed here and rest until the idle time is over."""
        return self._failures.keys()

    def demand(self) -> None:
        """Make a reclaim due now, as a reply may be lost."""
        self._due_at = 0.0
        self._is_demanded = True

    def is_due(self) -> bool:
        """Return whether it is time to look for entries."""
        return time.monotonic() >= self._due_at

    async def note_failures(self, entry_ids: Sequence[str], failure: Failure) -> None:
        """Store why entries could not be answered, here and in Redis; they are attempted again after the idle time.

        Raises:
            RedisError: Redis did not answer.
        """
        self.rest(entry_ids, failure)
        await self._stream.note_failures(dict.fromkeys(entry_ids, failure), self._notes_ttl_s)

    def rest(self, entry_ids: Iterable[str], failure: Failure) -> None:
        """Store only here why entries could not be answered; they are attempted again after the idle time."""
        self._failures |= dict.fromkeys(entry_ids, failure)

    def forget(self, entry_ids: Iterable[str]) -> None:
        """Forget the failures of entries that are settled, or no longer pending for this consumer."""
        if self._failures:
            for entry_id in entry_ids:
                self._failures.pop(entry_id, None)

    async def entries(self, in_hand: Collection[str]) -> AsyncIterator[Reclaimed]:
        """Yield the entries to serve or to give up on, oldest first among those of one state.

        Args:
            in_hand: Entries that this worker is about to settle.

        Raises:
            RedisError: Redis did not answer.
        """
        taken, mine = await self._look(in_hand)
        own_failures = self._failures.keys() & {entry.id for entry in mine}
        self._failures = {entry_id: self._failures[entry_id] for entry_id in own_failures}
        pending = [entry for entry in mine if self._may_try(entry, taken)]
        self._due_at = before_tick_within(self.pause_s)
        if claimed := [entry.deliveries for entry in pending if entry.id in taken - own_failures]:
            emit(RequestClaimed(count=len(claimed), deliveries_max=max(claimed)))
        for together in _grouped(pending):
            if together[0].deliveries >= self._max_deliveries:
                looked = [await self._stream.look_at(entry) for entry in together]
                yield Reclaimed((), [entry for entry in looked if entry is not None])
            else:
                yield Reclaimed(await self._stream.deliver_again(together), ())

    async def give_up(self, entry: Entry) -> GivenUp:
        """Return the error result and the dead letter of an entry that was delivered too often.

        Raises:
            RedisError: Redis did not answer.
        """
        failure = await self._stream.failure_of(entry.id) or self._failures.get(entry.id, _NOT_NOTED)
        delivered = f"the request was delivered {entry.deliveries} times without an answer"
        message = f"{delivered}: {failure.why}; accepted: at most {self._max_deliveries} deliveries"
        result = encode_error(Decoder().decode(entry), failure.code, message)
        letter = encode_dead_letter(entry, failure.code, message)
        return GivenUp(result, letter, entry.deliveries, failure)

    async def _look(self, in_hand: Collection[str]) -> tuple[set[str], list[Pending]]:
        """Take over what is pending for too long; return its ids, and all that is pending for this consumer now."""
        is_demanded, self._is_demanded = self._is_demanded, False
        # What is remembered of failed entries goes with them, so an older answer would end their rest.
        if not await self._stream.is_any_pending(now=is_demanded or bool(self._failures)):
            return set(), []
        taken = set(await self._stream.take_over(self._idle_ms))
        return taken, [entry for entry in await self._stream.pending() if entry.id not in in_hand]

    def _may_try(self, entry: Pending, taken: set[str]) -> bool:
        """Return whether an entry may be attempted now: not while it rests."""
        return entry.id not in self._failures or entry.id in taken or entry.idle_ms >= self._idle_ms


def _grouped(pending: Sequence[Pending]) -> list[list[Pending]]:
    """Group entries that were delivered once; each suspect is a group of its own."""
    fresh = [entry for entry in pending if entry.deliveries < _SUSPECT_DELIVERIES]
    suspects = [entry for entry in pending if entry.deliveries >= _SUSPECT_DELIVERIES]
    together = [fresh[start : start + _TOGETHER] for start in range(0, len(fresh), _TOGETHER)]
    return [*together, *([entry] for entry in suspects)]
