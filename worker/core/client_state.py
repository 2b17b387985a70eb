"""What a client has asked for and what came of it: which requests to send, what to forget, whom to tell.

Events go in (asked, sent, received, connection lost, time passed), what is to be done comes out; connections and clocks
are the caller's. Every request is sent under a marker (its id), so that sending it again adds it no second time: after
a loss everything that is not answered is simply sent again, and now and then without one, which heals a reply stream
that vanished. That happens ever more rarely, and in portions: mostly a request takes long because no worker has come
to it yet, and a hundred thousand of those must not keep Redis busy.
"""

from collections import deque
from collections.abc import Callable
from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from worker.core.wire import EXPIRED, Reply

MOST_KEPT = 1024
MOST_KEPT_BYTES = 16 * 1024 * 1024
MOST_SENT = 500
MOST_FORGOTTEN = 10_000  # not said to Redis yet; a note that is never forgotten expires
RECHECK_S = 2.0
LONGEST_RECHECK_S = 30.0
PORTION_S = 0.5  # between two portions of what takes long
NEVER = float("inf")
_REPLY_BYTES = 500  # of a result, beside its fields and values
_ID_BYTES = 8
_MOST_DIGITS = 18


class Ask(NamedTuple):
    """Hold one request of a client.

    Attributes:
        request_id: Its id, by which it is known for ever.
        words: Its fields and values in turn, without the time of its expiry.
        deadline_s: When nobody wants the answer any more, by the caller's clock; `NEVER`.
    """

    request_id: str
    words: tuple[str | int, ...]
    deadline_s: float = NEVER


class Sending(NamedTuple):
    """Hold what is to be sent in one step.

    Attributes:
        asks: Requests, in the order in which they were asked for.
        forgotten: (request id, entry id) of results that will not be asked for again by name.
        keep_from: Id of the oldest result in the reply stream that is still of use; empty: leave it as it is.
        read_until: Id of the last result that was read.
    """

    asks: tuple[Ask, ...]
    forgotten: tuple[tuple[str, str], ...]
    keep_from: str
    read_until: str


class Keeping(NamedTuple):
    """Say what a client keeps for whoever goes on in its place from an older state; its requests are numbered.

    Its results stay in Redis after they were handed out, and not in memory.

    Attributes:
        most: How many results stay in Redis.
        first: Number of the first request that may still be asked for here; a request id ends in `-<number>`.
    """

    most: int
    first: int


Callback = Callable[[Reply | None], None]
"""Takes the result of a request; None: it did not come in time."""


class _Wanted:
    """Hold a request that is not answered yet, and who waits for it."""

    __slots__ = ("ask", "due_s", "first_sent_s", "tell", "was_sent")

    def __init__(self, ask: Ask, tell: Callback) -> None:
        self.ask = ask
        self.tell = [tell]
        self.first_sent_s = NEVER
        self.due_s = NEVER
        self.was_sent = False

    def note_sent(self, now_s: float) -> None:
        """Note that it is sent, and when to send it again: each time after twice as long, up to a limit."""
        self.first_sent_s = min(self.first_sent_s, now_s)
        self.due_s = now_s + min(max(RECHECK_S, now_s - self.first_sent_s), LONGEST_RECHECK_S)
        self.was_sent = True


