"""What one lane holds: requests that are not settled yet, and what is known of their sessions.

A request is in hand from its delivery until it is settled, lost, or left pending for a later attempt.

Sessions run ahead of Redis. The effect of a batch on a session is known once the batch is drawn. The next batch goes on
from there, without waiting for the settling. If the first batch is not settled after all, the second cannot be settled
either: the session's hash does not hold what the second was drawn under. So the sessions of a batch that was not
settled go back to what their hashes hold, all at once. If only the moved ones went back, the others would be refused at
the next attempt. Then the first ones would be refused again, and so on for ever.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from worker.core.draw.sessions import NEW_SESSION, Session, SessionChange, Visit, needs_reading, read_session
from worker.core.draw.slicing import Slice, is_light, slice_by_work
from worker.core.wire import Request, Result, Terms
from worker.ports import GivenUp, RequestStream, Settled
from worker.service.snapshots import SessionsBook


class InHand:
    """The requests that one lane holds, in the order of the stream.

    Attributes:
        dead: Entry id -> the requests among them that are given up on.
    """

    def __init__(self) -> None:
        self._requests: list[Request | Result] = []
        self.dead: dict[str, GivenUp] = {}

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<InHand {len(self)} requests, {len(self.dead)} given up on>"

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self._requests)

    @property
    def entry_ids(self) -> list[str]:
        """Return the entries of the requests."""
        return [request.entry_id for request in self._requests]

    @property
    def is_light(self) -> bool:
        """Return whether these are a few requests that are drawn quickly; also if there are none."""
        return not self.dead and is_light(self._requests)

    def add(self, requests: Sequence[Request | Result]) -> None:
        """Add requests, and error results of entries that are no valid requests."""
        self._requests.extend(requests)

    def add_dead(self, given_up: GivenUp) -> None:
        """Add a request that is given up on."""
        self._requests.append(given_up.result)
        self.dead[given_up.result.entry_id] = given_up

    def next_part(self) -> Slice:
        """Return the first requests that are to be drawn and settled together."""
        return next(slice_by_work(self._requests))

    def drop_first(self, part: Sequence[Request | Result]) -> None:
        """Remove the first part, as `next_part` returned it."""
        del self._requests[: len(part)]
        if self.dead:
            for request in part:
                self.dead.pop(request.entry_id, None)

    def drop(self, entry_ids: AbstractSet[str]) -> None:
        """Remove some entries, wherever they are."""
        self._requests = [request for request in self._requests if request.entry_id not in entry_ids]
        self.dead = {entry_id: one for entry_id, one in self.dead.items() if entry_id not in entry_ids}

    def clear(self) -> None:
        """Remove everything."""
        self._requests.clear()
        self.dead.clear()


class SessionsInHand:
    """The sessions of the requests in hand: read on demand, advanced by draws, corrected by settling."""

    def __init__(self, stream: RequestStream, book: SessionsBook) -> None:
        """Connect the parts.

        Args:
            stream: Reads the hashes of sessions.
            book: Remembers sessions for all lanes.
        """
        self._stream = stream
        self._book = book

    async def read(self, asked: Sequence[Terms]) -> Mapping[str, Session]:
        """Return the sessions that requests name; read those that a draw needs and that are not known.

        Raises:
            RedisError: Redis did not answer.
        """
        needed: dict[str, bool] = {}
        for terms in asked:
            if (name := terms.session) is not None:
                needed[name] = needed.get(name, False) or needs_reading(terms)
        found: dict[str, Session] = {}
        if unknown := [name for name, is_read in needed.items() if self._has_to_be_read(name, is_needed=is_read)]:
            for name, fields in zip(unknown, await self._stream.read_sessions(unknown), strict=True):
                found[name] = read_session(fields)
                self._book.put(name, found[name])
        # The book may have forgotten wide sessions already, to make room for others.
        return {name: self._book.get(name) or found.get(name, NEW_SESSION) for name in needed}

    def advance(self, visits: Mapping[str, Visit]) -> Mapping[str, SessionChange]:
        """Store each session's state after a draw, so that the next batch can be drawn before this one is settled.

        Returns:
            What settling has to change in the hash of each session.
        """
        changes = {name: visit.change for name, visit in visits.items()}
        for name, change in changes.items():
            if change.stored:
                self._book.put(name, visits[name].after)
        return changes

    def correct(self, visits: Mapping[str, Visit], settled: Settled) -> None:
        """Set the sessions of a batch that was not settled back to what their hashes hold."""
        if settled.is_done:
            return
        for name, visit in visits.items():
            if name in settled.moved:
                self._book.put(name, read_session(settled.moved[name]))
            elif visit.change.stored:
                self._book.put(name, visit.before)

    def _has_to_be_read(self, name: str, *, is_needed: bool) -> bool:
        """Return whether to read a session; an unusable one is read each time, as it may have been mended."""
        held = self._book.get(name)
        return is_needed if held is None else bool(held.problem)
