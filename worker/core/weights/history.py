"""The history of weights: what each change did, which one a rollback undoes, and which weights a version stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from worker.core.weights.changes import version_by_key
from worker.core.weights.values import default_weights, parse_weights, source_of
from worker.errors import WeightsError

_MOVES_SHOWN = 6
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Change:
    """Hold one change as the history has it.

    Attributes:
        id: The entry's id.
        name: Whose weights, see `worker.core.weights.changes.Standing`.
        who: Who made it.
        reason: Why.
        before: The value before; empty: none.
        after: The value after; empty: none.
        version_before: Version of the weights by this key; empty where it has none of its own.
        version_after: The same, after the change.
        until_ms: When these weights give way again, Unix time in ms; None: they are there for good.
        lapsed_ms: When a return was due that this change put an end to; None: there was none.
        returned_ms: When it was due, where this is the return of what temporary weights had replaced; None: it is none.
        undone_from: See `worker.core.weights.changes.Order`.
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
        """Tell when it was made, Unix time in ms by the clock of Redis."""
        return int(self.id.partition("-")[0])


class Target(NamedTuple):
    """Hold what a rollback goes back to.

    Attributes:
        value: What stood there; None: the key was absent.
        version: Its version; empty where it has none of its own.
        undone_from: See `worker.core.weights.changes.Order`.
    """

    value: str | None
    version: str
    undone_from: str = ""


def read_change(entry_id: str, fields: Mapping[str, str]) -> Change:
    """Read an entry of the history; one without versions gets those of its values.

    Args:
        entry_id: Its id.
        fields: Its fields; those that are missing are empty.
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
        until_ms=_number(fields.get("until", "")),
        lapsed_ms=_number(fields.get("lapsed", "")),
        returned_ms=_number(fields.get("returned", "")),
        undone_from=fields.get("undone_from", ""),
    )


class Undo:
    """Find what the last change of a key that is not undone yet has replaced.

    Undoing again goes on further back: a rollback says from which change on it has undone everything. Temporary weights
    that have given way again have undone themselves. Nothing goes back to temporary weights, which nobody wanted for
    good: what stood before them is gone back to.
    """

    def __init__(self, name: str | None, held: str) -> None:
        """Take whose key, and what it holds now; empty: nothing."""
        self._name = name
        self._held = held
        self._undone_from: str | None = None
        self._is_away = False
        self.target: Target | None = None
        """What to go back to, once no older change of the key tells otherwise; None: the history knows nothing."""

    def look_at(self, change: Change) -> Target | None:
        """Look at this key's next older change.

        Returns:
            What to go back to; None: it lies further back, or the change before tells whether it was temporary.
        """
        if self.target is None:
            self.target = self._find(change)
            if self.target is None or change.before == (self.target.value or ""):
                return None
        if change.until_ms is None or change.after != (self.target.value or ""):
            return self.target
        self.target = self._target(change.before, change.id)
        return None

    def _find(self, change: Change) -> Target | None:
        """Find what to go back to, be it temporary or not."""
        if self._undone_from is not None and _place(change.id) >= _place(self._undone_from):
            return None
        if self._is_away:
            self._is_away = change.before != self._held
            return None
        if change.after != self._held:
            # Somebody else changed it after this: that is the last change, and what it replaced is known from here.
            ms, sequence = _place(change.id)
            return self._target(change.after, f"{ms}-{sequence + 1}")
        if change.undone_from:
            self._undone_from = change.undone_from
            return None
        self._is_away = change.returned_ms is not None
        if self._is_away or change.before == change.after:
            return None
        return self._target(change.before, change.id)

    def _target(self, text: str, undone_from: str) -> Target:
        return Target(text or None, _version(self._name, text), undone_from)


class Versions:
    """Find the weights of a version among a key's changes."""

    def __init__(self, version: str) -> None:
        """Take the version that is looked for."""
        self._version = version
        self.seen: dict[str, None] = {}

    def look_at(self, change: Change) -> Target | None:
        """Look at this key's next older change, and remember its versions.

        Returns:
            What to go back to; None: this change knows nothing of that version.
        """
        for version, text in ((change.version_after, change.after), (change.version_before, change.before)):
            if version == self._version:
                return Target(text or None, version)
            if version:
                self.seen[version] = None
        return None


def moves(change: Change) -> list[tuple[str, float]]:
    """Tell how many points (hundredths of the whole) each category won or lost, the largest move first."""
    sides = ((change.before, change.version_before), (change.after, change.version_after))
    before, after = (_shares(change.name, *side) for side in sides)
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
    """Tell the weights that a value puts in force; one that is refused puts none, and other defaults are not known."""
    try:
        weights = parse_weights(text.encode(), source_of(name)) if text else None
    except WeightsError:
        return {}
    if weights is None:
        return default_weights().shares if name is None and version == default_weights().version else {}
    return weights.shares


def _version(name: str | None, text: str) -> str:
    return version_by_key(name, text.encode() or None)


def _number(text: str) -> int | None:
    """Read a whole number as Redis holds them, up to 64 bits; None where it is none."""
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal() else None


def _place(entry_id: str) -> tuple[int, int]:
    """Read an entry's id so that it compares: ms, and a number within."""
    ms, _, sequence = entry_id.partition("-")
    return _number(ms) or 0, _number(sequence) or 0
