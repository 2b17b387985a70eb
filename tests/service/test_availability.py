"""One event when a server is lost, one when it is back, whoever of the loops noticed."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.waiting import wait_until
from tests.support.workers import redis_availability
from worker.service.availability import _AGAIN_S, Availability, cause_of

_SOON_S = 5.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _told(log: LogLines) -> list[str]:
    return [line["event"] for line in log.all()]


async def _hears(log: LogLines, *events: str) -> None:
    await wait_until(lambda: _told(log) == list(events), timeout_s=_SOON_S, what=f"{events} were told")


async def test_a_link_is_lost_once_and_restored_when_every_loop_that_failed_has_succeeded(log: LogLines) -> None:
    availability = redis_availability()
    assert availability.is_up
    availability.succeeded("reader")
    await availability.failed("reader", "no route")
    await availability.failed("bell", "reset")
    await availability.failed("reader", "no route")
    assert not availability.is_up
    await _hears(log, "redis.lost")
    availability.succeeded("reader")
    availability.succeeded("heartbeat")  # which never failed
    assert not availability.is_up
    availability.succeeded("bell")
    availability.succeeded("bell")
    assert availability.is_up
    await _hears(log, "redis.lost", "redis.restored")
    lost, restored = log.all()
    assert lost["message"] == "no route"
    assert restored["down_s"] > 0
    await availability.failed("bell", "again")
    availability.succeeded("bell")
    await _hears(log, *["redis.lost", "redis.restored"] * 2)


class _Moving(Availability):
    """A link whose clock a test moves: what was told a moment ago was told long ago."""

    def let_time_pass(self) -> None:
        self._told_at -= _AGAIN_S


def _moving() -> _Moving:
    availability = redis_availability()
    return _Moving(availability._make_lost, availability._make_restored)


async def test_a_loss_is_told_again_when_its_cause_changes_and_not_too_often(log: LogLines) -> None:
    availability = _moving()
    told = []
    for words in (
        "Redis did not answer XREADGROUP: the connection was lost: closed by the server",
        "Redis did not answer XREADGROUP: Error 111 connecting to localhost:6379. Connect call failed",
        "Redis did not answer XREADGROUP: Authentication required.",
        "Redis did not answer XGROUP CREATE: Authentication required.",
        "Redis refused the settling script: command not allowed when used memory > 'maxmemory'.",
        "Redis refused the settling script: You can't write against a read only replica.",
    ):
        await availability.failed("lane 0", words)
        availability.let_time_pass()
        told.append(words)
    await availability.failed("lane 0", told[0])
    await availability.failed("lane 0", told[2])  # too soon
    availability.let_time_pass()
    await availability.failed("lane 0", told[2])
    lines = log.of("redis.lost")
    assert [line["message"] for line in lines] == [told[i] for i in (0, 2, 4, 5, 0, 2)]
    availability.succeeded("lane 0")
    assert _told(log) == ["redis.lost"] * 6 + ["redis.restored"]


async def test_loops_that_word_one_cause_differently_are_no_change_of_it(log: LogLines) -> None:
    availability = _moving()
    for _ in range(3):
        for loop, command in (("lane 0", "xreadgroup"), ("lane 1", "evalsha"), ("heartbeat", "set")):
            right = f"NOPERM User worker has no permissions to run the '{command}' command"
            await availability.failed(
                loop, f"Redis refused {command.upper()}: {right}, as {loop} did {len(loop)} times"
            )
            availability.let_time_pass()
    assert _told(log) == ["redis.lost"]


def test_causes_are_told_apart_by_what_the_server_says_and_not_by_names_and_numbers() -> None:
    away = [
        "Redis did not answer PING: no reply within 5.0 s",
        "Redis did not answer PING: Timeout connecting to server",
        "Redis did not answer PING: Connection reset by peer",
        "PostgreSQL at postgresql://a@b:5432/c: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        "PostgreSQL at postgresql://a@b:5432/c: the database system is starting up",
        "PostgreSQL at postgresql://a@b:5432/c: terminating connection due to administrator command",
    ]
    assert {cause_of(message) for message in away} == {"away"}
    others = [
        "Redis did not answer PING: Error -2 connecting to nowhere:6379. Name or service not known",
        "Redis did not answer PING: Error -3 connecting to nowhere:6379. Temporary failure in name resolution",
        "Redis did not answer PING: Redis is loading the dataset in memory",
        'PostgreSQL at postgresql://a@b:5432/c: relation "audio_chunks" does not exist',
        'PostgreSQL at postgresql://a@b:5432/c: password authentication failed for user "a"',
        "",
    ]
    assert len({cause_of(message) for message in others} | {"away"}) == len(others) + 1
    assert cause_of("x: 17 of 'a' failed") == cause_of("y: 4 of 'b' failed")


async def test_a_failing_loop_waits_longer_and_longer_and_never_for_ever(log: LogLines) -> None:
    """Of two loops, that which has failed often tries again less often."""
    availability = redis_availability()
    availability._failures["often"] = 20  # which is a second at most
    tries = {"often": 0, "once": 0}

    async def retry(loop: str) -> None:
        while True:
            await availability.failed(loop, "away")
            tries[loop] += 1
            if loop == "once":
                availability.succeeded(loop)

    async with anyio.create_task_group() as loops:
        for loop in tries:
            loops.start_soon(retry, loop)
        await wait_until(lambda: tries["often"] >= 3, timeout_s=30.0, what="the slow loop tried three times")
        loops.cancel_scope.cancel()
    assert tries["once"] > tries["often"]
    assert _told(log) == []  # it was down all the time


async def test_each_link_tells_of_its_own_server(log: LogLines) -> None:
    availability = redis_availability()
    other = Availability(availability._make_lost, availability._make_restored)
    await availability.failed("a", "away")
    assert (availability.is_up, other.is_up) == (False, True)
    await _hears(log, "redis.lost")
