"""The base of every log event: a name, a level, and flat fields."""

from dataclasses import dataclass
from typing import ClassVar, Literal

Level = Literal["debug", "info", "warning", "error"]
Value = str | int | float | bool | None

LONGEST_TEXT = 256
"""Longest text of a field in a line, in characters."""

MAX_CHARS = "max_chars"
"""Key in a field's metadata: its longest text, where that is not `LONGEST_TEXT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base class of all events; every field of every event is a `Value`.

    Attributes:
        event: Name of the event, as it stands in the log line.
        level: Level of the line.
    """

    event: ClassVar[str]
    level: ClassVar[Level] = "info"
