"""Results of a client that were handed out: those that are kept, and those whose notes in Redis still have to go."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from worker.core.wire import Reply

MOST_KEPT = 1024
MOST_KEPT_BYTES = 16 * 1024 * 1024
MOST_FORGOTTEN = 10_000  # notes that still have to go; one that is dropped from here expires in Redis
_REPLY_BYTES = 500  # of a result, beside its fields and values
_ID_BYTES = 8
_MOST_DIGITS = 18


class Keeping(NamedTuple):
    """What a client leaves for a successor that resumes from an older state. Its requests are numbered.

    Its results stay in Redis after they were handed out, and not in memory.

    Attributes:
        most: How many results stay in Redis.
        first: Number of the first request that may still be asked for here. A request id ends in `-<number>`.
    """

    most: int
    first: int


class KeptResults:
    """The results of one client that are kept, or forgotten.

    Without a successor, the newest results are kept in memory, and their entries stay in the reply stream: a restart
    reads them again. What is dropped here is forgotten, and the stream is trimmed up to the oldest kept result.

    With a successor, results are kept for requests that were answered before this client asks for them. They are handed
    out once. Nothing is forgotten, as the server keeps what the successor needs.
    """

    def __init__(self, keeping: Keeping | None) -> None:
        self._keeping = keeping
        self._kept: dict[str, tuple[str, Reply]] = {}
        self._order: deque[tuple[str, str]] = deque()
        self._bytes = 0
        self._forgotten: dict[tuple[str, str], None] = {}
        self._is_trimmed = True

    def __repr__(self) -> str:
        """Show how many results are kept and forgotten."""
        return f"{len(self._kept)} kept, {len(self._forgotten)} to forget"

    @property
    def ids(self) -> set[str]:
        """Return the ids of the requests whose results are kept or forgotten."""
        return {*self._kept, *(request_id for request_id, _ in self._forgotten)}

    @property
    def keep_from(self) -> str:
        """Return the oldest entry of the reply stream that is still needed; empty: leave the stream as it is."""
        return "" if self._is_trimmed or not self._order else self._order[0][0]

    def forgotten(self, most: int) -> Sequence[tuple[str, str]]:
        """Return (request id, entry id) of forgotten results, the oldest first."""
        return tuple(islice(self._forgotten, most))

    def hand_out(self, request_id: str) -> Reply | None:
        """Return the kept result of a request, if there is one."""
        kept = self._kept.get(request_id)
        if kept is None:
            return None
        if self._keeping is not None:
            del self._kept[request_id]
        return kept[1]

    def keep(self, result_id: str, reply: Reply, *, is_awaited: bool) -> None:
        """Keep a result, and forget the oldest ones where there is no room.

        Args:
            result_id: The entry's id in the reply stream.
            reply: The result, not an error.
            is_awaited: Whether it is handed out at once.
        """
        if self._keeping is not None:
            if not is_awaited and _number_of(reply.request_id) >= self._keeping.first:
                self._kept.setdefault(reply.request_id, (result_id, reply))
            return
        if reply.request_id in self._kept:  # Redis lost its note, so it was drawn again: the first result counts
            return
        self._kept[reply.request_id] = result_id, reply
        self._order.append((result_id, reply.request_id))
        self._bytes += _size(reply)
        while len(self._kept) > MOST_KEPT or (self._bytes > MOST_KEPT_BYTES and len(self._kept) > 1):
            _, oldest = self._order.popleft()
            _, gone = self._kept.pop(oldest)
            self._bytes -= _size(gone)
            self.forget(gone)
            self._is_trimmed = False

    def forget(self, reply: Reply) -> None:
        """Let the next sending remove the note of a result. Strangers may write more results than can be noted here."""
        self._forgotten[reply.request_id, reply.entry_id] = None
        if len(self._forgotten) > MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]

    def confirm(self, forgotten: Sequence[tuple[str, str]], keep_from: str) -> None:
        """Note that the server has removed notes and trimmed the stream."""
        for pair in forgotten:
            self._forgotten.pop(pair, None)
        if keep_from and keep_from == self._order[0][0]:
            self._is_trimmed = True


def _number_of(request_id: str) -> int:
    """Read the number that a request id ends in; -1 if it ends in none."""
    number = request_id.rpartition("-")[2]
    return int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS else -1


def results_kept(size: int) -> int:
    """Return the most results of so many chunk ids that a client leaves in Redis.

    Args:
        size: Chunk ids of each result.
    """
    return max(1, MOST_KEPT_BYTES // (_REPLY_BYTES + _ID_BYTES * size))


def _size(reply: Reply) -> int:
    return _REPLY_BYTES + sum(map(len, reply.fields.values())) + sum(map(len, reply.fields))
