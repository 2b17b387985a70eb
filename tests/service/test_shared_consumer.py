"""Two workers of one name are logged and listed; a worker that was there before does not count."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.log_lines import LogLines, captured_log
from worker.service.shared_consumer import Namesake


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _state(one: Namesake) -> bytes:
    return json.dumps({"consumer": "w", **one.identity()}).encode()


def test_another_live_worker_is_told_of_once_and_shown(log: LogLines) -> None:
    one, two = Namesake("w"), Namesake("w")
    stands: bytes | None = None
    for _ in range(5):
        for worker in (one, two):
            found, stands = stands, _state(worker)
            worker.look(found)
    shown = one.identity()
    assert shown["shared_with"] == f"{shown['host']}:{shown['pid']}"
    lines = log.of("consumer.shared")
    assert [(line["consumer"], line["host"], line["pid"]) for line in lines] == [("w", shown["host"], shown["pid"])] * 2
    assert {line["level"] for line in lines} == {"warning"}


def test_a_worker_that_has_ended_is_no_namesake(log: LogLines) -> None:
    before, after = Namesake("w"), Namesake("w")
    after.look(_state(before))
    for _ in range(3):
        after.look(_state(after))
        after.look(None)
    assert "shared_with" not in after.identity()
    assert log.of("consumer.shared") == []


@pytest.mark.parametrize(
    "found",
    [b"", b"\xff", b"[]", b"{}", b'{"instance": 1}', b"[" * 10_000, b'{"instance": "\\ud800", "host": [], "pid": "x"}'],
)
def test_whatever_stands_there_ends_nothing(log: LogLines, found: bytes) -> None:
    one = Namesake("w")
    for _ in range(2):
        one.look(found)
    assert len(log.of("consumer.shared")) == (b"ud800" in found)
