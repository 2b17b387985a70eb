"""Keep loops running: a loop that fails is logged and started again; a loop that keeps failing ends the process.

States of a loop: running, waiting to start again, ended in order, given up on.

Rules:

1. A loop ends in order in two ways only: its scope is cancelled, or it was told to stop and returns.
2. So three things are failures: an exception; a return although nobody told it to stop; and a cancellation that nobody
   asked for, such as that of a future that it awaits. A task group takes the last two for an end in order and says
   nothing. `unending` turns them into errors, so every loop in a task group is run through `unending`.
3. `keep` runs a loop for as long as the process lives. Each failure is logged as `loop.failed` with its traceback. The
   loop starts again after 50 ms at first, then 100 ms, and so on up to 1 s.
4. The tenth failure within 60 s is raised, and ends the process with status 1. A new process may do better.
5. A loop that starts again makes its own things again: connections, subscriptions, lanes. What a failed loop may leave
   behind is described in its own module, as in `worker.service.consumer`.

Why this is right: a worker whose loop ended silently looks alive and serves nothing. Every end is either asked for or
an error, so that cannot happen.
"""

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from worker.core.events import LoopFailed
from worker.errors import LoopEndedError
from worker.logs.emit import RateLimited

MOST_FAILURES = 10
WITHIN_S = 60.0
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0
Loop = Callable[[], Awaitable[None]]


def never() -> bool:
    """Return False: the loop may not end by itself."""
    return False


async def keep(name: str, run: Loop, *, may_end: Callable[[], bool] = never) -> None:
    """Run a loop, and start it again whenever it fails.

    Args:
        name: Of the loop, for the log.
        run: Runs the loop once for each call.
        may_end: Returns whether the loop was told to stop: then it may return, and is not started again.

    Raises:
        Exception: The tenth failure within 60 s, or a failure after the loop was told to stop.
    """
    failed_at: deque[float] = deque(maxlen=MOST_FAILURES)
    failed = RateLimited(interval_s=10.0, burst=5)
    while True:
        try:
            await unending(run, may_end=may_end)
        except Exception as error:
            now = time.monotonic()
            failed_at.append(now)
            failures = sum(at > now - WITHIN_S for at in failed_at)
            names, _ = name_causes(error)
            failed.emit(partial(_failure, name, error, failures), key=names)
            if may_end() or failures == MOST_FAILURES:
                error.add_note(f"This was the loop {name}, and its failure number {failures} within {WITHIN_S:g} s.")
                raise
        else:
            return
        await anyio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1)))


async def unending(run: Loop, *, may_end: Callable[[], bool] = never) -> None:
    """Run a loop, and raise an error if it ends although nobody asked for it.

    Args:
        run: Runs the loop.
        may_end: Returns whether the loop was told to stop.

    Raises:
        LoopEndedError: The loop returned or was cancelled, and nobody had asked for it.
    """
    try:
        await run()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LoopEndedError("the loop was cancelled, and nobody had asked for it") from error
    if not may_end():
        raise LoopEndedError("the loop returned, and nobody had told it to stop")


def name_causes(error: BaseException) -> tuple[str, str]:
    """Return the class names and messages of an error, of each one in an exception group.

    Args:
        error: Any exception; nested groups are flattened.
    """
    causes = list(_flatten(error))
    names = ", ".join(dict.fromkeys(type(cause).__name__ for cause in causes))
    if len(causes) == 1:
        return names, str(causes[0])
    return names, "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)


def _flatten(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [cause for one in error.exceptions for cause in _flatten(one)]


def _failure(name: str, error: Exception, failures: int, suppressed: int) -> LoopFailed:
    names, message = name_causes(error)
    text = "".join(traceback.format_exception(error))
    return LoopFailed(loop=name, error=names, message=message, traceback=text, failures=failures, suppressed=suppressed)
