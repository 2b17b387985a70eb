"""Sessions: what one training is pinned to and how far it has come, as fields of one hash in Redis.

A batch is drawn under what a session's hash is known to hold, before anything is written. Two requests of a session may
be drawn by two workers at once. So each batch names a `SessionChange`:

- `expected`: the fields that the draw depended on, with their values. Settling compares them with the hash.
- `stored`: the fields that change. Settling writes them together with the results.
- `growth`: counts, which add up in any order and are never compared.

Settling does all of it, or nothing if the hash holds something else by now. Then the batch is drawn again, from what
the hash holds. So cursors and results agree after every crash: a chunk counts as drawn exactly if its result was
written.

A `Visit` follows one session through one batch. Its requests draw one after the other from the visit's cursors, not
from the hash. `before` and `after` are what the hash holds if the batch is not settled, and if it is; the worker draws
the next batch from `after` without waiting for the settling.

Within the hash, the field `weights` is the pin, and `epoch:<course>` is a cursor. `schedule` and `position` are those
of `worker.core.draw.session_schedules`. Other fields with a colon are counts. Anybody may have written there: what
cannot be read makes the session unusable, and says why.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from worker.core.draw.cursor import Cursor, is_course
from worker.core.keys import PINNED, POSITION, SCHEDULE
from worker.core.stats import Counts, Tally, read_stats
from worker.core.weights.values import Weights, parse_weights
from worker.core.wire import Terms, shown
from worker.errors import RequestError, WeightsError

_CURSOR: Final = "epoch:"
_OWN: Final = frozenset({PINNED, SCHEDULE, POSITION})
MOST_HEARD: Final = 1 << 53
_CATEGORY_BYTES = 128  # most bytes of a category's name and cursor without owed ranks, or of its name and weight

Fields = Mapping[str, bytes] | None
"""What a session's hash holds, field -> value; None if its key holds another type."""


class Session(NamedTuple):
    """What is known of a session's hash.

    Attributes:
        fields: Field -> value, as far as draws depend on it.
        pinned: The weights that it is pinned to; None while it is not pinned.
        cursors: Course -> how far it has come.
        problem: Why it cannot be used; empty: it can.
        schedule: The schedule that its pinned requests follow, as it is stored; None: it has none.
        position: How far it has come by that.
    """

    fields: Mapping[str, bytes] = MappingProxyType({})
    pinned: Weights | None = None
    cursors: Mapping[str, Cursor] = MappingProxyType({})
    problem: str = ""
    schedule: bytes | None = None
    position: int = 0

    @property
    def width(self) -> int:
        """Return its size in memory, in categories: those that it holds something of, and the bytes of its fields."""
        pieces = len(self.cursors) + (0 if self.pinned is None else len(self.pinned.shares))
        return pieces + sum(len(name) + len(value) for name, value in self.fields.items()) // _CATEGORY_BYTES


NEW_SESSION: Final = Session()


class SessionChange(NamedTuple):
    """What a batch does to a session's hash; see the module.

    Attributes:
        expected: Field -> the value that it must still hold; empty: it must be absent.
        stored: Field -> the value that it gets.
        growth: Field -> how much it grows.
    """

    expected: Mapping[str, bytes]
    stored: Mapping[str, bytes]
    growth: Mapping[str, int]


def read_session(fields: Fields) -> Session:
    """Read what a session's hash holds; fields of other kinds are ignored.

    Args:
        fields: Field -> value; None if its key holds another type.
    """
    if fields is None:
        return Session(problem="its key holds no hash")
    kept = {name: value for name, value in fields.items() if name in _OWN or _is_cursor(name)}
    try:
        pinned = _read_pinned(kept[PINNED]) if PINNED in kept else None
        cursors = {name.removeprefix(_CURSOR): _read_cursor(name, v) for name, v in kept.items() if name not in _OWN}
        position = _read_position(kept[POSITION]) if POSITION in kept else 0
    except WeightsError as error:
        # The fields of an unusable session are not kept: they may be of any size, and are read again each time.
        return Session(problem=f"its hash holds what no worker wrote: {error}")
    return Session(kept, pinned, cursors, schedule=kept.get(SCHEDULE), position=position)


