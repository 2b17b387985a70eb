"""Reclaim entries that were delivered and never answered: after a crash, a lost reply, or a bug of ours.

States of an entry, by what Redis knows of it:

| state | how it gets there | what follows |
|---|---|---|
| pending here | a read delivered it, and its reply or its settling was lost | it is delivered again at the next look |
| pending elsewhere | its worker died, or is silent for `idle_ms` | it is taken over, which is no delivery |
| resting | an attempt here failed | it is delivered again once it was idle for `idle_ms` |
| suspect | it was delivered twice | it is attempted alone |
| given up on | it was delivered `max_deliveries` times | it gets an error result and a dead letter |

Why it is right. A delivery is counted just before the attempt, so an entry that kills its worker is counted too, and
is given up on at last. A suspect is attempted alone, so it takes no other entry with it. Entries in hand are left out,
as their settling is under way. Entries that two workers hold are settled once: the script asks who holds them.

Why an attempt failed is remembered here, and noted in Redis: another worker may be the one that gives up on it.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass

from worker.core.events import RequestClaimed
from worker.core.wire import Decoder, Entry, encode_dead_letter, encode_error
from worker.logs.emit import emit
from worker.ports import Failure, GivenUp, Pending, RequestStream

_SUSPECT_DELIVERIES = 2
_TOGETHER = 256
_LONGEST_PAUSE_S = 1.0
_NOTES_LAST_S = 3600  # at least: an entry is attempted again after the idle time, and given up on after some of these
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
    """The entries that are pending for this consumer, or for another one for too long."""

    def __init__(self, stream: RequestStream, *, idle_ms: int, max_deliveries: int) -> None:
        """Configure the search.

        Args:
            stream: Where the entries are.
            idle_ms: Entries of others that were silent for so long, in ms, are taken over.
            max_deliveries: How often an entry is attempted at most.
        """
        self._stream = stream
        self._idle_ms = idle_ms
        self._max_deliveries = max_deliveries
        self._pause_s = min(_LONGEST_PAUSE_S, idle_ms / 2000)
        self._due_at = 0.0
        self._notes_ttl_s = min(_LONGEST_NOTES_S, _NOTES_LAST_S + 2 * max_deliveries * idle_ms // 1000)
        self._failures: dict[str, Failure] = {}

    def demand(self) -> None:
        """Look at the next occasion: a reply may have been lost."""
        self._due_at = 0.0

    def is_due(self) -> bool:
        """Return whether it is time to look for entries."""
        return time.monotonic() >= self._due_at

    async def note_failures(self, entry_ids: Sequence[str], failure: Failure) -> None:
        """Remember why entries could not be answered, here and in Redis; they are attempted again after the idle time.

        Raises:
            RedisError: Redis did not answer.
        """
        self.rest(entry_ids, failure)
        await self._stream.note_failures(dict.fromkeys(entry_ids, failure), self._notes_ttl_s)

    def rest(self, entry_ids: Iterable[str], failure: Failure) -> None:
        """Remember here alone why entries could not be answered; they are attempted again after the idle time."""
        self._failures |= dict.fromkeys(entry_ids, failure)

    def forget(self, entry_ids: Iterable[str]) -> None:
        """Forget the failures of entries that are settled, or somebody else's."""
        if self._failures:
            for entry_id in entry_ids:
                self._failures.pop(entry_id, None)

    async def entries(self, in_hand: Collection[str]) -> AsyncIterator[Reclaimed]:
        """Yield what is to be done, in the order of the stream.

        Args:
            in_hand: Entries that are pending because this worker is about to settle them.

        Raises:
            RedisError: Redis did not answer.
        """
        taken = set(await self._stream.take_over(self._idle_ms))
        mine = [entry for entry in await self._stream.pending() if entry.id not in in_hand]
        own_failures = self._failures.keys() & {entry.id for entry in mine}
        self._failures = {entry_id: self._failures[entry_id] for entry_id in own_failures}
        pending = [entry for entry in mine if self._may_try(entry, taken)]
        self._due_at = time.monotonic() + self._pause_s
        if claimed := [entry.deliveries for entry in pending if entry.id in taken - own_failures]:
            emit(RequestClaimed(count=len(claimed), deliveries_max=max(claimed)))
        for together in _grouped(pending):
            if together[0].deliveries >= self._max_deliveries:
                looked = [await self._stream.look_at(entry) for entry in together]
                yield Reclaimed((), [entry for entry in looked if entry is not None])
            else:
                yield Reclaimed(await self._stream.deliver_again(together), ())

    async def give_up(self, entry: Entry) -> GivenUp:
        """Write the error result and the dead letter of an entry that was delivered too often.

        Raises:
            RedisError: Redis did not answer.
        """
        failure = await self._stream.failure_of(entry.id) or self._failures.get(entry.id, _NOT_NOTED)
        delivered = f"the request was delivered {entry.deliveries} times without an answer"
        message = f"{delivered}: {failure.why}; accepted: at most {self._max_deliveries} deliveries"
        result = encode_error(Decoder().decode(entry), failure.code, message)
        letter = encode_dead_letter(entry, failure.code, message)
        return GivenUp(result, letter, entry.deliveries, failure)

    def _may_try(self, entry: Pending, taken: set[str]) -> bool:
        """Return whether an entry may be attempted: what failed here a moment ago rests."""
        return entry.id not in self._failures or entry.id in taken or entry.idle_ms >= self._idle_ms


def _grouped(pending: Sequence[Pending]) -> list[list[Pending]]:
    """Group entries that were delivered once, and leave each suspect alone."""
    fresh = [entry for entry in pending if entry.deliveries < _SUSPECT_DELIVERIES]
    suspects = [entry for entry in pending if entry.deliveries >= _SUSPECT_DELIVERIES]
    together = [fresh[start : start + _TOGETHER] for start in range(0, len(fresh), _TOGETHER)]
    return [*together, *([entry] for entry in suspects)]
