"""Keep loops running: one that ends by itself is logged and restarted; one that goes on failing ends the process.

Rules

1. A loop ends in order in two ways: its scope is cancelled, or it was told to stop and returns.
2. Three things are failures: an exception, a return that nobody asked for, and a cancellation that nobody asked for,
   such as that of a future which the loop awaits. A task group takes the latter two for an end in order and says
   nothing. `unending` turns them into errors. Every loop within a task group runs through it.
3. Each failure is logged as `loop.failed` with its traceback. `keep` restarts the loop after 50 ms, then after 100 ms,
   and so on up to 1 s.
4. The tenth failure within 60 s is raised, and ends the process with status 1: a new process can do no worse.
5. A loop that is restarted makes its connections, subscriptions and lanes again. What it may leave behind is
   described where it is kept, as in `worker.service.consumer`.
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
    """Run a loop, and restart it whenever it fails.

    Args:
        name: Of the loop, for the log.
        run: Runs it, as often as it is called.
        may_end: Returns whether it was told to stop: then it may return, and is not restarted.

    Raises:
        Exception: That of the failure that was one too many, or of one after it was told to stop.
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
    """Run a loop, and make an error of an end that nobody asked for.

    Args:
        run: Runs it.
        may_end: Tells whether it was told to stop.

    Raises:
        LoopEndedError: It returned untold, or was cancelled by nobody.
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
    """Name what a failure comes of: class and text, of each where an exception group holds several.

    Args:
        error: Any exception; groups are looked into, however deep.
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
