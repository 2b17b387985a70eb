"""End tasks for certain."""

import asyncio
from typing import Any

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
