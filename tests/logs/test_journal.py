"""Lines that go to systemd's journal begin with their level, and no others do."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from worker.core.events import Event, LibraryMessage, RedisLost, RedisRestored, WorkerFailed
from worker.logs.emit import configure, emit, shutdown

EVENTS: list[Event] = [
    RedisRestored(down_s=1.5),
    RedisLost(message="away"),
    WorkerFailed(error="KeyError", message="a", traceback="b"),
    LibraryMessage(logger="redis", message="line\nline", traceback=None, suppressed=0),
]


@contextmanager
def journal() -> Iterator[tuple[socket.socket, int, str]]:
    """Give the journal's end of a socket, that of the worker, and what systemd calls it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = os.fstat(theirs.fileno())
        yield ours, theirs.fileno(), f"{found.st_dev}:{found.st_ino}"


def lines(ours: socket.socket, fd: int, stream: str) -> list[str]:
    configure("info", "json", context={}, fd=fd, journal=stream)
    for event in EVENTS:
        emit(event)
    shutdown(60)
    return ours.recv(1 << 16).decode().splitlines()


def test_each_line_begins_with_its_level() -> None:
    with journal() as (ours, fd, stream):
        found = lines(ours, fd, stream)
    assert [line[:3] for line in found] == ["<6>", "<4>", "<3>", "<4>"]
    assert [json.loads(line[3:])["level"] for line in found] == ["info", "warning", "error", "warning"]


@pytest.mark.parametrize("stream", ["", "1:1", "nonsense"])
def test_lines_that_go_elsewhere_are_as_they_were(stream: str) -> None:
    with journal() as (ours, fd, _):
        assert [json.loads(line)["level"] for line in lines(ours, fd, stream)] == [
            "info",
            "warning",
            "error",
            "warning",
        ]


def test_a_descriptor_that_is_closed_is_no_journal() -> None:
    configure("info", "json", context={}, fd=-1, journal="1:1")
    emit(EVENTS[0])
    shutdown(60)
