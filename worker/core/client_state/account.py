"""The account of one client: what it has asked for, what to send, what to forget, and whose callbacks to call. Pure.

Events go in: asked, sent, received, connection lost, time passed. What is to be done comes out. Connections and clocks
are the caller's.

A request is in one of three states:

- *unsent*: it goes with the next sending.
- *sent*: it is under way. A lost connection, or a result that takes long, makes it unsent again.
- *done*: its callbacks were called, with its result, or with None because nobody waits any longer.

Beside the requests there are results. A result is *kept* after it was handed out, so asking again needs no server. It
is *forgotten* when others need the room: with the next sending its note in Redis goes, too.

Rules:

1. A request is sent under its id, which Redis notes. Sending it again adds it no second time. So after a lost
   connection everything that is not answered is simply sent again.
2. What takes long is sent again without a loss: after 2 s, and then each time it has waited twice as long, at least
   every 30 s. This heals a reply stream that vanished. Mostly a request takes long because no worker has come to it
   yet. So the requests go in portions, and a hundred thousand of them do not keep Redis busy.
3. The first result of a request counts. Later ones are ignored.
4. Errors are never kept: asking again asks anew. An error of a request that was not sent from here answers an earlier
   process. An error `expired` before the deadline does, too, as that process sent the request with a shorter one.
5. What strangers can make larger has a bound: results kept, notes to forget, requests in a sending.
"""

from collections.abc import Callable, Sequence
from heapq import nsmallest
from operator import attrgetter
from typing import NamedTuple

from worker.core.client_state.kept_results import Keeping, KeptResults
from worker.core.wire import EXPIRED, Reply

MOST_SENT = 500
RECHECK_S = 2.0
LONGEST_RECHECK_S = 30.0
PORTION_S = 0.5  # between two portions of what takes long
NEVER = float("inf")


class Ask(NamedTuple):
    """One request of a client.

    Attributes:
        request_id: Its id, the same whenever it is asked for again.
        words: Its fields and values in turn, without `expires_at`.
        deadline_s: When nobody waits for the answer any longer, by the caller's clock; `NEVER`.
    """

    request_id: str
    words: tuple[str | int, ...]
    deadline_s: float = NEVER


class Sending(NamedTuple):
    """What is sent to Redis in one step.

    Attributes:
        asks: Requests, in the order in which they were asked for.
        forgotten: (request id, entry id) of results that are no longer kept.
        keep_from: Id of the oldest entry of the reply stream that is still needed; empty: leave the stream as it is.
        read_until: Id of the last entry that was read.
    """

    asks: tuple[Ask, ...]
    forgotten: Sequence[tuple[str, str]]
    keep_from: str
    read_until: str


Callback = Callable[[Reply | None], None]
"""Takes the result of a request; None: it did not come in time."""


class _Waiting:
    """A request that is not answered yet, and the callbacks that wait for it."""

    __slots__ = ("ask", "callbacks", "due_s", "first_sent_s", "was_sent")

    def __init__(self, ask: Ask, callback: Callback) -> None:
        self.ask = ask
        self.callbacks = [callback]
        self.first_sent_s = NEVER
        self.due_s = NEVER
        self.was_sent = False

    def note_sent(self, now_s: float) -> None:
        """Note that it is sent, and when to send it again; see rule 2."""
        self.first_sent_s = min(self.first_sent_s, now_s)
        self.due_s = now_s + min(max(RECHECK_S, now_s - self.first_sent_s), LONGEST_RECHECK_S)
        self.was_sent = True


