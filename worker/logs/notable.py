"""The last notable events of this process, in short, for people who look at a live worker."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from worker.core.events import Value
from worker.core.redaction import escape
from worker.core.workers.state_document import LONGEST_NOTE, MOST_NOTES

_FIRST: Final = ("message", "reason")  # sentences, which need no name before them
_LEFT_OUT: Final = frozenset({"after", "before", "consumer", "entry", "traceback"})  # long, or known to who looks
_LONGEST_VALUE: Final = 80
_DIGITS, _LARGE = 4, 1000


class Notes:
    """The last notable events. A kind that comes often pushes out itself, and never the only one of another kind."""

    def __init__(self) -> None:
        """Begin without events."""
        self._notes: list[dict[str, Any]] = []

    def add(self, level: str, event: str, fields: Mapping[str, Value]) -> None:
        """Keep an event.

        Args:
            level: Its level.
            event: Its name.
            fields: Its fields as a log line shows them: short, and without passwords.
        """
        at_ms = time.time_ns() // 1_000_000
        self._notes.append({"at_ms": at_ms, "level": level, "event": event, "text": _text(fields)})
        if len(self._notes) > MOST_NOTES:
            [(most, _)] = Counter(note["event"] for note in self._notes).most_common(1)
            self._notes.remove(next(note for note in self._notes if note["event"] == most))

    def documents(self) -> list[dict[str, Any]]:
        """Return the events as plain data, the newest last."""
        return [*self._notes]


def _text(fields: Mapping[str, Value]) -> str:
    """Write the fields of an event for people: sentences first, and without fields that mean nothing."""
    told = {name: value for name, value in fields.items() if value not in {None, "", 0} and name not in _LEFT_OUT}
    sentences = [str(told.pop(name)) for name in _FIRST if name in told]
    named = [f"{name}={_cut(str(brief(value)), _LONGEST_VALUE)}" for name, value in told.items()]
    return _cut(escape("; ".join([*sentences, " ".join(named)] if named else sentences)), LONGEST_NOTE)


def brief(value: object) -> object:
    """Round a number for people: four significant digits, and none behind the point of a large one."""
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= _LARGE else float(f"{value:.{_DIGITS}g}")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
