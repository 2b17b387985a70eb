"""The history of weights: what each change did, what a rollback goes back to, and which weights a version names."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from worker.core.weights.changes import version_by_key
from worker.core.weights.in_force import POSITIONED, source_of
from worker.core.weights.values import default_weights, parse_weights
from worker.errors import WeightsError

_MOVES_SHOWN = 6
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as the history has it.

    Attributes:
        id: The entry's id.
        name: The weights name, see `worker.core.weights.changes.StoredWeights`.
        who: Who made it.
        reason: Why.
        before: The value before; empty: none.
        after: The value after; empty: none.
        version_before: Version of the weights by this key before the change; empty if it had none of its own.
        version_after: The same, after the change.
        until_ms: When these temporary weights give way, Unix time in ms; None: they are not temporary.
        lapsed_ms: When the return was due that this change cancelled; None: there was none.
        returned_ms: If this change is a return, when it was due; None: it is not.
        undone_from: See `worker.core.weights.changes.WantedChange`.
    """

    id: str
    name: str | None
    who: str
    reason: str
    before: str
    after: str
    version_before: str
    version_after: str
    until_ms: int | None = None
    lapsed_ms: int | None = None
    returned_ms: int | None = None
    undone_from: str = ""

    @property
    def at_ms(self) -> int:
        """Return when it was made, Unix time in ms by the clock of Redis."""
        return int(self.id.partition("-")[0])

    @property
    def shares_before(self) -> Mapping[str, float]:
        """Return the weights before: category -> share; empty if there were none, or they are not known."""
        return _shares(self.name, self.before, self.version_before)

    @property
    def shares_after(self) -> Mapping[str, float]:
        """Return the weights after, likewise."""
        return _shares(self.name, self.after, self.version_after)


class Authorship(NamedTuple):
    """Who made one change, and why.

    Attributes:
        entry: Id of its entry in the history.
        name: The weights name, see `worker.core.weights.in_force`.
        mark: Mark of the value that it stored; empty if it changed nothing.
        who: Who made it.
        reason: Why.
        until_ms: When these temporary weights end, Unix time in ms; None: they are not temporary.
    """

    entry: str
    name: str | None
    mark: bytes
    who: str
    reason: str
    until_ms: int | None = None


class Target(NamedTuple):
    """What a rollback goes back to.

    Attributes:
        value: What the key held; None: it was absent.
        version: Its version; empty if it has none of its own.
        undone_from: See `worker.core.weights.changes.WantedChange`.
    """

    value: str | None
    version: str
    undone_from: str = ""


def read_change(entry_id: str, fields: Mapping[str, str]) -> Change:
    """Read an entry of the history. If it has no versions, those of its values are computed.

    Args:
        entry_id: Its id.
        fields: Its fields; missing ones count as empty.
    """
    name = fields.get("dataset") or None
    before, after = fields.get("before", ""), fields.get("after", "")
    return Change(
        id=entry_id,
        name=name,
        who=fields.get("who", ""),
        reason=fields.get("reason", ""),
        before=before,
        after=after,
        version_before=fields.get("version_before", _version(name, before)),
        version_after=fields.get("version_after", _version(name, after)),
        until_ms=read_digits(fields.get("until", "")),
        lapsed_ms=read_digits(fields.get("lapsed", "")),
        returned_ms=read_digits(fields.get("returned", "")),
        undone_from=fields.get("undone_from", ""),
    )


