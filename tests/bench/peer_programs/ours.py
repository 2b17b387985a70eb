"""Our worker by its wire contract, through redis-py."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis
import redis.asyncio

from tests.bench.peer_programs.face import READ_MS, REDIS_URL, Answer, answering_by_stream, main
from tests.bench.peer_programs.job import Request, Result

REQUESTS, RESULTS = "audio:sample:requests", "audio:sample:results"
AT_ONCE = 1000


class OurClient:
    """A client that sends requests to our worker."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._last = "0"

    async def enqueue(self, requests: Sequence[Request]) -> None:
        for start in range(0, len(requests), AT_ONCE):
            pipeline = self._client.pipeline(transaction=False)
            for request in requests[start : start + AT_ONCE]:
                pipeline.xadd(REQUESTS, _fields(request))
            pipeline.execute()

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        last = "-"
        for _ in range(0, len(request_ids), AT_ONCE):
            entries: Any = self._client.xrange(RESULTS, min=last, count=AT_ONCE)
            for _, fields in entries:
                yield _result(fields)
            last = f"({entries[-1][0].decode()}"

    async def answer(self, request: Request) -> Result:
        self._client.xadd(REQUESTS, {**_fields(request), b"reply_to": b"trip"})
        reply: Any = self._client.xread({f"{RESULTS}:trip": self._last}, block=5000)
        self._last, fields = reply[0][1][0]
        return _result(fields)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Answer]:
        async with redis.asyncio.Redis.from_url(REDIS_URL, protocol=2, socket_timeout=10) as client:
            steady = Steady(client)
            async with answering_by_stream(steady.send, steady.read) as answer:
                yield answer


class Steady:
    """A client that sends requests at once, and reads their results from one stream."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._last: Any = "0"

    async def send(self, request: Request) -> None:
        await self._client.xadd(REQUESTS, {**_fields(request), b"reply_to": b"steady"})

    async def read(self) -> list[Result]:
        reply: Any = await self._client.xread({f"{RESULTS}:steady": self._last}, block=READ_MS)
        entries = reply[0][1] if reply else []
        self._last = entries[-1][0] if entries else self._last
        return [_result(fields) for _, fields in entries]


def _fields(request: Request) -> dict[Any, Any]:
    return {b"request_id": request["request_id"], b"size": request["size"]}


def _result(fields: Mapping[bytes, bytes]) -> Result:
    return Result(
        request_id=fields[b"request_id"].decode(),
        chunk_ids=json.loads(fields[b"chunk_ids"]),
        counts=json.loads(fields[b"counts"]),
    )


@asynccontextmanager
async def opened() -> AsyncIterator[OurClient]:
    with redis.Redis.from_url(REDIS_URL, protocol=2, socket_timeout=10) as client:
        yield OurClient(client)


if __name__ == "__main__":
    main(opened())
