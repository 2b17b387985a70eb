"""Waiting for conditions, never for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Callable

_POLL_S = 0.01
_LONGEST_POLL_S = 0.1
_CALM = 20  # a process that waits takes no more than a twentieth of a core from those that are waited for
_LEAST_S = 30.0  # a deadline that a busy machine misses says nothing


async def wait_until(predicate: Callable[[], object], *, timeout_s: float, what: str) -> None:
    """Wait until `predicate()`, or what it awaits, is true; `what` ends the sentence "waited ... until"."""
    assert timeout_s >= _LEAST_S, what
    try:
        async with asyncio.timeout(timeout_s):
            while not await _outcome(predicate):
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise AssertionError(f"waited {timeout_s:g} s in vain until {what}") from error


def wait_until_sync(predicate: Callable[[], object], *, timeout_s: float, what: str) -> None:
    """Wait until `predicate()` is true; `what` ends the sentence "waited ... until"."""
    assert timeout_s >= _LEAST_S, what
    deadline = time.monotonic() + timeout_s
    while True:
        begun = time.thread_time()
        if predicate():
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain until {what}")
        took_s = time.thread_time() - begun
        time.sleep(min(max(_POLL_S, _CALM * took_s), _LONGEST_POLL_S))


async def _outcome(predicate: Callable[[], object]) -> object:
    found = predicate()
    return await found if inspect.isawaitable(found) else found
