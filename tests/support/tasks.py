"""End tasks for certain, and see to it that loops do not end by themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskStatus

from worker.service.supervisor import unending

_AGAIN_S = 0.05


async def end(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Cancel tasks until they have ended; return what each returned or raised.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, through which redis-py writes, can swallow a cancellation.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_S)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def endless(
    run: Callable[..., Awaitable[None]], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Run a feed as the life cycle does, in a task group; one that ends by itself fails the test."""
    await unending(partial(run, task_status=task_status))
