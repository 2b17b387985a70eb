"""Every event is one line of strict JSON, and nothing in it or about its reader reaches the worker."""

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.events import (
    EVENTS,
    CategoryStats,
    Event,
    Level,
    PostgresLost,
    RedisLost,
    RedisRestored,
    RequestRejected,
    RequestServed,
    WeightsChanged,
    WorkerFailed,
    WorkerStopped,
)
from worker.logs.emit import configure, dropped_lines, emit, shutdown, wanted
from worker.logs.line_writer import BUFFER_LINES, MAX_LINE_BYTES

_TIMEOUT_S = 60
CANARY = "c4n4ry-s3cr3t"
SECRET_URL = f"postgresql://worker:{CANARY}@db.example:5432/audio"
any_text = st.text(st.characters(exclude_categories=())) | st.text(
    st.sampled_from('\x00\n\x1b\u2028😀a\\"'), min_size=300
)


class Log:
    """A log file, configured by the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def configure(self, level: Level = "info", line_format: Any = "json", **context: Any) -> None:
        configure(level, line_format, context=context, fd=self._file.fileno())

    def close(self) -> None:
        shutdown(_TIMEOUT_S)
        self._file.close()

    def text(self) -> str:
        """End the logging and read what was written."""
        self.close()
        return self.path.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """End the logging and read what was written, as strictly as JSON is."""
        return [_parse(line) for line in self.text().removesuffix("\n").split("\n") if line]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "log")
    yield log
    log.close()


def _parse(line: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    parsed = json.loads(line, parse_constant=refuse)
    assert isinstance(parsed, dict)
    return parsed


def _stats(**given: Any) -> CategoryStats:
    values: dict[str, Any] = {
        "dataset": None,
        "category": "voice",
        "count": 1,
        "audio_s": None,
        "weight": 0.5,
        "share": 0.5,
        "expected": 1.0,
        "z": 0.0,
        "ready": 1,
        "weights_version": "0123456789ab",
    }
    return CategoryStats(**values | given)


def _served() -> RequestServed:
    return RequestServed(
        request_id="r",
        entry_id="1-1",
        size=8,
        status="ok",
        dataset=None,
        weights_version="0123456789ab",
        latency_ms=1.5,
        sampled_1_in=1,
    )


def test_a_line_has_what_every_line_has_then_the_context_then_the_fields(log: Log) -> None:
    log.configure(consumer="host-1")
    emit(WorkerStopped(reason="SIGTERM", exit_status=0, requests=3, chunks=24, uptime_s=1.5))
    [line] = log.lines()
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() == timedelta(0)
    assert datetime.now(UTC) - moment < timedelta(hours=1)
    assert line == {
        "level": "info",
        "event": "worker.stopped",
        "consumer": "host-1",
        "reason": "SIGTERM",
        "exit_status": 0,
        "requests": 3,
        "chunks": 24,
        "uptime_s": 1.5,
    }
    assert list(line) == ["level", "event", "consumer", *(field.name for field in fields(WorkerStopped))]


@pytest.mark.fault("texts that forge lines or command terminals", "G09")
def test_any_event_is_one_line_of_strict_json(log: Log) -> None:
    emitted: list[Event] = []

    @settings(max_examples=500)
    @given(st.sampled_from(list(EVENTS.values())).flatmap(st.builds))
    def emit_any(event: Event) -> None:
        emit(event)
        emitted.append(event)

    st.register_type_strategy(str, any_text)
    try:
        log.configure("debug")
        emit_any()
    finally:
        st.register_type_strategy(str, st.text())
    raw = log.text().removesuffix("\n").split("\n")
    assert max(len(line) for line in raw) < MAX_LINE_BYTES
    for event, line in zip(emitted, map(_parse, raw), strict=True):
        assert line["event"] == event.event
        assert line["level"] == event.level
        assert {field.name for field in fields(event)} == set(line) - {"event", "level", "timestamp"}


_FLOATS = [(kind, field.name) for kind in EVENTS.values() for field in fields(kind) if "float" in str(field.type)]


@pytest.mark.parametrize(("kind", "name"), _FLOATS, ids=[f"{kind.event} {name}" for kind, name in _FLOATS])
def test_a_figure_of_any_event_has_no_more_decimals_than_it_means(log: Log, kind: type[Event], name: str) -> None:
    """166.83532100068987 ms is noise from the sixth digit on."""
    values: dict[str, Any] = {field.name: 0 for field in fields(kind)}
    log.configure("debug")
    emit(kind(**{**values, name: 166.83532100068987}))
    [line] = log.lines()
    unit = name.rpartition("_")[2]
    shown = {"ms": 166.835, "s": 166.8 if name.endswith("_per_s") else 166.835}.get(unit, 166.835321001)
    assert line[name] == shown


def test_figures_in_ms_and_s_are_floats_in_many_events() -> None:
    assert len([name for _, name in _FLOATS if name.endswith(("_ms", "_s"))]) >= 10


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf")])
def test_a_number_that_json_has_not_is_null(log: Log, value: Any) -> None:
    log.configure()
    emit(_stats(z=value))
    assert log.lines()[0]["z"] is None


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.bool_(1), True),
        (np.array([7]), 7),
    ],
)
def test_a_numpy_scalar_is_a_number(log: Log, value: Any, shown: object) -> None:
    log.configure()
    emit(_stats(count=value))
    [line] = log.lines()
    assert line["count"] == shown
    assert type(line["count"]) is type(shown)


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
def test_a_foreign_value_is_shown_as_text(log: Log) -> None:
    log.configure()
    emit(_stats(category=Path("/x")))
    assert log.lines()[0]["category"] == "/x"


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
@pytest.mark.parametrize(("value", "error"), [(_Unprintable(), "RuntimeError"), (np.zeros(2), "ValueError")])
def test_a_value_that_cannot_be_shown_costs_its_line_the_fields_alone(log: Log, value: Any, error: str) -> None:
    log.configure(consumer="c")
    emit(_stats(count=value))
    emit(_stats())
    first, second = log.lines()
    del first["timestamp"]
    assert first == {"level": "info", "event": "category.stats", "consumer": "c", "unloggable": error}
    assert second["count"] == 1


def test_long_text_keeps_its_ends(log: Log) -> None:
    log.configure()
    emit(RedisLost(message="a" * 500 + "b" * 500))
    message = log.lines()[0]["message"]
    assert len(message) == 256
    assert message.startswith("a" * 127 + "…")
    assert message.endswith("b" * 128)


def test_a_traceback_and_weights_may_be_longer_than_other_text(log: Log) -> None:
    weights = json.dumps({f"category-{number}": 0.02 for number in range(50)})
    log.configure()
    emit(WorkerFailed(error="KeyError", message="m", traceback="t" * 2500))
    emit(WeightsChanged(dataset=None, version="v", source="redis", before=None, after=weights))
    failed, changed = log.lines()
    assert failed["traceback"] == "t" * 2500
    assert changed["after"] == weights


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
def test_a_line_that_would_be_too_long_loses_from_its_longest_text(log: Log) -> None:
    log.configure()
    emit(WorkerFailed(error="KeyError", message="m" * 200, traceback="😀" * 3000))
    line = log.text()
    assert len(line) <= MAX_LINE_BYTES
    parsed = _parse(line)
    assert parsed["message"] == "m" * 200
    assert len(parsed["traceback"]) > 100
    assert set(parsed["traceback"]) == {"😀", "…"}


def test_a_context_that_is_too_long_for_any_line_does_not_hang(log: Log) -> None:
    context: dict[str, Any] = {f"name-{number}": "😀" * 20 for number in range(300)}
    log.configure(**context)
    emit(RedisRestored(down_s=1.0))
    [line] = log.lines()
    assert line["event"] == "redis.restored"


FORGED = 'x"}\n{"event": "worker.failed"}\r\x1b[2J\u2028\x00'


@pytest.mark.fault("texts that forge lines or command terminals", "G09")
@pytest.mark.parametrize("line_format", ["json", "console"])
def test_no_value_forges_a_line_or_commands_a_terminal(log: Log, line_format: str) -> None:
    log.configure("debug", line_format, consumer=FORGED)
    emit(RequestRejected(request_id=FORGED, entry_id="1-1", error="e", message=FORGED, suppressed=0))
    text = log.text()
    assert text.count("\n") == 1
    assert text.removesuffix("\n").isprintable()
    assert len(text.splitlines()) == 1


def test_json_gives_back_the_very_characters(log: Log) -> None:
    log.configure()
    emit(RedisLost(message=FORGED))
    assert log.lines()[0]["message"] == FORGED


def test_a_traceback_on_the_console_is_a_block_that_cannot_be_taken_for_lines(log: Log) -> None:
    log.configure(line_format="console")
    emit(WorkerFailed(error="E", message="m", traceback="Traceback:\n  a\nforged \x1b[2J\nE: m"))
    first, *block = log.text().splitlines()
    assert "worker.failed" in first
    assert block == ["    Traceback:", "      a", "    forged \\x1b[2J", "    E: m"]


def test_the_console_shows_event_level_and_fields(log: Log) -> None:
    log.configure(line_format="console", consumer="c-1")
    emit(RedisLost(message="no route"))
    text = log.text()
    assert all(part in text for part in ("warning", "redis.lost", "consumer=c-1", "message='no route'"))


@pytest.mark.parametrize("level", get_args(Level))
def test_events_below_the_level_are_left_out(log: Log, level: Level) -> None:
    ranks: Sequence[Level] = get_args(Level)
    log.configure(level)
    events: list[Event] = [_served(), RedisRestored(down_s=1.0), RedisLost(message="m")]
    events.append(WorkerFailed(error="E", message="m", traceback="t"))
    for event in events:
        emit(event)
    above = set(ranks[ranks.index(level) :]) - {"debug"}  # no event is of that level
    assert {event.level for event in events if wanted(type(event))} == above
    assert {line["level"] for line in log.lines()} == above


def test_nothing_is_logged_before_configure_and_after_shutdown(log: Log) -> None:
    emit(RedisLost(message="before"))
    assert not wanted(WorkerFailed)
    log.configure()
    emit(RedisLost(message="meanwhile"))
    lines = log.lines()
    emit(RedisLost(message="after"))
    shutdown(_TIMEOUT_S)
    assert [line["message"] for line in lines] == ["meanwhile"]
    assert lines == [_parse(line) for line in log.path.read_text().splitlines()]


def test_configuring_again_takes_over(log: Log, tmp_path: Path) -> None:
    other = Log(tmp_path / "other")
    log.configure("info", "json", consumer="a")
    emit(RedisRestored(down_s=1.0))
    other.configure("error", "json", consumer="b")
    emit(RedisRestored(down_s=2.0))
    emit(WorkerFailed(error="E", message="m", traceback="t"))
    assert [line["consumer"] for line in other.lines()] == ["b"]
    assert [line["consumer"] for line in log.lines()] == ["a"]


def test_what_libraries_warn_of_is_passed_on(log: Log) -> None:
    log.configure(consumer="c")
    logging.getLogger("redis.asyncio").warning("retry %d of %s", 3, SECRET_URL)
    logging.getLogger("redis.asyncio").info("not this")
    line = log.lines()[0]
    del line["timestamp"]
    assert line == {
        "level": "warning",
        "event": "library.message",
        "consumer": "c",
        "logger": "redis.asyncio",
        "message": "retry 3 of postgresql://worker:***@db.example:5432/audio",
        "traceback": None,
        "suppressed": 0,
    }


def test_what_libraries_say_of_an_exception_comes_with_its_traceback(log: Log) -> None:
    log.configure()
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved", exc_info=OSError(f"no route to {SECRET_URL}")
    )
    [line] = log.lines()
    assert line["message"] == "Task exception was never retrieved"
    assert line["traceback"].endswith("OSError: no route to postgresql://worker:***@db.example:5432/audio")


def test_a_library_that_repeats_itself_is_slowed_down(log: Log) -> None:
    log.configure()
    for number in range(100):
        logging.getLogger("asyncpg").error("failure %d", number)
    assert [line["message"] for line in log.lines()] == [f"failure {number}" for number in range(5)]


@pytest.mark.fault("values of events that cannot be shown: NaN, arrays, objects that fail, too long", "H06")
def test_a_library_that_logs_what_cannot_be_shown_is_not_failed(log: Log) -> None:
    log.configure()
    # Straight to the handler: pytest has one of its own, which raises.
    [handler] = [handler for handler in logging.getLogger().handlers if type(handler).__module__ == "worker.logs.emit"]
    handler.handle(logging.LogRecord("redis", logging.WARNING, "redis.py", 1, "%d", ("three",), None))
    [line] = log.lines()
    assert line["event"] == "library.message"
    assert line["unloggable"] == "TypeError"


def test_libraries_keep_to_the_level_and_to_the_time_that_logging_lasts(log: Log) -> None:
    handlers = list(logging.getLogger().handlers)
    log.configure("error")
    logging.getLogger("redis").error("not this")
    assert log.lines() == []
    assert logging.getLogger().handlers == handlers


@pytest.mark.fault("passwords in URLs, errors, requests and weights: none is shown", "H07")
@pytest.mark.parametrize("line_format", ["json", "console"])
def test_no_secret_is_shown_whichever_way_it_comes(log: Log, line_format: str) -> None:
    log.configure("debug", line_format, origin=SECRET_URL)
    for text in (SECRET_URL, f"{'x' * 120} {SECRET_URL} {'y' * 300}", f"{SECRET_URL}{'z' * 20_000}"):
        emit(PostgresLost(message=text))
        emit(WorkerFailed(error="E", message=text, traceback=f"{text}\n" * 50))
        logging.getLogger("asyncpg").warning(text)
    text = log.text()
    assert text.count("postgres.lost") == 3
    assert text.count("***") >= 9
    assert CANARY not in text


def test_a_terminal_gets_the_console_and_anything_else_gets_json(log: Log) -> None:
    primary, terminal = os.openpty()
    configure("info", None, context={}, fd=terminal)
    emit(RedisRestored(down_s=1.5))
    shutdown(_TIMEOUT_S)
    shown = os.read(primary, 4096).decode()
    os.close(primary)
    os.close(terminal)
    assert "redis.restored" in shown
    assert "\x1b[" in shown
    log.configure(line_format=None)
    emit(RedisRestored(down_s=1.5))
    assert log.lines()[0]["down_s"] == 1.5


def test_lines_nobody_can_read_are_counted_for_the_whole_process() -> None:
    before = dropped_lines()
    with Path("/dev/full").open("wb", buffering=0) as full:
        for _ in range(2):
            configure("info", "json", context={}, fd=full.fileno())
            for _ in range(10):
                emit(RedisRestored(down_s=1.0))
            shutdown(_TIMEOUT_S)
    assert dropped_lines() - before == 20


_PROLOGUE = """
import sys
from worker.core.events import RedisRestored
from worker.logs.emit import configure, dropped_lines, emit, shutdown
configure("info", None, context={})
"""


def _python(program: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PROLOGUE + program], stderr=subprocess.PIPE, **streams)


def _said(process: subprocess.Popen[bytes]) -> str:
    """Wait without reading stdout, and return what was said on stderr."""
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait(_TIMEOUT_S) == 0, said
    return said


def test_what_is_buffered_at_exit_is_written() -> None:
    process = _python("for number in range(5000): emit(RedisRestored(down_s=float(number)))", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        numbers = [_parse(line)["down_s"] for line in process.stdout.read().decode().splitlines()]
    assert _said(process) == ""
    assert numbers == list(range(5000))


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_stalled_reader_delays_nothing_but_the_exit_and_that_within_a_deadline() -> None:
    process = _python(
        """
for number in range(20_000): emit(RedisRestored(down_s=float(number)))
print(dropped_lines(), file=sys.stderr)
""",
        stdout=subprocess.PIPE,
    )
    dropped = int(_said(process))
    assert process.stdout is not None
    with process.stdout:
        numbers = [_parse(line)["down_s"] for line in process.stdout.read().decode().splitlines()]
    assert 0 < dropped <= 20_000 - BUFFER_LINES
    assert numbers
    assert numbers == list(range(len(numbers)))


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_closed_reader_ends_nothing() -> None:
    process = _python(
        """
sys.stdin.read()
for number in range(100): emit(RedisRestored(down_s=float(number)))
shutdown(60)
print(dropped_lines(), file=sys.stderr)
""",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.close()
    process.stdin.close()
    assert int(_said(process)) == 100


def test_a_process_without_stdout_lives_on() -> None:
    program = f"{_PROLOGUE}emit(RedisRestored(down_s=1.0)); shutdown(60); assert dropped_lines() == 1"
    command = ["/bin/sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-c", program]
    assert subprocess.run(command, timeout=_TIMEOUT_S, check=False).returncode == 0
