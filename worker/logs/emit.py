"""Log lines: one event a line on stdout, and nothing that a line or its reader can do to the worker.

The only module that knows structlog.
"""

import atexit
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from worker.core.events import EVENTS, MAX_CHARS, Event, Level, LibraryMessage, Value
from worker.core.redaction import escape, redact
from worker.logs.line_writer import MAX_LINE_BYTES, LineWriter
from worker.logs.rate_limit import RateLimit

_LEVELS: Mapping[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MAX_CHARS = 256
_LIMITS = {
    kind: {field.name: field.metadata.get(MAX_CHARS, _MAX_CHARS) for field in fields(kind)} for kind in EVENTS.values()
}
_DECIMALS = (("_per_s", 1), ("_ms", 3), ("_s", 3), ("", 9))  # by what a field's name ends with
_SILENT = logging.CRITICAL + 1
_EXIT_FLUSH_S = 2.0
_LIBRARY_INTERVAL_S = 10.0
_LIBRARY_BURST = 5
_MAX_REDACTED_CHARS = 16_384
_MIN_CHARS = 16
_encode = json.JSONEncoder(allow_nan=False).encode


class _LibraryHandler(logging.Handler):
    """Turn what libraries say through stdlib logging into `library.message` events."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._limit = RateLimit(_LIBRARY_INTERVAL_S, _LIBRARY_BURST)

    def emit(self, record: logging.LogRecord) -> None:
        """Emit the event, unless the same line of code said much of late."""
        if not wanted(LibraryMessage):
            return
        suppressed = self._limit.admit(f"{record.pathname}:{record.lineno}", time.monotonic())
        if suppressed is not None:
            _tell(LibraryMessage, lambda: _flatten(_library_message(record, suppressed)))


@dataclass(slots=True)
class _Log:
    """What `configure` made; without it nothing is logged.

    Attributes:
        rank: Least stdlib level that is logged.
        dropped: Lines dropped by writers that are closed by now.
    """

    rank: int = _SILENT
    dropped: int = 0
    writer: LineWriter | None = None
    handler: _LibraryHandler | None = None
    logger: FilteringBoundLogger | None = None


_log = _Log()


def configure(
    level: Level,
    line_format: Literal["json", "console"] | None,
    *,
    context: Mapping[str, str],
    fd: int | None = None,
) -> None:
    """Log from now on, and route what libraries log by stdlib logging.

    Args:
        level: Events below it are left out.
        line_format: None: console on a terminal, else json.
        context: Fields of every line, such as the consumer.
        fd: File descriptor to write to; None: stdout.
    """
    shutdown(_EXIT_FLUSH_S)
    fd = _stdout() if fd is None else fd
    is_console = line_format == "console" or (line_format is None and os.isatty(fd))
    _log.rank, _log.writer, _log.handler = _LEVELS[level], LineWriter(fd), _LibraryHandler()
    _log.logger = structlog.wrap_logger(
        _log.writer,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([_escape, _console(fd)] if is_console else [_render_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_log.rank),
        context_class=dict,
    ).bind(**{name: _plain(value, _MAX_CHARS) for name, value in context.items()})
    logging.getLogger().addHandler(_log.handler)
    atexit.unregister(shutdown)
    atexit.register(shutdown, _EXIT_FLUSH_S)


def emit(event: Event) -> None:
    """Log one event: the only way to log.

    Never waits and never raises; without `configure` it does nothing.
    """
    if wanted(type(event)):
        _tell(type(event), lambda: _flatten(event))


def wanted(kind: type[Event]) -> bool:
    """Return whether such an event would be logged, to spare making one that would not."""
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
    """Count the lines that could not be written since the process began."""
    return _log.dropped + (_log.writer.dropped if _log.writer else 0)


def shutdown(deadline_s: float) -> None:
    """Write what is buffered, and log nothing from now on.

    Args:
        deadline_s: Longest wait, in seconds, for a reader that is slow; what is then left is lost.
    """
    writer, handler = _log.writer, _log.handler
    _log.rank, _log.writer, _log.handler, _log.logger = _SILENT, None, None, None
    if handler:
        logging.getLogger().removeHandler(handler)
    if writer:
        writer.close(deadline_s)
        _log.dropped += writer.dropped


def _tell(kind: type[Event], flatten: Callable[[], dict[str, Value]]) -> None:
    """Log one line, or, where its fields cannot be had or shown, a line that says so."""
    logger = _log.logger
    if logger is None:
        return
    try:
        logger.log(_LEVELS[kind.level], kind.event, **flatten())
    except Exception as exc:  # noqa: BLE001 - a worker must not fail because a value cannot be shown
        logger.log(_LEVELS[kind.level], kind.event, unloggable=type(exc).__name__)


def _flatten(event: Event) -> dict[str, Value]:
    """List an event's fields as values that fit a line."""
    return {name: _round(name, _plain(getattr(event, name), limit)) for name, limit in _LIMITS[type(event)].items()}


def _round(name: str, value: Value) -> Value:
    """Leave out the decimals of a number that are noise."""
    if not isinstance(value, float):
        return value
    return round(value, next(decimals for unit, decimals in _DECIMALS if name.endswith(unit)))


def _library_message(record: logging.LogRecord, suppressed: int) -> LibraryMessage:
    """Make an event of a stdlib log record."""
    return LibraryMessage(
        logger=record.name,
        message=record.getMessage(),
        traceback=logging.Formatter().formatException(record.exc_info) if record.exc_info else None,
        suppressed=suppressed,
    )


def _plain(value: object, max_chars: int) -> Value:
    """Make a value JSON can hold: NumPy scalars to numbers, NaN and infinity to null, long text shortened."""
    if isinstance(value, str):
        # Shortened before too, for the time it takes, but to so much that no password can be cut in two.
        return _shorten(redact(_shorten(value, _MAX_REDACTED_CHARS)), max_chars)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    item = getattr(value, "item", None)
    return _plain(item() if item else str(value), max_chars)


def _shorten(text: str, max_chars: int) -> str:
    """Leave out the middle of long text: a message begins with what matters, a traceback ends with it."""
    if len(text) <= max_chars:
        return text
    head = (max_chars - 1) // 2
    return f"{text[:head]}…{text[len(text) - (max_chars - 1 - head) :]}"


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    """Render a line of ASCII JSON, and shorten its longest texts until it fits."""
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
    """Escape control characters, so that no value forges a line or commands a terminal."""
    traceback = event.pop("traceback", None)
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = escape(value)
    if traceback:
        event["exception"] = "\n".join(f"    {escape(line)}" for line in traceback.split("\n"))
    return event


def _console(fd: int) -> structlog.dev.ConsoleRenderer:
    """Make the renderer for people, with colours on a terminal."""
    return structlog.dev.ConsoleRenderer(colors=os.isatty(fd), sort_keys=False, pad_event_to=21)


def _stdout() -> int:
    """Find the descriptor of stdout; -1, to which nothing can be written, where the process has none."""
    # A process started without one may have been given its number for a socket since.
    return sys.__stdout__.fileno() if sys.__stdout__ else -1