class ClientState:
    """Keep the account of one client."""

    def __init__(self, keeping: Keeping | None = None) -> None:
        """Begin with nothing asked for.

        Args:
            keeping: What stays for others; None: results are kept in memory, for who asks here again.
        """
        self._keeping = keeping
        self.read_until = "0-0"
        self.alarm_at_s = NEVER
        self._wanted: dict[str, _Wanted] = {}
        self._unsent: dict[str, None] = {}
        self._kept: dict[str, tuple[str, Reply]] = {}
        self._kept_order: deque[tuple[str, str]] = deque()
        self._kept_bytes = 0
        self._forgotten: dict[tuple[str, str], None] = {}
        self._is_trimmed = True

    @property
    def is_waiting(self) -> bool:
        """Tell whether results are wanted."""
        return bool(self._wanted)

    @property
    def has_unsent(self) -> bool:
        """Tell whether there is something to send."""
        return bool(self._unsent)

    @property
    def kept_ids(self) -> set[str]:
        """Tell the ids of the requests whose results are here, errors included: nothing was drawn for those."""
        return {*self._kept, *(request_id for request_id, _ in self._forgotten)}

    def ask(self, ask: Ask, tell: Callback) -> None:
        """Want a request's result; where it is there, it is told at once.

        Args:
            ask: The request; where one of this id is under way or answered, that is the one.
            tell: Is told once.
        """
        if kept := self._kept.get(ask.request_id):
            if self._keeping is not None:
                del self._kept[ask.request_id]
            tell(kept[1])
            return
        wanted = self._wanted.get(ask.request_id)
        if wanted is None:
            self._wanted[ask.request_id] = _Wanted(ask, tell)
            self._unsent[ask.request_id] = None
        else:
            wanted.tell.append(tell)
            wanted.ask = wanted.ask._replace(deadline_s=max(wanted.ask.deadline_s, ask.deadline_s))
        self.alarm_at_s = min(self.alarm_at_s, ask.deadline_s)

    def take_sending(self, now_s: float) -> Sending:
        """Take what is to be sent now; it counts as under way.

        Args:
            now_s: The caller's clock.
        """
        ids = list(self._unsent)[:MOST_SENT]
        for request_id in ids:
            del self._unsent[request_id]
            wanted = self._wanted[request_id]
            wanted.note_sent(now_s)
            self.alarm_at_s = min(self.alarm_at_s, wanted.due_s)
        keep_from = "" if self._is_trimmed or not self._kept_order else self._kept_order[0][0]
        asks = tuple(self._wanted[request_id].ask for request_id in ids)
        return Sending(asks, tuple(islice(self._forgotten, 2 * MOST_SENT)), keep_from, self.read_until)

    def confirm(self, sending: Sending) -> None:
        """Note that the server has done what was sent."""
        for pair in sending.forgotten:
            self._forgotten.pop(pair, None)
        if sending.keep_from and sending.keep_from == self._kept_order[0][0]:
            self._is_trimmed = True

    def lose(self) -> None:
        """Note that a connection was lost: whatever is not answered may never have been sent."""
        self._unsent = dict.fromkeys(self._wanted)
        for wanted in self._wanted.values():
            wanted.first_sent_s = NEVER

    def receive(self, result_id: str, reply: Reply | None, now_s: float) -> None:
        """Take an entry of the reply stream, and tell who waits for it.

        Args:
            result_id: The entry's id in the reply stream.
            reply: The result; None: it is none.
            now_s: The caller's clock.
        """
        self.read_until = result_id
        if reply is None:
            return
        wanted = self._wanted.get(reply.request_id)
        if reply.error is None and self._keeping is not None:
            if wanted is None and _number_of(reply.request_id) >= self._keeping.first:
                self._kept.setdefault(reply.request_id, (result_id, reply))
        elif reply.error is None:
            self._keep(result_id, reply)
        else:
            self._forget(reply)  # so that asking again asks again
            if wanted is None or not wanted.was_sent:
                return
            if reply.error == EXPIRED and now_s < wanted.ask.deadline_s:
                self._unsent[reply.request_id] = None  # it was asked for in an earlier life, with less time
                return
        if wanted is not None:
            self._settle(wanted, reply)

    def pass_time(self, now_s: float) -> None:
        """Give up on what is late, and have sent again what takes long: what was lost in silence comes to light so.

        Of many that take long, a portion is sent again, those first that have waited longest for it.

        Args:
            now_s: The caller's clock.
        """
        for wanted in [wanted for wanted in self._wanted.values() if wanted.ask.deadline_s <= now_s]:
            self._settle(wanted, None)
        overdue = [wanted for wanted in self._wanted.values() if wanted.due_s <= now_s]
        room = max(0, MOST_SENT - len(self._unsent))
        for wanted in nsmallest(room, overdue, key=attrgetter("due_s")):
            wanted.due_s = NEVER
            self._unsent[wanted.ask.request_id] = None
        later_s = now_s + PORTION_S if len(overdue) > room else NEVER
        waiting = self._wanted.values()
        due_s = min((wanted.due_s for wanted in waiting if wanted.due_s > now_s), default=NEVER)
        deadline_s = min((wanted.ask.deadline_s for wanted in waiting), default=NEVER)
        self.alarm_at_s = min(later_s, due_s, deadline_s)

    def give_up(self) -> None:
        """Tell everybody who waits that nothing will come."""
        for wanted in list(self._wanted.values()):
            self._settle(wanted, None)

    def _settle(self, wanted: _Wanted, reply: Reply | None) -> None:
        request_id = wanted.ask.request_id
        del self._wanted[request_id]
        self._unsent.pop(request_id, None)
        for tell in wanted.tell:
            tell(reply)

    def _keep(self, result_id: str, reply: Reply) -> None:
        """Keep a result for whoever asks again, and let go of the oldest ones."""
        if reply.request_id in self._kept:  # what Redis forgot and was asked for again: the first one counts
            return
        self._kept[reply.request_id] = result_id, reply
        self._kept_order.append((result_id, reply.request_id))
        self._kept_bytes += _size(reply)
        while len(self._kept) > MOST_KEPT or (self._kept_bytes > MOST_KEPT_BYTES and len(self._kept) > 1):
            _, oldest = self._kept_order.popleft()
            _, gone = self._kept.pop(oldest)
            self._kept_bytes -= _size(gone)
            self._forget(gone)
            self._is_trimmed = False

    def _forget(self, reply: Reply) -> None:
        """Have the note of a result forgotten; a stranger may write more results than can be said to Redis."""
        self._forgotten[reply.request_id, reply.entry_id] = None
        if len(self._forgotten) > MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]


def _number_of(request_id: str) -> int:
    """Read the number that a request id ends in; -1 where it does not."""
    number = request_id.rpartition("-")[2]
    return int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS else -1


def results_kept(size: int) -> int:
    """Tell how many results of so many chunk ids a client leaves in Redis at most.

    Args:
        size: How many ids each has.
    """
    return max(1, MOST_KEPT_BYTES // (_REPLY_BYTES + _ID_BYTES * size))


def _size(reply: Reply) -> int:
    return _REPLY_BYTES + sum(map(len, reply.fields.values())) + sum(map(len, reply.fields))