def session_counts(fields: Mapping[str, bytes]) -> Counts:
    """Read the counts in a session's hash; they belong to no dataset.

    Args:
        fields: Field -> value.
    """
    return read_stats({name: value.decode(errors="replace") for name, value in fields.items() if ":" in name})


def needs_reading(terms: Terms) -> bool:
    """Return whether a draw depends on what the session's hash holds."""
    return terms.pin or terms.method == "epoch"


def unusable(name: str, session: Session) -> RequestError:
    """Make the error of a request whose session cannot be used."""
    why = f"session {shown(name.encode())} cannot be used, {session.problem}"
    return RequestError("invalid_request", f"{why}; accepted: another session, or this one once its key is deleted")


def _is_cursor(name: str) -> bool:
    """Return whether a field is the cursor of a course that can exist."""
    return name.startswith(_CURSOR) and is_course(name.removeprefix(_CURSOR))


def _read_cursor(name: str, value: bytes) -> Cursor:
    try:
        return Cursor.parse(value.decode())
    except ValueError:
        raise WeightsError(f"{name} is {shown(value)}, which is no cursor") from None


def _read_position(value: bytes) -> int:
    if not value.isdigit() or len(value) > len(str(MOST_HEARD)) or int(value) > MOST_HEARD:
        raise WeightsError(f"position is {shown(value)}, which is no count")
    return int(value)


def _read_pinned(value: bytes) -> Weights:
    weights = parse_weights(value, "session")
    if weights is None:
        raise WeightsError("all weights are zero")
    return weights


class Visit:
    """One session in one batch.

    Attributes:
        cursors: Course -> how far it has come by now.
        tally: Counts of its requests, of no dataset.
    """

    def __init__(self, session: Session) -> None:
        """Begin with what is known of the session.

        Args:
            session: As the batch begins; pinned by now if a request of the batch pins it.
        """
        self._session = session
        self._is_pinned = False
        self._uses_pin = False
        self._position = session.position
        self.cursors = dict(session.cursors)
        self.tally = Tally()

    @property
    def schedule(self) -> bytes | None:
        """Return the schedule that its pinned requests follow, as it is stored; None: it has none."""
        return self._session.schedule

    @property
    def position(self) -> int:
        """Return how far it has come by its schedule."""
        return self._position

    def use_pin(self) -> None:
        """Note that a request is drawn under the pinned weights."""
        self._is_pinned = self._uses_pin = True

    def follow(self) -> None:
        """Note that a request is drawn by the schedule, or that there is none."""
        self._is_pinned = True

    def hear(self, count: int) -> None:
        """Go on by what a request got, in what the schedule goes by."""
        self._position = min(self._position + count, MOST_HEARD)

    @property
    def change(self) -> SessionChange:
        """Return what the batch does to the session's hash."""
        known = self._session.fields
        moved = {name: at for name, at in self.cursors.items() if at != self._session.cursors.get(name)}
        stored = {f"{_CURSOR}{name}": at.text.encode() for name, at in moved.items()}
        expected = {name: known.get(name, b"") for name in stored}
        if self._is_pinned:
            expected[SCHEDULE] = known.get(SCHEDULE, b"")
        if self._position != self._session.position:
            expected[POSITION], stored[POSITION] = known.get(POSITION, b""), b"%d" % self._position
        elif self._is_pinned and self.schedule is not None:
            expected[POSITION] = known.get(POSITION, b"")
        if self._uses_pin and self._session.pinned is not None:
            expected[PINNED] = known.get(PINNED, b"")
            if PINNED not in known:
                stored[PINNED] = self._session.pinned.exact_text.encode()
        return SessionChange(expected, stored, self.tally.fields)

    @property
    def before(self) -> Session:
        """Return what the session's hash held as the batch began."""
        return self._session if PINNED in self._session.fields else self._session._replace(pinned=None)

    @property
    def after(self) -> Session:
        """Return what the session's hash holds once the batch is settled."""
        fields = {**self._session.fields, **self.change.stored}
        pinned = self._session.pinned if PINNED in fields else None
        return Session(fields, pinned, self.cursors, schedule=self.schedule, position=self._position)
