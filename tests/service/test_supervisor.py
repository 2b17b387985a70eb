"""A loop that fails is logged and started again; a loop that keeps failing ends what keeps it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.errors import LoopEndedError
from worker.service.supervisor import MOST_FAILURES, Loop, keep, name_causes, unending

_SOON_S = 60.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


async def _raises() -> None:
    raise KeyError("a bug")


async def _returns() -> None:
    pass


async def _is_cancelled_by_nobody() -> None:
    """Wait for a future that is cancelled: the exception is the one by which tasks are ended."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def _loses_a_child() -> None:
    """Run a group of which one task is cancelled by nobody: the group takes that for its end."""
    async with anyio.create_task_group() as group:
        group.start_soon(_is_cancelled_by_nobody)
        await anyio.sleep_forever()


async def _has_a_child_that_fails() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_raises)
        await anyio.sleep_forever()


_ENDS: dict[str, tuple[Loop, str, str]] = {
    "raises": (_raises, "KeyError", "'a bug'"),
    "returns": (_returns, "LoopEndedError", "the loop returned, and nobody had told it to stop"),
    "cancelled": (_is_cancelled_by_nobody, "LoopEndedError", "the loop was cancelled, and nobody had asked for it"),
    "child cancelled": (_loses_a_child, "LoopEndedError", "the loop returned, and nobody had told it to stop"),
    "child raises": (_has_a_child_that_fails, "KeyError", "'a bug'"),
}


@pytest.mark.parametrize("kind", _ENDS)
async def test_an_end_of_any_kind_is_told_with_its_traceback_and_the_loop_begun_anew(kind: str, log: LogLines) -> None:
    fail, error, message = _ENDS[kind]
    begun = 0

    async def run() -> None:
        nonlocal begun
        begun += 1
        if begun <= 3:
            await fail()
        else:
            await anyio.sleep_forever()

    async with anyio.create_task_group() as loops:
        loops.start_soon(keep, "a loop", run)
        await wait_until(lambda: begun == 4, timeout_s=_SOON_S, what="it is begun for the fourth time")
        loops.cancel_scope.cancel()
    lines = log.of("loop.failed")
    assert [line["failures"] for line in lines] == [1, 2, 3]
    for line in lines:
        logged = [line[name] for name in ("level", "loop", "error", "message", "suppressed")]
        assert logged == ["error", "a loop", error, message, 0]
        assert error in line["traceback"]
        assert line["traceback"].startswith(("Traceback", "  + Exception Group Traceback"))


async def test_one_failure_too_many_is_raised(log: LogLines) -> None:
    begun = 0

    async def run() -> None:
        nonlocal begun
        begun += 1
        await _has_a_child_that_fails()

    with pytest.raises(ExceptionGroup) as raised:
        await keep("a loop", run)
    assert name_causes(raised.value) == ("KeyError", "'a bug'")
    assert raised.value.__notes__ == ["This was the loop a loop, and its failure number 10 within 60 s."]
    assert begun == MOST_FAILURES
    assert 0 < len(log.of("loop.failed")) < MOST_FAILURES  # the later ones in few lines


async def test_a_loop_that_was_told_to_stop_may_return() -> None:
    told = False

    async def run() -> None:
        nonlocal told
        told = True

    await keep("a loop", run, may_end=lambda: told)


async def test_a_failure_after_it_was_told_to_stop_is_no_end_in_order(log: LogLines) -> None:
    with pytest.raises(KeyError):
        await keep("a loop", _raises, may_end=lambda: True)
    assert len(log.of("loop.failed")) == 1


async def test_who_is_cancelled_by_somebody_ends_without_a_word(log: LogLines) -> None:
    running = asyncio.create_task(keep("a loop", anyio.sleep_forever))
    async with anyio.create_task_group() as loops:
        loops.start_soon(keep, "another", anyio.sleep_forever)
        await anyio.lowlevel.checkpoint()
        loops.cancel_scope.cancel()
    assert isinstance((await end(running))[0], asyncio.CancelledError)
    assert log.all() == []


async def _loses_a_loop() -> None:
    async with anyio.create_task_group() as loops:
        loops.start_soon(unending, _is_cancelled_by_nobody)
        await anyio.sleep_forever()


async def test_in_a_group_each_loop_ends_the_group_by_an_error_and_never_in_silence() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await _loses_a_loop()
    assert [type(one) for one in raised.value.exceptions] == [LoopEndedError]


def test_groups_are_named_by_what_they_hold() -> None:
    deep = ExceptionGroup("one", [ExceptionGroup("within", [ValueError("this")])])
    assert name_causes(deep) == ("ValueError", "this")
    several = ExceptionGroup("several", [deep, KeyError("that"), ValueError("again")])
    assert name_causes(several) == ("ValueError, KeyError", "ValueError: this; KeyError: 'that'; ValueError: again")
    assert name_causes(RuntimeError("plain")) == ("RuntimeError", "plain")
