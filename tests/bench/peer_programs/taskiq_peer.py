"""taskiq on taskiq-redis: its stream broker, and its result backend in another database, as JSON."""
# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from tests.bench.peer_programs.face import REDIS_URL, RESULTS_URL, Answer, main
from tests.bench.peer_programs.job import Library, Request, Result

AT_ONCE = 50
LIBRARY = Library()
BACKEND = RedisAsyncResultBackend(RESULTS_URL, serializer=ORJSONSerializer())
BROKER = RedisStreamBroker(REDIS_URL).with_result_backend(BACKEND).with_serializer(ORJSONSerializer())


async def sample(request: dict[str, Any]) -> dict[str, Any]:
    return {**LIBRARY.draw([Request(request_id=request["request_id"], size=request["size"])])[0]}


TASK = BROKER.register_task(sample, task_name="sample")


class TaskiqClient:
    """A client that sends requests by taskiq's own calls."""

    async def enqueue(self, requests: Sequence[Request]) -> None:
        for start in range(0, len(requests), AT_ONCE):
            await asyncio.gather(*map(self._enqueue, requests[start : start + AT_ONCE]))

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        for request_id in request_ids:
            told = await BACKEND.get_result(request_id)
            if not told.is_err:
                yield told.return_value

    async def answer(self, request: Request) -> Result:
        task = await self._enqueue(request)
        result: Result = (await task.wait_result(check_interval=0.001, timeout=5)).return_value
        return result

    def answering(self) -> AbstractAsyncContextManager[Answer]:
        return nullcontext(self.answer)

    async def _enqueue(self, request: Request) -> Any:
        return await TASK.kicker().with_task_id(request["request_id"]).kiq(request)


@asynccontextmanager
async def opened() -> AsyncIterator[TaskiqClient]:
    await BROKER.startup()
    yield TaskiqClient()
    await BROKER.shutdown()


if __name__ == "__main__":
    main(opened())
