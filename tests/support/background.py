"""A worker on an event loop of its own, in a thread, for tests whose calls block."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.workers import DONE_S, Wiring, serving


@contextmanager
def serving_in_background(url: str, prefix: str, wiring: Wiring | None = None) -> Iterator[None]:
    """Serve until the end of the block; a worker that fails fails the test."""
    stopping: Future[None] = Future()
    ready: Future[None] = Future()

    async def serve() -> None:
        async with serving(url, prefix, wiring):
            ready.set_result(None)
            await asyncio.wrap_future(stopping)

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(asyncio.run, serve())
        try:
            ready.result(DONE_S)
            yield
        finally:
            stopping.set_result(None)
            ended.result(DONE_S)
