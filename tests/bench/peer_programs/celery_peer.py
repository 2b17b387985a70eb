"""Celery: a task for each request; results in its Redis backend, in another database, as JSON."""
# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from celery import Celery

from tests.bench.peer_programs.face import REDIS_URL, RESULTS_URL, Answer, main
from tests.bench.peer_programs.job import Library, Request, Result

AT_ONCE = 32  # threads that wait for a result each: Celery's client knows no other way
LIBRARY = Library()
APP = Celery("peer", broker=REDIS_URL, backend=RESULTS_URL)
APP.conf.update(worker_prefetch_multiplier=128, worker_disable_rate_limits=True)


def sample(request: Request) -> Result:
    return LIBRARY.draw([request])[0]


TASK = APP.task(sample, name="sample")


class CeleryClient:
    """A client that sends requests by Celery's own calls."""

    async def enqueue(self, requests: Sequence[Request]) -> None:
        with APP.producer_pool.acquire(block=True) as producer:
            for request in requests:
                TASK.apply_async((request,), task_id=request["request_id"], producer=producer)

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        for request_id in request_ids:
            told = APP.backend.get_task_meta(request_id, cache=False)
            if told["status"] == "SUCCESS":
                yield told["result"]

    async def answer(self, request: Request) -> Result:
        return _answer(request)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Answer]:
        pool, loop = ThreadPoolExecutor(AT_ONCE), asyncio.get_running_loop()
        try:
            yield lambda request: loop.run_in_executor(pool, _answer, request)
        finally:
            pool.shutdown(cancel_futures=True)


def _answer(request: Request) -> Result:
    result: Result = TASK.apply_async((request,), task_id=request["request_id"]).get(timeout=5)
    return result


@asynccontextmanager
async def opened() -> AsyncIterator[CeleryClient]:
    yield CeleryClient()


if __name__ == "__main__":
    main(opened())
