"""One event when a server is lost, one when it is back, whoever of the loops noticed."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.waiting import wait_until
from worker.adapters.postgres.client import connected
from worker.adapters.redis.client import connect, redis_errors
from worker.core.events import PostgresLost, PostgresRestored, RedisLost, RedisRestored
from worker.errors import PostgresError, RedisError
from worker.service.availability import _AGAIN_S, Availability, cause_of
from worker.service.wiring import redis_availability

_SOON_S = 60.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _logged(log: LogLines) -> list[str]:
    return [line["event"] for line in log.all()]


async def _hears(log: LogLines, *events: str) -> None:
    await wait_until(lambda: _logged(log) == list(events), timeout_s=_SOON_S, what=f"{events} were logged")


async def test_a_server_is_lost_once_and_restored_when_every_loop_that_failed_has_succeeded(log: LogLines) -> None:
    availability = redis_availability()
    assert availability.is_up
    availability.succeeded("reader")
    await availability.failed("reader", "no route")
    await availability.failed("notification", "reset")
    await availability.failed("reader", "no route")
    assert not availability.is_up
    await _hears(log, "redis.lost")
    availability.succeeded("reader")
    availability.succeeded("heartbeat")  # which never failed
    assert not availability.is_up
    availability.succeeded("notification")
    availability.succeeded("notification")
    assert availability.is_up
    await _hears(log, "redis.lost", "redis.restored")
    lost, restored = log.all()
    assert lost["message"] == "no route"
    assert restored["down_s"] > 0
    await availability.failed("notification", "again")
    availability.succeeded("notification")
    await _hears(log, *["redis.lost", "redis.restored"] * 2)


class _Moving(Availability):
    """An availability whose clock a test moves: what was logged a moment ago was logged long ago."""

    def let_time_pass(self) -> None:
        self._logged_at -= _AGAIN_S


def _moving() -> _Moving:
    return _Moving(lambda text: RedisLost(message=text), lambda down_s: RedisRestored(down_s=down_s))


async def test_a_loss_is_logged_again_when_its_cause_changes_and_not_too_often(log: LogLines) -> None:
    availability = _moving()
    logged = []
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
        logged.append(words)
    await availability.failed("lane 0", logged[0])
    await availability.failed("lane 0", logged[2])  # too soon
    availability.let_time_pass()
    await availability.failed("lane 0", logged[2])
    lines = log.of("redis.lost")
    assert [line["message"] for line in lines] == [logged[i] for i in (0, 2, 4, 5, 0, 2)]
    availability.succeeded("lane 0")
    assert _logged(log) == ["redis.lost"] * 6 + ["redis.restored"]


async def _redis_says(url: str) -> str:
    async with connect(url, timeout_s=0.5) as client:
        with pytest.raises(RedisError) as lost, redis_errors("PING"):
            await client.execute_command("PING")
    return str(lost.value)


async def _postgres_says(url: str) -> str:
    with pytest.raises(PostgresError) as lost:
        async with connected(url, statement_timeout_s=1.0):
            pass
    return str(lost.value)


@pytest.mark.any_redis
async def test_a_loss_is_logged_again_when_a_server_that_was_gone_hangs_and_then_refuses_the_login(
    log: LogLines, redis_url: str, database_url: str
) -> None:
    """The errors are the drivers' own: of a closed port, of a silent one, and of a wrong login."""
    redis = _moving()
    postgres = _Moving(lambda text: PostgresLost(message=text), lambda down_s: PostgresRestored(down_s=down_s))
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closing:
        hangs, gone = (f"127.0.0.1:{one.getsockname()[1]}" for one in (silent, closing))
        closing.close()
        login = redis_url.replace("//", "//nobody:wrong@")
        for url in (f"redis://{gone}", f"redis://{hangs}", login):
            for _ in range(2):  # the same again is no other cause
                await redis.failed("lane 0", await _redis_says(url))
                redis.let_time_pass()
        unknown = urlsplit(database_url)._replace(path="/nowhere").geturl()
        for url in (f"postgresql://a@{gone}/b", f"postgresql://a@{hangs}/b?connect_timeout=1", unknown):
            for _ in range(2):
                await postgres.failed("catalog", await _postgres_says(url))
                postgres.let_time_pass()
    for event in ("redis.lost", "postgres.lost"):
        causes = [cause_of(line["message"]) for line in log.of(event)]
        assert causes[:2] == ["away", "silent"], log.of(event)
        assert len(causes) == 3


async def test_loops_that_word_one_cause_differently_are_no_change_of_it(log: LogLines) -> None:
    availability = _moving()
    for _ in range(3):
        for loop, command in (("lane 0", "xreadgroup"), ("lane 1", "evalsha"), ("heartbeat", "set")):
            right = f"NOPERM User worker has no permissions to run the '{command}' command"
            await availability.failed(
                loop, f"Redis refused {command.upper()}: {right}, as {loop} did {len(loop)} times"
            )
            availability.let_time_pass()
    assert _logged(log) == ["redis.lost"]


def test_causes_are_told_apart_by_what_the_server_says_and_not_by_names_and_numbers() -> None:
    silent = [
        "Redis did not answer PING: no reply within 5.0 s",
        "Redis did not answer PING: Timeout connecting to server",
        "Redis at redis://h:6379/0 is not reachable: no answer in time",
        "PostgreSQL at postgresql://a@b:5432/c is not reachable: [Errno 110] Connect call failed ('10.0.0.1', 5432)",
    ]
    assert {cause_of(message) for message in silent} == {"silent"}
    away = [
        "Redis did not answer PING: Connection reset by peer",
        "Redis at redis://h:6379/0 is not reachable: connection refused; is it running?",
        "Redis at redis://h:6379/0 is not reachable: the server closed the connection; where it asks for TLS",
        "PostgreSQL at postgresql://a@b:5432/c: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        "PostgreSQL at postgresql://a@b:5432/c: the database system is starting up",
        "PostgreSQL at postgresql://a@b:5432/c: terminating connection due to administrator command",
    ]
    assert {cause_of(message) for message in away} == {"away"}
    others = [
        "Redis did not answer PING: Error -2 connecting to nowhere:6379. Name or service not known",
        "Redis did not answer PING: Error -3 connecting to nowhere:6379. Temporary failure in name resolution",
        "Redis did not answer PING: Redis is loading the dataset in memory",
        "Redis at redis://h:6379/0 is not reachable: it is still loading its data",
        "Redis at redis://h:6379/0 refused the login: wrong user name or password",
        'PostgreSQL at postgresql://a@b:5432/c: relation "audio_chunks" does not exist',
        'PostgreSQL at postgresql://a@b:5432/c: password authentication failed for user "a"',
        "",
    ]
    assert len({cause_of(message) for message in others} | {"away"}) == len(others) + 1
    assert cause_of("x: 17 of 'a' failed") == cause_of("y: 4 of 'b' failed")


async def test_a_failing_loop_waits_longer_and_longer_and_never_for_ever(log: LogLines) -> None:
    """A loop that has failed often tries again less often than another one."""
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
    assert _logged(log) == []  # it was down all the time


async def test_each_server_has_an_availability_of_its_own(log: LogLines) -> None:
    availability = redis_availability()
    other = redis_availability()
    await availability.failed("a", "away")
    assert (repr(availability), repr(other)) == ("<Availability down, failures: {'a': 1}>", "<Availability up>")
    await _hears(log, "redis.lost")
