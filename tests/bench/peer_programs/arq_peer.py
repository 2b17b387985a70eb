"""arq: a task for each request; results where arq keeps them, as JSON."""
# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import orjson
from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job

from tests.bench.peer_programs.face import REDIS_URL, Answer, main
from tests.bench.peer_programs.job import Library, Request, Result

AT_ONCE = 50
LIBRARY = Library()
REDIS = RedisSettings.from_dsn(REDIS_URL)
QUIET = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}


async def sample(_context: Mapping[str, Any], request: Request) -> Result:
    return LIBRARY.draw([request])[0]


class WorkerSettings:
    """Settings of arq's worker. It reads again after `poll_delay`, and runs at most `max_jobs` at once."""

    functions = (sample,)
    redis_settings = REDIS
    max_jobs = 10
    poll_delay = 0.001
    job_serializer = orjson.dumps
    job_deserializer = orjson.loads


class ArqClient:
    """A client that sends requests by arq's own pool."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def enqueue(self, requests: Sequence[Request]) -> None:
        for start in range(0, len(requests), AT_ONCE):
            await asyncio.gather(*map(self._enqueue, requests[start : start + AT_ONCE]))

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        for request_id in request_ids:
            told = await Job(request_id, self._pool, _deserializer=orjson.loads).result_info()
            if told is not None and told.success:
                yield told.result

    async def answer(self, request: Request) -> Result:
        job = await self._enqueue(request)
        result: Result = await job.result(timeout=5, poll_delay=0.001)
        return result

    def answering(self) -> AbstractAsyncContextManager[Answer]:
        return nullcontext(self.answer)

    async def _enqueue(self, request: Request) -> Any:
        return await self._pool.enqueue_job("sample", request, _job_id=request["request_id"])


@asynccontextmanager
async def opened() -> AsyncIterator[ArqClient]:
    pool = await create_pool(REDIS, job_serializer=orjson.dumps, job_deserializer=orjson.loads)
    yield ArqClient(pool)
    await pool.aclose()


if __name__ == "__main__":
    main(opened())
