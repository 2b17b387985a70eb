"""End tasks for certain, and see to it that loops do not end by themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskStatus

from worker.service.supervisor import unending


async def end(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Cancel tasks, once; return what each returned or raised."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def endless(
    run: Callable[..., Awaitable[None]], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Run a feed as the life cycle does, in a task group; one that ends by itself fails the test."""
    await unending(partial(run, task_status=task_status))
