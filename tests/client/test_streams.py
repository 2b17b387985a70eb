"""A stream of samples: asked for ahead, handed out in order, and none left out."""

import itertools
from typing import Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.servers import connect
from tests.support.waiting import wait_until, wait_until_sync
from worker.client import (
    AsyncSampleClient,
    ClientClosedError,
    SampleClient,
    SampleError,
    SampleStream,
    SampleTimeoutError,
)
from worker.core.keys import Keys

SOON_S = 60.0


def requests_served(url: str, prefix: str) -> int:
    with connect(url) as server:
        return int(server.hget(Keys(prefix).stats, "requests:") or 0)


def has_next(stream: SampleStream) -> bool:
    try:
        next(stream)
    except SampleTimeoutError:
        return False
    return True


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("prefetch", [1, 2, 8, 300])
def test_samples_come_in_the_order_in_which_they_were_asked_for(
    client: SampleClient, redis_url: str, prefix: str, prefetch: int
) -> None:
    stream = client.stream(3, prefetch=prefetch, count=500, request_ids=lambda number: f"n-{number}")
    assert [sample.request_id for sample in stream] == [f"n-{number}" for number in range(500)]
    assert list(stream) == []
    assert requests_served(redis_url, prefix) == 500


@pytest.mark.fault("a job that is quicker, or slower, than the worker asks for so many ahead and no more", "H03")
def test_as_many_are_asked_for_ahead_as_was_said(client: SampleClient, redis_url: str, prefix: str) -> None:
    def asked() -> int:
        return int(server.xlen(Keys(prefix).requests))

    with connect(redis_url) as server:
        stream = client.stream(prefetch=8, timeout_s=0.2)
        assert asked() == 0
        with pytest.raises(SampleTimeoutError):
            next(stream)
        assert asked() == 8


@pytest.mark.fault("a job that is quicker, or slower, than the worker asks for so many ahead and no more", "H03")
@pytest.mark.usefixtures("worker")
def test_a_stream_never_asks_for_more_than_it_is_ahead(client: SampleClient, redis_url: str, prefix: str) -> None:
    stream = client.stream(1, prefetch=8)
    for _ in range(21):
        next(stream)
    wait_until_sync(lambda: requests_served(redis_url, prefix) >= 25, timeout_s=SOON_S, what="the rest is answered")
    assert requests_served(redis_url, prefix) <= 21 + 8


@pytest.mark.usefixtures("worker")
def test_a_stream_says_what_a_request_can_say(client: SampleClient) -> None:
    for sample in client.stream(4, count=20, category="music", replace=False, probabilities=True):
        assert sample.counts == {"music": 4}
        assert sample.weights == {"music": 1.0}
        assert len(set(np.asarray(sample.chunk_ids).tolist())) == 4


@pytest.mark.usefixtures("worker")
def test_a_resumed_stream_repeats_nothing_and_loses_nothing(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    def name(number: int) -> str:
        return f"run-{number}"

    earlier = make_client(name="job")
    consumed = list(itertools.islice(earlier.stream(4, request_ids=name), 10))
    wait_until_sync(lambda: requests_served(redis_url, prefix) >= 15, timeout_s=SOON_S, what="more was drawn ahead")
    earlier.close(keep=True)
    ahead = requests_served(redis_url, prefix)
    later = make_client(name="job")
    rest = list(later.stream(4, count=ahead - 10, request_ids=lambda number: name(10 + number)))
    assert [sample.request_id for sample in consumed + rest] == [name(number) for number in range(ahead)]
    assert requests_served(redis_url, prefix) == ahead


def test_what_expired_while_nobody_waited_is_asked_for_again(client: SampleClient, redis_url: str, prefix: str) -> None:
    stream = client.stream(4, prefetch=4, count=10, timeout_s=1)
    with pytest.raises(SampleTimeoutError):
        next(stream)
    with serving_in_background(redis_url, prefix):
        for number in range(10):
            wait_until_sync(lambda: has_next(stream), timeout_s=SOON_S, what=f"sample {number} comes")
        with pytest.raises(StopIteration):
            next(stream)


@pytest.mark.usefixtures("worker")
def test_an_error_is_raised_and_left_out_by_nobody(client: SampleClient, redis_url: str, prefix: str) -> None:
    stream = client.stream(4, prefetch=2, count=6, preset="late", request_ids=str)
    for _ in range(3):
        with pytest.raises(SampleError, match="unknown_preset"):
            next(stream)
    with connect(redis_url) as server:
        server.set(Keys(prefix).weights("preset:late"), '{"voice": 1}')
    found: list[str] = []
    while len(found) < 6:
        try:
            found.append(next(stream).request_id)
        except SampleError:
            continue
    assert found == [str(number) for number in range(6)]
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.usefixtures("worker")
def test_closing_the_client_ends_its_streams(client: SampleClient) -> None:
    stream = client.stream(prefetch=2)
    next(stream)
    client.close()
    with pytest.raises(ClientClosedError):
        list(stream)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"prefetch": 0}, ValueError, "prefetch is 0; accepted: a whole number from 1"),
        ({"prefetch": 2.5}, TypeError, r"prefetch is 2\.5; accepted: a whole number"),
        ({"count": 0}, ValueError, "count is 0; accepted"),
        ({"request_ids": str, "request_id": "a"}, ValueError, "accepted: one of them"),
        ({"size": 0}, ValueError, "size is '0'; accepted: a whole number from 1 to 65536"),
        ({"sise": 3}, TypeError, "sise is not an argument; accepted: .*size"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    client: SampleClient, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        client.stream(**options)


@pytest.mark.parametrize(("request_ids", "error"), [(lambda _: "", ValueError), (lambda number: number, TypeError)])
def test_wrong_request_ids_are_refused_before_they_are_sent(
    client: SampleClient, request_ids: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="accepted: "):
        next(client.stream(request_ids=request_ids))


# -- the same on an event loop -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("prefetch", [1, 8])
async def test_an_asynchronous_stream_comes_in_order(async_client: AsyncSampleClient, prefetch: int) -> None:
    stream = async_client.stream(3, prefetch=prefetch, count=200, request_ids=str)
    assert [sample.request_id async for sample in stream] == [str(number) for number in range(200)]


async def test_an_asynchronous_stream_outlives_time_outs(
    async_client: AsyncSampleClient, redis_url: str, prefix: str
) -> None:
    stream = async_client.stream(4, prefetch=4, count=10, timeout_s=1)
    with pytest.raises(SampleTimeoutError):
        await anext(stream)

    async def has_come() -> bool:
        try:
            await anext(stream)
        except SampleTimeoutError:
            return False
        return True

    with serving_in_background(redis_url, prefix):
        for number in range(10):
            await wait_until(has_come, timeout_s=SOON_S, what=f"sample {number} comes")
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.usefixtures("worker")
async def test_an_asynchronous_stream_raises_errors_and_leaves_none_out(async_client: AsyncSampleClient) -> None:
    stream = async_client.stream(500, prefetch=2, replace=False, request_ids=str)
    for _ in range(3):
        with pytest.raises(SampleError, match="request 0"):
            await anext(stream)