class ClientState:
    """The account of one client.

    Attributes:
        read_until: Id of the last entry of the reply stream that was read.
        timer_at_s: When `pass_time` has something to do, by the caller's clock; `NEVER`.
    """

    def __init__(self, keeping: Keeping | None = None) -> None:
        """Begin with nothing asked for.

        Args:
            keeping: What stays for a successor; None: results are kept in memory, for who asks here again.
        """
        self.read_until = "0-0"
        self.timer_at_s = NEVER
        self._waiting: dict[str, _Waiting] = {}
        self._unsent: dict[str, None] = {}
        self._results = KeptResults(keeping)

    def __repr__(self) -> str:
        """Show how many requests and results are in each state."""
        requests = f"{len(self._unsent)} unsent, {len(self._waiting) - len(self._unsent)} sent"
        return f"<ClientState: {requests}, {self._results!r}, read until {self.read_until}>"

    @property
    def is_waiting(self) -> bool:
        """Return whether a request is not done."""
        return bool(self._waiting)

    @property
    def has_unsent(self) -> bool:
        """Return whether there is a request to send."""
        return bool(self._unsent)

    @property
    def kept_ids(self) -> set[str]:
        """Return the ids of the requests whose results are here. This includes errors, for which nothing was drawn."""
        return self._results.ids

    def ask(self, ask: Ask, callback: Callback) -> None:
        """Ask for the result of a request. If it is kept, the callback is called at once.

        Args:
            ask: The request. If one of this id is not done, this waits for the same result.
            callback: Is called once.
        """
        if kept := self._results.hand_out(ask.request_id):
            callback(kept)
            return
        waiting = self._waiting.get(ask.request_id)
        if waiting is None:
            self._waiting[ask.request_id] = _Waiting(ask, callback)
            self._unsent[ask.request_id] = None
        else:
            waiting.callbacks.append(callback)
            waiting.ask = waiting.ask._replace(deadline_s=max(waiting.ask.deadline_s, ask.deadline_s))
        self.timer_at_s = min(self.timer_at_s, ask.deadline_s)

    def next_sending(self, now_s: float) -> Sending:
        """Return what is to be sent now. Its requests count as sent.

        Args:
            now_s: The caller's clock.
        """
        ids = list(self._unsent)[:MOST_SENT]
        for request_id in ids:
            del self._unsent[request_id]
            waiting = self._waiting[request_id]
            waiting.note_sent(now_s)
            self.timer_at_s = min(self.timer_at_s, waiting.due_s)
        asks = tuple(self._waiting[request_id].ask for request_id in ids)
        return Sending(asks, self._results.forgotten(2 * MOST_SENT), self._results.keep_from, self.read_until)

    def confirm(self, sending: Sending) -> None:
        """Note that the server has done what was sent."""
        self._results.confirm(sending.forgotten, sending.keep_from)

    def lose_connection(self) -> None:
        """Note that a connection was lost. Whatever is not answered may never have arrived, so it is unsent again."""
        self._unsent = dict.fromkeys(self._waiting)
        for waiting in self._waiting.values():
            waiting.first_sent_s = NEVER

    def receive(self, result_id: str, reply: Reply | None, now_s: float) -> None:
        """Take an entry of the reply stream, and call the callbacks that wait for it.

        Args:
            result_id: The entry's id in the reply stream.
            reply: The result; None: the entry is not a result.
            now_s: The caller's clock.
        """
        self.read_until = result_id
        if reply is None:
            return
        waiting = self._waiting.get(reply.request_id)
        if reply.error is None:
            self._results.keep(result_id, reply, is_awaited=waiting is not None)
        else:
            self._results.forget(reply)
            if waiting is None or not waiting.was_sent:
                return
            if reply.error == EXPIRED and now_s < waiting.ask.deadline_s:
                self._unsent[reply.request_id] = None  # an earlier process sent it with a shorter deadline
                return
        if waiting is not None:
            self._finish(waiting, reply)

    def pass_time(self, now_s: float) -> None:
        """Give up on what is late, and make what takes long unsent again, in portions; see rule 2.

        A portion begins with the requests that have been due for the longest time.

        Args:
            now_s: The caller's clock.
        """
        for waiting in [waiting for waiting in self._waiting.values() if waiting.ask.deadline_s <= now_s]:
            self._finish(waiting, None)
        overdue = [waiting for waiting in self._waiting.values() if waiting.due_s <= now_s]
        room = max(0, MOST_SENT - len(self._unsent))
        for waiting in nsmallest(room, overdue, key=attrgetter("due_s")):
            waiting.due_s = NEVER
            self._unsent[waiting.ask.request_id] = None
        later_s = now_s + PORTION_S if len(overdue) > room else NEVER
        left = self._waiting.values()
        due_s = min((waiting.due_s for waiting in left if waiting.due_s > now_s), default=NEVER)
        deadline_s = min((waiting.ask.deadline_s for waiting in left), default=NEVER)
        self.timer_at_s = min(later_s, due_s, deadline_s)

    def give_up(self) -> None:
        """End all waiting: every callback is called with None."""
        for waiting in list(self._waiting.values()):
            self._finish(waiting, None)

    def _finish(self, waiting: _Waiting, reply: Reply | None) -> None:
        request_id = waiting.ask.request_id
        del self._waiting[request_id]
        self._unsent.pop(request_id, None)
        for callback in waiting.callbacks:
            callback(reply)
