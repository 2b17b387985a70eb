"""Log lines: one event a line on stdout. Neither a line nor its reader can stop or slow the worker.

This is the only module that knows structlog.
"""

import atexit
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from worker.core.events import EVENTS, LONGEST_TEXT, MAX_CHARS, NOTABLE, Event, Level, LibraryMessage, Value
from worker.core.redaction import escape, redact
from worker.logs.journal import priorities
from worker.logs.line_writer import MAX_LINE_BYTES, LineWriter
from worker.logs.notable import Notes, brief
from worker.logs.rate_limit import RateLimit

LineFormat = Literal["json", "console"] | None

_LEVELS: Mapping[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LIMITS = {
    kind: {field.name: field.metadata.get(MAX_CHARS, LONGEST_TEXT) for field in fields(kind)}
    for kind in EVENTS.values()
}
_DECIMALS = (("_per_s", 1), ("_ms", 3), ("_s", 3), ("", 9))  # by what a field's name ends with
_SILENT = logging.CRITICAL + 1
_EXIT_FLUSH_S = 2.0
_LIBRARY_INTERVAL_S = 10.0
_LIBRARY_BURST = 5
_MAX_REDACTED_CHARS = 16_384
_MIN_CHARS = 16
_CONSUMER = "consumer"
_encode = json.JSONEncoder(allow_nan=False).encode


class _LibraryHandler(logging.Handler):
    """The handler that turns log records of libraries into `library.message` events."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._limit = RateLimit(_LIBRARY_INTERVAL_S, _LIBRARY_BURST)

    def emit(self, record: logging.LogRecord) -> None:
        """Emit the event, unless the same line of code has logged much lately."""
        if not wanted(LibraryMessage):
            return
        suppressed = self._limit.admit(f"{record.pathname}:{record.lineno}", time.monotonic())
        if suppressed is not None:
            _log_line(LibraryMessage, lambda: _flatten(_library_message(record, suppressed)))


@dataclass(slots=True)
class _Log:
    """What `configure` made; without it nothing is logged.

    Attributes:
        rank: Least stdlib level that is logged.
        dropped: Lines dropped by writers that are closed now.
        notes: The last notable events, logged or below the level that is.
    """

    rank: int = _SILENT
    dropped: int = 0
    notes: Notes = field(default_factory=Notes)
    writer: LineWriter | None = None
    handler: _LibraryHandler | None = None
    logger: FilteringBoundLogger | None = None


_log = _Log()


def configure(
    level: Level, line_format: LineFormat, *, context: Mapping[str, str], fd: int | None = None, journal: str = ""
) -> None:
    """Begin to log, and include what libraries log with Python's logging.

    Args:
        level: The lowest level that is logged.
        line_format: None means console on a terminal, and json elsewhere.
        context: Fields of every line, for example the consumer.
        fd: File descriptor to write to; None means stdout.
        journal: The socket of systemd's journal, see `worker.logs.journal`.
    """
    shutdown(_EXIT_FLUSH_S)
    fd = _stdout() if fd is None else fd
    is_console = line_format == "console" or (line_format is None and os.isatty(fd))
    _log.rank, _log.writer, _log.handler = _LEVELS[level], LineWriter(fd), _LibraryHandler()
    _log.logger = structlog.wrap_logger(
        _log.writer,
        processors=[
            structlog.processors.add_log_level,
            *(_for_eyes(fd) if is_console else _for_programs()),
            *priorities(fd, journal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_log.rank),
        context_class=dict,
    ).bind(**{name: _plain(value, LONGEST_TEXT) for name, value in context.items()})
    logging.getLogger().addHandler(_log.handler)
    atexit.unregister(shutdown)
    atexit.register(shutdown, _EXIT_FLUSH_S)


def emit(event: Event) -> None:
    """Log one event: the only way to log.

    Never waits and never raises; without `configure` it does nothing.
    """
    if wanted(type(event)) or type(event) in NOTABLE:
        _log_line(type(event), lambda: _flatten(event))


def wanted(kind: type[Event]) -> bool:
    """Return whether events of this kind are logged, to avoid making one in vain."""
    return _LEVELS[kind.level] >= _log.rank


class RateLimited:
    """Events of one kind, of which a few are logged and the others counted."""

    def __init__(self, interval_s: float, burst: int) -> None:
        """Set the rate.

        Args:
            interval_s: Seconds between two lines of a key in the long run, > 0.
            burst: Lines of a key logged at once after a quiet time, >= 1.
        """
        self._limit = RateLimit(interval_s, burst)

    def emit(self, make: Callable[[int], Event], key: str = "") -> None:
        """Log one event, or count it as suppressed.

        Args:
            make: Makes the event from the number of events suppressed since the last line of this key.
            key: What repeats: an error code, for example.
        """
        suppressed = self._limit.admit(key, time.monotonic())
        if suppressed is not None:
            emit(make(suppressed))


def dropped_lines() -> int:
    """Return the number of lines that could not be written since the process began."""
    return _log.dropped + (_log.writer.dropped if _log.writer else 0)


def notable_events() -> list[dict[str, Any]]:
    """Return the last notable events of this process as plain data, the newest last; see `worker.core.events.NOTABLE`.

    Each has `at_ms` (Unix time in ms), `level`, `event` and `text`, its fields in short.
    """
    return _log.notes.documents()


def shutdown(deadline_s: float) -> None:
    """Write what is buffered, and stop logging.

    Args:
        deadline_s: Longest wait for a slow reader, in seconds; the rest is lost.
    """
    writer, handler = _log.writer, _log.handler
    _log.rank, _log.writer, _log.handler, _log.logger = _SILENT, None, None, None
    if handler:
        logging.getLogger().removeHandler(handler)
    if writer:
        writer.close(deadline_s)
        _log.dropped += writer.dropped


def _log_line(kind: type[Event], flatten: Callable[[], dict[str, Value]]) -> None:
    """Log one line; if its fields cannot be shown, log a line that says so."""
    logger = _log.logger
    if logger is None:
        return
    try:
        told = flatten()
        if kind in NOTABLE:
            _log.notes.add(kind.level, kind.event, told)
        logger.log(_LEVELS[kind.level], kind.event, **told)
    except Exception as exc:  # noqa: BLE001 - a worker must not fail because a value cannot be shown
        logger.log(_LEVELS[kind.level], kind.event, unloggable=type(exc).__name__)


def _flatten(event: Event) -> dict[str, Value]:
    """Return an event's fields as values that fit a line."""
    return {name: _round(name, _plain(getattr(event, name), limit)) for name, limit in _LIMITS[type(event)].items()}


def _round(name: str, value: Value) -> Value:
    """Round a number to the decimals that matter for its unit."""
    if not isinstance(value, float):
        return value
    return round(value, next(decimals for unit, decimals in _DECIMALS if name.endswith(unit)))


def _library_message(record: logging.LogRecord, suppressed: int) -> LibraryMessage:
    """Return the event of a log record."""
    return LibraryMessage(
        logger=record.name,
        message=record.getMessage(),
        traceback=logging.Formatter().formatException(record.exc_info) if record.exc_info else None,
        suppressed=suppressed,
    )


def _plain(value: object, max_chars: int) -> Value:
    """Return a value that JSON can hold: numbers for NumPy scalars, null for NaN and infinity, short text for long."""
    if isinstance(value, str):
        # Shortened before redaction too, to save time, but not so much that a password could be cut in two.
        return _shorten(redact(_shorten(value, _MAX_REDACTED_CHARS)), max_chars)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    item = getattr(value, "item", None)
    return _plain(item() if item else str(value), max_chars)


def _shorten(text: str, max_chars: int) -> str:
    """Return long text without its middle: the start of a message matters, and the end of a traceback."""
    if len(text) <= max_chars:
        return text
    head = (max_chars - 1) // 2
    return f"{text[:head]}…{text[len(text) - (max_chars - 1 - head) :]}"


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    """Return a line of ASCII JSON; shorten its longest texts until it fits."""
    event = {"timestamp": None, "level": None, "event": None, **event}
    line = _encode(event)
    while len(line) >= MAX_LINE_BYTES:
        texts = {name: value for name, value in event.items() if isinstance(value, str)}
        longest = max(texts, key=lambda name: len(_encode(texts[name])))
        if len(texts[longest]) <= _MIN_CHARS:
            break
        event[longest] = _shorten(texts[longest], len(texts[longest]) * 3 // 4)
        line = _encode(event)
    return line


def _escape(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape control characters, so that a value can neither forge a line nor control a terminal."""
    traceback = event.pop("traceback", None)
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = escape(value)
    if traceback:
        event["exception"] = "\n".join(f"    {escape(line)}" for line in traceback.split("\n"))
    return event


def _abridge(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Leave out fields without a value, and decimals that nobody reads; the consumer, of every line, comes last."""
    shown = {name: brief(value) for name, value in event.items() if value not in {None, ""}}
    return {**{name: value for name, value in shown.items() if name != _CONSUMER}, **_only(shown, _CONSUMER)}


def _only(event: Mapping[str, object], name: str) -> Mapping[str, object]:
    return {name: event[name]} if name in event else {}


def _for_eyes(fd: int) -> list[Processor]:
    """Make what writes lines for people: short, by their own clock, with colours on a terminal."""
    renderer = structlog.dev.ConsoleRenderer(colors=os.isatty(fd), sort_keys=False, pad_event_to=21)
    return [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), _escape, _abridge, renderer]


def _for_programs() -> list[Processor]:
    """Make what writes lines for programs: JSON, with the whole time."""
    return [structlog.processors.TimeStamper(fmt="iso", utc=True), _render_json]


def _stdout() -> int:
    """Return the descriptor of stdout; -1, to which nothing can be written, if the process has no stdout."""
    # Without stdout, its number may belong to a socket by now.
    return sys.__stdout__.fileno() if sys.__stdout__ else -1
