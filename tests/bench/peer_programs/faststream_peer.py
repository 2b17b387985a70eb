"""FastStream on streams with a consumer group: `ONE` takes message by message, `BATCH` lists of them.

Results go to a stream, one message each, in FastStream's default format with its JSON.
"""
# mypy: disable-error-code="import-not-found"

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from faststream import FastStream
from faststream.redis import BinaryMessageFormatV1, Pipeline, RedisBroker, StreamSub
from redis.asyncio import Redis

from tests.bench.peer_programs.face import READ_MS, REDIS_URL, Answer, answering_by_stream, main
from tests.bench.peer_programs.job import Library, Request, Result

REQUESTS, RESULTS = "requests", "results"
AT_ONCE = 1000
LIBRARY = Library()


async def sample(request: dict[str, Any]) -> dict[str, Any]:
    return {**LIBRARY.draw([_request(request)])[0]}


async def sample_all(requests: list[dict[str, Any]], pipeline: Pipeline) -> None:
    for result in LIBRARY.draw([_request(request) for request in requests]):
        await BATCH_BROKER.publish(result, stream=RESULTS, pipeline=pipeline)
    await pipeline.execute()


def _request(fields: Mapping[str, Any]) -> Request:
    return Request(request_id=fields["request_id"], size=fields["size"])


def _source(**options: Any) -> StreamSub:
    return StreamSub(REQUESTS, group="samplers", consumer="one", last_id="0", **options)


ONE_BROKER = RedisBroker(REDIS_URL, logger=None, apply_types=False)
ONE_BROKER.subscriber(stream=_source(max_records=100), max_workers=10)(ONE_BROKER.publisher(stream=RESULTS)(sample))
ONE = FastStream(ONE_BROKER)

BATCH_BROKER = RedisBroker(REDIS_URL, logger=None)
BATCH_BROKER.subscriber(stream=_source(batch=True, max_records=256))(sample_all)
BATCH = FastStream(BATCH_BROKER)


class FastStreamClient:
    """A client that publishes requests by FastStream's broker, and reads the stream of results."""

    def __init__(self, broker: RedisBroker, client: Any) -> None:
        self._broker = broker
        self._client = client
        self._last = "$"

    async def enqueue(self, requests: Sequence[Request]) -> None:
        for start in range(0, len(requests), AT_ONCE):
            async with self._client.pipeline(transaction=False) as pipeline:
                for request in requests[start : start + AT_ONCE]:
                    await self._broker.publish(request, stream=REQUESTS, pipeline=pipeline)
                await pipeline.execute()

    async def results(self, request_ids: Sequence[str]) -> AsyncIterator[Result]:
        last = "-"
        for _ in range(0, len(request_ids), AT_ONCE):
            entries = await self._client.xrange(RESULTS, min=last, count=AT_ONCE)
            for _, fields in entries:
                yield _result(fields)
            last = f"({entries[-1][0].decode()}"

    async def answer(self, request: Request) -> Result:
        if self._last == "$":
            self._last = (await self._client.xinfo_stream(RESULTS))["last-generated-id"]
        await self._broker.publish(request, stream=REQUESTS)
        reply = await self._client.xread({RESULTS: self._last}, block=5000)
        self._last, fields = reply[0][1][0]
        return _result(fields)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Answer]:
        newest = await self._client.xrevrange(RESULTS, count=1)
        self._last = newest[0][0] if newest else "0"
        async with answering_by_stream(self._send, self._read) as answer:
            yield answer

    async def _send(self, request: Request) -> None:
        await self._broker.publish(request, stream=REQUESTS)

    async def _read(self) -> list[Result]:
        reply = await self._client.xread({RESULTS: self._last}, block=READ_MS)
        entries = reply[0][1] if reply else []
        self._last = entries[-1][0] if entries else self._last
        return [_result(fields) for _, fields in entries]


def _result(fields: Mapping[bytes, bytes]) -> Result:
    body, _ = BinaryMessageFormatV1.parse(fields[b"__data__"])
    result: Result = json.loads(body)
    return result


@asynccontextmanager
async def opened() -> AsyncIterator[FastStreamClient]:
    async with RedisBroker(REDIS_URL, logger=None) as broker, Redis.from_url(REDIS_URL, protocol=2) as client:
        yield FastStreamClient(broker, client)


if __name__ == "__main__":
    main(opened())
