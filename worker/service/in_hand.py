"""What one lane has in hand: requests that were read and are not settled, and the sessions that they belong to.

Requests. They are kept in the order of the stream, so that the first part of the hand is the next one to settle. A
request that is given up on is held as its error result, and its dead letter beside it.

Sessions. A session's state moves with each draw, and its hash in Redis moves with each settling. The next batch must
not wait for that settling. So the state after a draw is put in the book at once (`advance`), and settling compares the
hash with the state before. Where a batch was not settled, every session of it goes back (`roll_back`):

- one whose hash holds something else takes what the hash holds;
- each other one takes the state from before the draw. If it stayed ahead, settling would refuse it the next time,
  and then roll back the others, and so on for ever.
"""

from collections.abc import Collection, Mapping, Sequence

from worker.core.draw.sessions import NEW_SESSION, Session, SessionChange, Visit, needs_reading, read_session
from worker.core.wire import Request, Result, Terms
from worker.ports import GivenUp, RequestStream, Settled
from worker.service.snapshots import CurrentSnapshots


class InHand:
    """The requests that one lane holds."""

    def __init__(self) -> None:
        self._requests: list[Request | Result] = []
        self._given_up: dict[str, GivenUp] = {}

    def __repr__(self) -> str:
        return f"<InHand {len(self._requests)} requests, {len(self._given_up)} of them given up on>"

    @property
    def requests(self) -> Sequence[Request | Result]:
        """Return the requests in the order of the stream; a `Result` is the refusal of one."""
        return self._requests

    def add(self, requests: Sequence[Request | Result]) -> None:
        """Take requests in hand."""
        self._requests.extend(requests)

    def add_given_up(self, given_up: GivenUp) -> None:
        """Take in hand a request that is given up on."""
        self._requests.append(given_up.result)
        self._given_up[given_up.result.entry_id] = given_up

    def clear(self) -> None:
        """Let go of everything: the group delivers again what still exists."""
        self._requests.clear()
        self._given_up.clear()

    def discard(self, gone: Collection[str]) -> None:
        """Let go of some entries, wherever they are."""
        self._requests = [request for request in self._requests if request.entry_id not in gone]
        self._given_up = {entry_id: one for entry_id, one in self._given_up.items() if entry_id not in gone}

    def discard_first(self, part: Sequence[Request | Result]) -> None:
        """Let go of the first part of what is in hand."""
        del self._requests[: len(part)]
        for one in self.given_up_of(part):
            del self._given_up[one.result.entry_id]

    def given_up_of(self, part: Sequence[Request | Result]) -> list[GivenUp]:
        """Return what is given up on among some requests."""
        held = self._given_up
        return [held[request.entry_id] for request in part if request.entry_id in held] if held else []

    @property
    def letters(self) -> Mapping[str, Sequence[str | bytes]]:
        """Return the dead letter of each entry that is given up on."""
        return {entry_id: one.letter for entry_id, one in self._given_up.items()}


class SessionsInHand:
    """The sessions that a lane's requests name: read where needed, moved by a draw, rolled back with a settling."""

    def __init__(self, stream: RequestStream, current: CurrentSnapshots) -> None:
        self._stream = stream
        self._current = current

    async def read(self, asked: Sequence[Terms]) -> Mapping[str, Session]:
        """Return the sessions that are named, reading those that have to be known and are not.

        Raises:
            RedisError: Redis did not answer.
        """
        book = self._current.sessions
        needed: dict[str, bool] = {}
        for terms in asked:
            if (name := terms.session) is not None:
                needed[name] = needed.get(name, False) or needs_reading(terms)
        # One that cannot be used is read again each time: nothing else would tell that it can be by now.
        unknown = [
            name for name, is_read in needed.items() if (is_read if (held := book.get(name)) is None else held.problem)
        ]
        found: dict[str, Session] = {}
        if unknown:
            for name, fields in zip(unknown, await self._stream.read_sessions(unknown), strict=True):
                found[name] = read_session(fields)
                book.put(name, found[name])
        # Wide ones may have been forgotten already for the sake of others.
        return {name: book.get(name) or found.get(name, NEW_SESSION) for name in needed}

    def advance(self, visits: Mapping[str, Visit]) -> Mapping[str, SessionChange]:
        """Put each session's state after a draw in the book, so that the next batch can draw before this is settled.

        Args:
            visits: Session -> what the draw did to it.

        Returns:
            Session -> what settling has to do to its hash.
        """
        for name, visit in visits.items():
            if visit.change.stored:
                self._current.sessions.put(name, visit.after)
        return {name: visit.change for name, visit in visits.items()}

    def roll_back(self, visits: Mapping[str, Visit], settled: Settled) -> None:
        """Put every session of a batch that was not settled back to what its hash holds."""
        for name, visit in visits.items():
            if name in settled.moved:
                self._current.sessions.put(name, read_session(settled.moved[name]))
            elif visit.change.stored:
                self._current.sessions.put(name, visit.before)
