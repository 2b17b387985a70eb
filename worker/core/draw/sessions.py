"""Sessions: what one training is pinned to and what it has heard, as the fields of one hash that settling fences.

A batch is drawn under what a session's hash held when it was last known, and says what it changes. Settling does
all of it or, where the hash holds something else by then, nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from worker.core.draw.cursor import Cursor
from worker.core.keys import CATEGORY_PATTERN, PINNED
from worker.core.stats import Counts, Tally, read_stats
from worker.core.weights.presets import weights_of
from worker.core.weights.values import InForce, Weights, parse_weights
from worker.core.wire import Terms, shown
from worker.errors import RequestError, WeightsError

if TYPE_CHECKING:
    from worker.core.catalog import Catalog

_CURSOR: Final = "epoch:"
_CATEGORY_BYTES = 128  # of a category's name and cursor, or name and weight, at the most without ranks owed

Fields = Mapping[str, bytes] | None
"""What a session's hash holds, field -> value; None where its key holds another type."""


class Session(NamedTuple):
    """Hold what is known of a session's hash.

    Attributes:
        fields: Field -> value, as far as draws depend on it.
        pinned: The weights it is pinned to; None while it is not.
        cursors: Category -> how far it has come.
        problem: What keeps it from being used; empty when nothing does.
    """

    fields: Mapping[str, bytes] = MappingProxyType({})
    pinned: Weights | None = None
    cursors: Mapping[str, Cursor] = MappingProxyType({})
    problem: str = ""

    @property
    def width(self) -> int:
        """Tell what it takes to remember it: categories that it holds something of, or as many bytes as those take."""
        pieces = len(self.cursors) + (0 if self.pinned is None else len(self.pinned.shares))
        return pieces + sum(len(name) + len(value) for name, value in self.fields.items()) // _CATEGORY_BYTES


NEW_SESSION: Final = Session()


class SessionChange(NamedTuple):
    """Say what a batch does to a session's hash.

    Attributes:
        expected: Field -> what it has to hold still; empty for nothing.
        stored: Field -> what it holds from now on.
        growth: Field -> how much it grows.
    """

    expected: Mapping[str, bytes]
    stored: Mapping[str, bytes]
    growth: Mapping[str, int]


def read_session(fields: Fields) -> Session:
    """Read what a session's hash holds; fields of other kinds are left alone.

    Args:
        fields: Field -> value; None where its key holds another type.
    """
    if fields is None:
        return Session(problem="its key holds no hash")
    kept = {name: value for name, value in fields.items() if name == PINNED or _is_cursor(name)}
    try:
        pinned = _read_pinned(kept[PINNED]) if PINNED in kept else None
        cursors = {name.removeprefix(_CURSOR): _read_cursor(name, v) for name, v in kept.items() if name != PINNED}
    except WeightsError as error:
        # Of what cannot be used nothing is remembered: it is read again each time, and may be of any size.
        return Session(problem=f"its hash holds what no worker wrote: {error}")
    return Session(kept, pinned, cursors)


def session_counts(fields: Mapping[str, bytes]) -> Counts:
    """Read the counts in a session's hash, which stand below no dataset.

    Args:
        fields: Field -> value.
    """
    return read_stats({name: value.decode(errors="replace") for name, value in fields.items() if ":" in name})


def needs_reading(terms: Terms) -> bool:
    """Tell whether what is asked for can only be answered knowing what its session's hash holds."""
    return terms.pin or terms.method == "epoch"


def pin_sessions(
    asked: Iterable[Terms],
    weights: Mapping[str | None, InForce],
    sessions: Mapping[str, Session],
    catalog: "Catalog | None",
) -> Mapping[str, Session]:
    """Pin each session that is not yet to the weights in force for its first pinned request.

    Args:
        asked: What requests ask for, in the order in which they were added.
        weights: See `worker.core.draw.prepare.Snapshots`.
        sessions: Those that are named, as they are known.
        catalog: The READY chunks, as far as they are known.
    """
    pinned = dict(sessions)
    for terms in asked:
        if not terms.pin or terms.session is None:
            continue
        session = pinned[terms.session]
        if session.pinned is None and not session.problem:
            held = weights_of(terms, weights, catalog).weights
            if held.shares:
                pinned[terms.session] = session._replace(pinned=replace(held, source="session"))
    return pinned


def unusable(name: str, session: Session) -> RequestError:
    """Make the error of a request whose session cannot be used."""
    why = f"session {shown(name.encode())} cannot be used, {session.problem}"
    return RequestError("invalid_request", f"{why}; accepted: another session, or this one once its key is deleted")


def _is_cursor(name: str) -> bool:
    """Tell whether a field is of a category that there can be."""
    return name.startswith(_CURSOR) and CATEGORY_PATTERN.fullmatch(name.removeprefix(_CURSOR)) is not None


def _read_cursor(name: str, value: bytes) -> Cursor:
    try:
        return Cursor.parse(value.decode())
    except ValueError:
        raise WeightsError(f"{name} is {shown(value)}, which is no cursor") from None


def _read_pinned(value: bytes) -> Weights:
    weights = parse_weights(value, "session")
    if weights is None:
        raise WeightsError("all weights are zero")
    return weights


class Visit:
    """Follow one session through a batch.

    Attributes:
        cursors: Category -> how far it has come by now.
        tally: Counts of its requests, below no dataset.
    """

    def __init__(self, session: Session) -> None:
        """Take what is known of the session as the batch begins, pinned by now where a request wants it to be."""
        self._session = session
        self._goes_by_pin = False
        self.cursors = dict(session.cursors)
        self.tally = Tally()

    def go_by_pin(self) -> None:
        """Note that the pinned weights decide what is drawn."""
        self._goes_by_pin = True

    @property
    def change(self) -> SessionChange:
        """Tell what the batch does to the session's hash."""
        known = self._session.fields
        moved = {name: at for name, at in self.cursors.items() if at != self._session.cursors.get(name)}
        stored = {f"{_CURSOR}{name}": at.text.encode() for name, at in moved.items()}
        expected = {name: known.get(name, b"") for name in stored}
        if self._goes_by_pin and self._session.pinned is not None:
            expected[PINNED] = known.get(PINNED, b"")
            if PINNED not in known:
                stored[PINNED] = self._session.pinned.exact_text.encode()
        return SessionChange(expected, stored, self.tally.fields)

    @property
    def before(self) -> Session:
        """Tell what the session's hash held as the batch began."""
        return self._session if PINNED in self._session.fields else self._session._replace(pinned=None)

    @property
    def after(self) -> Session:
        """Tell what the session's hash holds once the batch is settled."""
        fields = {**self._session.fields, **self.change.stored}
        return Session(fields, self._session.pinned if PINNED in fields else None, self.cursors)
