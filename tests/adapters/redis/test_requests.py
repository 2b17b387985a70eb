"""A training job's side of the streams on real servers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.streams import Desk, batch_of, desk_at, result_of
from worker.adapters.redis.requests import RedisRequests
from worker.adapters.redis.streams import RedisStreams
from worker.core.wire import Decoder, Request, encode_request
from worker.errors import RedisError

_WAIT_MS = 10
_LONG_S = 10.0


@pytest.fixture
async def requests(redis_url: str, desk: Desk) -> AsyncIterator[RedisRequests]:
    async with desk_at(redis_url, desk.keys.prefix) as own:  # a blocked read must not hold up the other side
        yield RedisRequests(own.client, desk.keys, "job")


async def _answer_some(stream: RedisStreams, count: int) -> list[Request]:
    """Answer requests with their own size as the chunk ids."""
    read: list[Request] = []
    while len(read) < count:
        found = [Decoder().decode(entry) for entry in await stream.read(count - len(read), 500)]
        asked = [request for request in found if isinstance(request, Request)]
        assert len(asked) == len(found)
        if asked:
            results = [result_of(ask.entry_id, ask.terms.reply_to, "chunk_ids", f"[{ask.terms.size}]") for ask in asked]
            await stream.settle(batch_of(results))
        read += asked
    return read


async def test_requests_name_a_reply_stream_of_their_own(
    desk: Desk, stream: RedisStreams, requests: RedisRequests
) -> None:
    ids = await requests.add([encode_request(size=3, dataset="d"), ()])
    first, second = await _answer_some(stream, 2)
    assert ids == [first.entry_id, second.entry_id]
    assert (first.terms.size, first.terms.dataset, second.terms.size, second.terms.dataset) == (3, "d", 1, None)
    assert first.terms.reply_to == second.terms.reply_to
    assert str(first.terms.reply_to).startswith("job-")
    assert RedisRequests(desk.client, desk.keys, "job")._reply_to != first.terms.reply_to


async def test_no_requests_are_no_trouble(desk: Desk, requests: RedisRequests) -> None:
    assert await requests.add([]) == []
    assert await requests.sample([], timeout_s=_LONG_S) == {}
    assert await desk.client.exists(desk.keys.requests) == 0


async def test_each_result_is_received_once(stream: RedisStreams, requests: RedisRequests) -> None:
    assert await requests.receive(_WAIT_MS) == []
    for _ in range(2):
        ids = await requests.add([encode_request(size=1), encode_request(size=2)])
        await _answer_some(stream, 2)
        replies = await requests.receive(_WAIT_MS)
        assert [reply.entry_id for reply in replies] == ids
        assert [reply.chunk_ids for reply in replies] == [[1], [2]]
        assert await requests.receive(_WAIT_MS) == []


async def test_results_beyond_a_page_come_with_the_next_call(stream: RedisStreams, requests: RedisRequests) -> None:
    ids = await requests.add([encode_request(size=1)] * 1500)
    await _answer_some(stream, 1500)
    pages = [await requests.receive(_WAIT_MS) for _ in range(3)]
    assert [len(page) for page in pages] == [1000, 500, 0]
    assert [reply.entry_id for page in pages for reply in page] == ids


async def test_samples_come_in_the_order_of_the_requests(stream: RedisStreams, requests: RedisRequests) -> None:
    asking = asyncio.create_task(requests.sample([encode_request(size=i) for i in range(1, 9)], timeout_s=_LONG_S))
    await _answer_some(stream, 3)
    await _answer_some(stream, 5)
    replies = await asking
    assert [reply.chunk_ids for reply in replies.values()] == [[i] for i in range(1, 9)]
    assert [reply.entry_id for reply in replies.values()] == list(replies)


async def test_what_does_not_come_in_time_is_missing(stream: RedisStreams, requests: RedisRequests) -> None:
    asking = asyncio.create_task(requests.sample([encode_request(size=1), encode_request(size=2)], timeout_s=0.2))
    [answered] = await _answer_some(stream, 1)
    assert list(await asking) == [answered.entry_id]
    late = Decoder().decode((await stream.read(1, _WAIT_MS))[0])
    assert isinstance(late, Request)
    assert (late.terms.size, late.expires_at) == (2, answered.expires_at)
    assert late.expires_at is not None  # nobody works on it any more


async def test_closing_removes_the_reply_stream(desk: Desk, stream: RedisStreams, requests: RedisRequests) -> None:
    await requests.add([()])
    await _answer_some(stream, 1)
    assert await desk.client.exists(desk.keys.reply(requests._reply_to)) == 1
    await requests.close()
    await requests.close()
    assert await desk.client.exists(desk.keys.reply(requests._reply_to)) == 0


async def test_refusals_are_translated(desk: Desk, requests: RedisRequests) -> None:
    await desk.client.set(desk.keys.requests, "not a stream")
    await desk.client.set(desk.keys.reply(requests._reply_to), "not a stream")
    for call in (requests.add([()]), requests.receive(_WAIT_MS), requests.sample([()], timeout_s=_LONG_S)):
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await call