class Undo:
    """The search for what undoing the last change of a key goes back to.

    It looks at the key's changes, the newest first, and follows four rules:

    1. A rollback records from which change on it has undone everything. Those changes are skipped, so undoing again
       goes further back.
    2. Temporary weights that have given way have undone themselves. They and their return are skipped.
    3. Nothing goes back to temporary weights, as nobody wanted them for good. It goes back to what was before them.
    4. If the key holds something else than its last change stored, somebody else has changed it. That change is the
       one to undo, and it has replaced what the last recorded change stored.

    What positions a value (`worker.core.weights.in_force`) is a rule's own: nothing goes back to it, and a change of
    nothing else is none.
    """

    def __init__(self, name: str | None, held: str) -> None:
        """Begin before the newest change.

        Args:
            name: The weights name.
            held: What its key holds now; empty: nothing.
        """
        self._name = name
        self._held = held.removeprefix(POSITIONED)
        self._undone_from: str | None = None
        self._is_skipping = False
        self.target: Target | None = None
        """What to go back to, if the key has no older change; None: the history does not know."""

    def look_at(self, change: Change) -> Target | None:
        """Look at this key's next older change.

        Returns:
            What to go back to; None: the next older change has to be looked at, too.
        """
        change = replace(
            change, before=change.before.removeprefix(POSITIONED), after=change.after.removeprefix(POSITIONED)
        )
        if self.target is None:
            self.target = self._find(change)
            if self.target is None or change.before == (self.target.value or ""):
                return None
        if change.until_ms is None or change.after != (self.target.value or ""):
            return self.target
        self.target = self._target(change.before, change.id)
        return None

    def _find(self, change: Change) -> Target | None:
        """Find what to go back to by rules 1, 2 and 4."""
        if self._undone_from is not None and sort_key(change.id) >= sort_key(self._undone_from):
            return None
        if self._is_skipping:
            self._is_skipping = change.before != self._held
            return None
        if change.after != self._held:
            ms, sequence = sort_key(change.id)
            return self._target(change.after, f"{ms}-{sequence + 1}")
        if change.undone_from:
            self._undone_from = change.undone_from
            return None
        self._is_skipping = change.returned_ms is not None
        if self._is_skipping or change.before == change.after:
            return None
        return self._target(change.before, change.id)

    def _target(self, text: str, undone_from: str) -> Target:
        return Target(text or None, _version(self._name, text), undone_from)


class Versions:
    """The search for the weights of one version among a key's changes."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.seen: dict[str, None] = {}

    def look_at(self, change: Change) -> Target | None:
        """Look at this key's next older change, and note its versions.

        Returns:
            What to go back to; None: neither side of this change is of that version.
        """
        for version, text in ((change.version_after, change.after), (change.version_before, change.before)):
            if version == self._version:
                return Target(text.removeprefix(POSITIONED) or None, version)
            if version:
                self.seen[version] = None
        return None


def moves(change: Change) -> list[tuple[str, float]]:
    """Compute how many percentage points each category won or lost, the largest move first."""
    before, after = change.shares_before, change.shares_after
    points = {name: 100 * (after.get(name, 0.0) - before.get(name, 0.0)) for name in {**before, **after}}
    moved = [(name, round(value, 1)) for name, value in points.items() if round(value, 1)]
    return sorted(moved, key=lambda move: (-abs(move[1]), move[0]))


def moves_text(change: Change) -> str:
    """Write the moves of a change for people."""
    moved = moves(change)
    shown = [f"{name} {points:+g}" for name, points in moved[:_MOVES_SHOWN]]
    more = [f"and {len(moved) - _MOVES_SHOWN} more"] if len(moved) > _MOVES_SHOWN else []
    return ", ".join(shown + more) or "nothing"


def _shares(name: str | None, text: str, version: str) -> Mapping[str, float]:
    """Return the shares that a value puts in force; empty if it is refused, or if its defaults are not known here."""
    try:
        weights = parse_weights(text.encode(), source_of(name)) if text else None
    except WeightsError:
        return {}
    if weights is None:
        return default_weights().shares if name is None and version == default_weights().version else {}
    return weights.shares


def _version(name: str | None, text: str) -> str:
    return version_by_key(name, text.encode() or None)


def read_digits(text: str) -> int | None:
    """Read a whole number as Redis writes it; None if it is not one."""
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal() else None


def sort_key(entry_id: str) -> tuple[int, int]:
    """Read an entry's id so that ids compare: ms, and the sequence number."""
    ms, _, sequence = entry_id.partition("-")
    return read_digits(ms) or 0, read_digits(sequence) or 0
