"""Find the worker's JSON objects in lines, whatever log drivers, collectors or exports have written around them.

A line may hold an object alone, behind other words, or in a list. It may also hold it as a string within another
program's object. Objects that are spread over several lines are joined again: pretty-printed ones, and those that were
cut into pieces.

An object is the worker's if its `event` is a known name. Any other object with `event` and `timestamp` is accepted too,
because another version of the worker may have written it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from worker.core.events import EVENTS
from worker.report.json_text import quoted, value_at_end, values

_PIECE: Final = re.compile(r"^\S+ (stdout|stderr) ([PF])(?: (.*))?$", re.DOTALL)
_TIMES: Final = (
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "date",
    "_time",
    "receiveTimestamp",
    "__REALTIME_TIMESTAMP",
)
_KNOWN: Final = frozenset(EVENTS)
_DOCKER: Final = '{"log":'
_DEEPEST = 12
_MOST_HELD = 20_000  # lines of one object
_OLDEST_S, _NEWEST_S = 1e9, 7.3e9
_Time = str | None


class Found(NamedTuple):
    """An object of the worker.

    Attributes:
        entry: The object, with its `timestamp`.
        lines: Number of lines that it took.
    """

    entry: Mapping[str, Any]
    lines: int = 1


class Unwrapper:
    """Find the objects of one file, line by line."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._open = _Open()

    def find_whole(self, line: str) -> Mapping[str, Any] | None:
        """Find the object of a line as a worker or Docker has written it; None if there is more to look at.

        Nearly all lines are so, and this takes a fraction of the time that `find` does.

        Args:
            line: A line without its line end, not empty.
        """
        if line[0] == "{":
            text = _log_of(line) if line.startswith(_DOCKER) and not self._pieces else line
        elif _PIECE.match(line):
            return None
        else:
            text = line
        return self._entry_at_end(text)

    def find(self, line: str) -> list[Found]:
        """Find the objects that are complete at the end of a line in which `find_whole` has found none.

        Args:
            line: A line without its line end, not empty.
        """
        piece = None if line[0] == "{" else _PIECE.match(line)
        if piece is None:
            return self._find(line, 1)
        held = self._pieces.setdefault(piece[1], [])
        held.append(piece[3] or "")
        if piece[2] == "P" and len(held) < _MOST_HELD:
            return []
        del self._pieces[piece[1]]
        if len(held) == 1 and (entry := self._entry_at_end(held[0])) is not None:
            return [Found(entry)]
        return self._find("".join(held), len(held))

    def _entry_at_end(self, text: str) -> Mapping[str, Any] | None:
        """Return the worker's object that begins with the first brace of a text and ends with the text, if any."""
        begin = text.find('{"')
        if begin < 0 or '"event"' not in text:
            return None
        try:
            value: dict[str, Any] = value_at_end(text, begin)
        except (ValueError, RecursionError):
            return None
        event = value.get("event")
        if type(event) is not str or event not in _KNOWN or type(value.get("timestamp")) is not str:
            return None
        if self._open.starts:
            self._open.settle()
        return value

    def _find(self, text: str, lines: int) -> list[Found]:
        found = [Found(entry, lines) for value in values(text) for entry in self._dig(value, None, 0)]
        if not found:
            found = [Found(entry, lines) for value in quoted(text) for entry in self._dig(value, None, 0)]
        if found:
            self._open.settle()
            return found
        block = self._open.add(text)
        if block is None:
            return []
        held = [Found(entry, len(block)) for value in values("\n".join(block)) for entry in self._dig(value, None, 0)]
        if held:
            self._open.take_out(block)
        return held

    def _dig(self, value: Any, at: _Time, depth: int) -> Iterator[Mapping[str, Any]]:
        """Yield the worker's objects within a value.

        Args:
            value: Any JSON value.
            at: Time of an object around it.
            depth: Number of values around it.
        """
        if depth > _DEEPEST:
            return
        if isinstance(value, str) and "{" in value:
            for inner in values(value):
                yield from self._dig(inner, at, depth + 1)
        elif isinstance(value, list):
            if value and all(isinstance(item, int) and 0 <= item < 256 for item in value):  # noqa: PLR2004 - bytes
                yield from self._dig(
                    bytes(value).decode(errors="replace"), at, depth + 1
                )  # how journald writes colours
                return
            for item in value:
                yield from self._dig(item, at, depth + 1)
        elif isinstance(value, dict):
            yield from self._dig_object(value, at, depth)

    def _dig_object(self, value: dict[str, Any], at: _Time, depth: int) -> Iterator[Mapping[str, Any]]:
        if _is_ours(value):
            if isinstance(value.get("timestamp"), str):
                yield value
            elif (time := _time_of(value) or at) is not None:
                yield {**value, "timestamp": time}
            return
        if isinstance(piece := value.get("log"), str) and "stream" in value:
            value = {**value, "log": self._join(str(value["stream"]), piece)}
        inside = [entry for item in value.values() for entry in self._dig(item, _time_of(value) or at, depth + 1)]
        yield from inside
        if not inside and isinstance(value.get("event"), str) and "timestamp" in value:
            yield value

    def _join(self, stream: str, piece: str) -> str:
        """Join the pieces of a line that Docker has cut. Only the last piece ends with a line end."""
        text = "".join(self._pieces.pop(f"log {stream}", [])) + piece
        if not piece.endswith("\n") and "{" in text and not any(True for _ in values(text)):
            self._pieces[f"log {stream}"] = [text[-(1 << 20) :]]
        return text


