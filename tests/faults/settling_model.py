"""What settling promises, as a pure model: the streams, the group, the weights keys and the sessions, and one step.

Nothing here knows how the script does it. A batch is settled as a whole or not at all, in the order of the contract's
checks.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Value = str | list[str] | None
Fields = Mapping[str, bytes]

WEIGHTS: Final = (None, "d")
SESSIONS: Final = ("s", "t")
STREAMS: Final = (None, "r")


class Drawn(NamedTuple):
    """A batch that a consumer has drawn and may settle, once or more often, now or much later.

    Attributes:
        consumer: Whose it is.
        entries: Of the requests, in the order of the stream.
        marks: What the weights keys held when it was drawn: name -> mark.
        expected: Session -> field -> what its hash has to hold still; empty for nothing.
        stored: Session -> field -> what it holds from then on.
        dead: Entries that are given up on.
    """

    consumer: str
    entries: tuple[str, ...]
    marks: Mapping[str | None, bytes]
    expected: Mapping[str, Fields]
    stored: Mapping[str, Fields]
    dead: frozenset[str]


class Outcome(NamedTuple):
    """The outcome of a settling; all empty: it is done.

    Attributes:
        is_group_missing: Nothing could be settled, as there is no group.
        stale: Weights keys that hold something else.
        moved: Sessions that hold something else, and what; None where it is no hash.
        lost: Entries that are not pending for the consumer.
        unwritable: Entries whose result cannot be written.
    """

    is_group_missing: bool = False
    stale: frozenset[str | None] = frozenset()
    moved: Mapping[str, Fields | None] = {}
    lost: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()


DONE: Final = Outcome()


@dataclass
class Model:
    """What Redis has to hold.

    Attributes:
        reply_to: Every entry ever added -> the stream that its result goes to.
        waiting: Entries in the request stream, in order.
        has_group: Whether the consumer group is there.
        delivered: How many of `reply_to`'s entries were delivered, or passed over, since the group was made.
        pending: Entry -> whose it is.
        results: Result stream -> entries answered there, in order.
        answered: Entry -> how many results it ever got.
        letters: Entries with a dead letter, in order.
        requests: What the stats say.
        values: Weights key -> what it holds.
        sessions: Session -> its fields; None where its key is no hash.
        spoiled: Result streams whose key is a string.
    """

    reply_to: dict[str, str | None] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    has_group: bool = False
    delivered: int = 0
    pending: dict[str, str] = field(default_factory=dict)
    results: dict[str | None, list[str]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    answered: Counter[str] = field(default_factory=Counter)
    letters: list[str] = field(default_factory=list)
    requests: int = 0
    values: dict[str | None, Value] = field(default_factory=lambda: dict.fromkeys(WEIGHTS))
    sessions: dict[str, dict[str, bytes] | None] = field(default_factory=dict)
    spoiled: set[str | None] = field(default_factory=set)

    def add(self, entry: str, reply_to: str | None) -> None:
        """Add a request."""
        self.reply_to[entry] = reply_to
        self.waiting.append(entry)

    def open(self) -> None:
        """Make the group where it is missing; it begins at the first entry."""
        if not self.has_group:
            self.has_group, self.delivered = True, 0

    def read(self, consumer: str, count: int) -> list[str]:
        """Deliver entries that were never delivered."""
        known = list(self.reply_to)
        new = [entry for entry in known[self.delivered :] if entry in self.waiting][:count]
        if new:
            self.delivered = known.index(new[-1]) + 1
        self.pending.update(dict.fromkeys(new, consumer))
        return new

    def take_over(self, consumer: str) -> list[str]:
        """Make all that is pending one consumer's."""
        self.pending = dict.fromkeys(self.pending, consumer)
        return self.mine(consumer)

    def mine(self, consumer: str) -> list[str]:
        """List what is pending for a consumer, in the order of the stream."""
        return [entry for entry in self.waiting if self.pending.get(entry) == consumer]

    def destroy_group(self) -> None:
        """Forget who has what."""
        self.has_group = False
        self.pending.clear()

    def flush(self) -> None:
        """Lose everything; what was answered was answered."""
        self.destroy_group()
        self.waiting.clear()
        self.letters.clear()
        self.requests = 0
        self.results = {stream: [] for stream in STREAMS}
        self.values = dict.fromkeys(WEIGHTS)
        self.sessions.clear()
        self.spoiled.clear()

    def settle(self, drawn: Drawn) -> Outcome:
        """Settle a batch, or tell why not."""
        outcome = self._look(drawn)
        if outcome == DONE:
            for entry in drawn.entries:
                self._write(entry, is_dead=entry in drawn.dead)
            self.requests += len(drawn.entries)
            for session, fields in drawn.stored.items():
                self.sessions[session] = {**(self.sessions.get(session) or {}), **fields}
        return outcome

    def _look(self, drawn: Drawn) -> Outcome:
        stale = frozenset(name for name, mark in drawn.marks.items() if mark_of(self.values[name]) != mark)
        moved = {
            name: self.sessions.get(name, {}) for name, fields in drawn.expected.items() if self._moved(name, fields)
        }
        if stale or moved:
            return Outcome(stale=stale, moved=moved)
        if not self.has_group:
            return Outcome(is_group_missing=True)
        mine = set(self.mine(drawn.consumer))
        lost = tuple(entry for entry in drawn.entries if entry not in mine)
        unwritable = tuple(
            entry
            for entry in drawn.entries
            if entry in mine and self.reply_to[entry] in self.spoiled and entry not in drawn.dead
        )
        return Outcome(lost=lost, unwritable=unwritable)

    def _moved(self, session: str, expected: Fields) -> bool:
        held = self.sessions.get(session, {})
        return held is None or any(held.get(name, b"") != value for name, value in expected.items())

    def _write(self, entry: str, *, is_dead: bool) -> None:
        if is_dead:
            self.letters.append(entry)
        if self.reply_to[entry] not in self.spoiled:
            self.results[self.reply_to[entry]].append(entry)
        self.answered[entry] += 1
        self.waiting.remove(entry)
        del self.pending[entry]


def mark_of(value: Value) -> bytes:
    """Return the mark of what a weights key holds."""
    if value is None:
        return b"absent"
    return b"wrong type" if isinstance(value, list) else hashlib.sha1(value.encode()).hexdigest().encode()  # noqa: S324
