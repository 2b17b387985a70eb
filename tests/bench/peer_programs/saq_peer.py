"""SAQ: a job for each request; results where SAQ keeps them, in the record of the job, as JSON."""
# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import orjson
from saq import Queue

from tests.bench.peer_programs.face import REDIS_URL, Answer, main
from tests.bench.peer_programs.job import Library, Request, Result

AT_ONCE = 50
LIBRARY = Library()
QUEUE = Queue.from_url(REDIS_URL, dump=orjson.dumps, load=orjson.loads)


async def sample(_context: Mapping[str, Any], *, request: Request) -> Result:
    return LIBRARY.draw([request])[0]


SETTINGS = {"queue": QUEUE, "functions": [sample], "concurrency": 50}


class SaqClient:
    """A client that sends requests by SAQ's own queue."""

    async def enqueue(self, requests: Sequence[Request]) -> None:
        # A worker that starts on a backlog sweeps at once, and aborts jobs that it is only about to run.
        await QUEUE.sweep(lock=3600)
        for start in range(0, len(requests), AT_ONCE):
            chunk = requests[start : start + AT_ONCE]
            await asyncio.gather(
                *(QUEUE.enqueue("sample", key=request["request_id"], request=request) for request in chunk)
            )

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        for request_id in request_ids:
            job = await QUEUE.job(request_id)
            if job is not None and job.result is not None:
                yield job.result

    async def answer(self, request: Request) -> Result:
        waiting = QUEUE.apply("sample", timeout=5, poll_interval=0.001, key=request["request_id"], request=request)
        result: Result = await waiting
        return result

    def answering(self) -> AbstractAsyncContextManager[Answer]:
        return nullcontext(self.answer)


@asynccontextmanager
async def opened() -> AsyncIterator[SaqClient]:
    await QUEUE.connect()
    yield SaqClient()
    await QUEUE.disconnect()


if __name__ == "__main__":
    main(opened())