@dataclass(slots=True)
class _Open:
    """The lines of pretty-printed objects that have begun and not ended.

    Attributes:
        lines: All lines of open objects and lists.
        starts: Index of the first line of each open object or list.
        settled: Number of outer ones that are not read any more, because they held an object of the worker.
    """

    lines: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    settled: int = 0

    def add(self, text: str) -> list[str] | None:
        """Add a line; return the lines of the object that ends with it, if there is one."""
        if len(self.lines) > _MOST_HELD:
            self.lines, self.starts, self.settled = [], [], 0
        closes, opens = text[0] in "}]", text[-1] in "{["
        if not self.starts and not opens:
            return None
        self.lines.append(text)
        block: list[str] | None = None
        if closes and self.starts:
            start = self.starts.pop()
            if self.settled > len(self.starts):
                self.settled = len(self.starts)
                del self.lines[start:]
            elif text[0] == "}":
                block = [*self.lines[start:-1], text[0]]
        if opens:
            self.starts.append(len(self.lines) - 1)
        return block

    def settle(self) -> None:
        """Mark all open objects as read: they held an object of the worker."""
        self.settled = len(self.starts)

    def take_out(self, block: list[str]) -> None:
        """Forget the lines of an object that was read."""
        del self.lines[len(self.lines) - len(block) :]
        self.settle()


def _log_of(line: str) -> str:
    """Return the line that Docker has put into an object; empty if it is not whole."""
    try:
        log = value_at_end(line, 0).get("log")
    except (ValueError, RecursionError):
        return ""
    return log.rstrip() if isinstance(log, str) and log.endswith("\n") else ""


def _is_ours(value: Mapping[str, Any]) -> bool:
    event = value.get("event")
    return type(event) is str and event in _KNOWN


def _time_of(value: Mapping[str, Any]) -> _Time:
    """Return the time that an object gives, in ISO 8601, or None."""
    for name in _TIMES:
        time = value.get(name)
        if isinstance(time, bool) or not isinstance(time, int | float | str):
            continue
        if isinstance(time, str) and not time.isdecimal():
            if _is_time(time):
                return time
        elif len(str(time)) < 40:  # noqa: PLR2004 - longer than any time
            return _iso(float(time))
    return None


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _iso(number: float) -> _Time:
    """Write a Unix time as ISO 8601; collectors count seconds, milliseconds, microseconds or nanoseconds."""
    for unit in (1.0, 1e3, 1e6, 1e9):
        if _OLDEST_S <= number / unit <= _NEWEST_S:
            return datetime.fromtimestamp(number / unit, UTC).isoformat()
    return None
