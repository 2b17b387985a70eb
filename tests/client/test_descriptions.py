"""What a client, a stream or an iteration says of itself, for a debugger or a log of a training."""

import pytest

from worker.client import AsyncSampleClient, SampleClient, SampleTimeoutError
from worker.client.address import find_address
from worker.client.requester import Requester

NOWHERE = "redis://user:secret@127.0.0.1:1/0"
SHOWN = "redis://user:***@127.0.0.1:1/0"


def test_a_client_names_its_server_and_whether_it_is_in_use() -> None:
    client = SampleClient(NOWHERE, prefix="p", name="job", timeout_s=0.1)
    assert repr(client) == f"<SampleClient {SHOWN}, prefix p, name job, unused>"
    with pytest.raises(SampleTimeoutError):
        client.sample(1)
    assert repr(client) == f"<SampleClient {SHOWN}, prefix p, name job, in use>"
    client.close()
    assert repr(client) == f"<SampleClient {SHOWN}, prefix p, name job, closed>"


async def test_an_awaited_client_says_what_its_requester_does() -> None:
    client = AsyncSampleClient(NOWHERE, prefix="p", name="job", timeout_s=0.1)
    assert repr(client) == f"<AsyncSampleClient {SHOWN}, prefix p, unused>"
    with pytest.raises(SampleTimeoutError):
        await client.sample(1)
    assert "<Requester job, retrying after " in repr(client)
    await client.close()
    assert repr(client) == f"<AsyncSampleClient {SHOWN}, prefix p, closed>"


@pytest.mark.any_redis
async def test_a_requester_waits_and_ends(redis_url: str, prefix: str) -> None:
    requester = Requester(find_address(redis_url, prefix, "job"))
    assert repr(requester) == "<Requester job, idle>"
    await requester.stop(keep=False)
    assert repr(requester) == "<Requester job, ended>"


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
def test_a_stream_says_how_far_it_is(client: SampleClient) -> None:
    stream = client.stream(1, prefetch=2, count=3)
    assert repr(stream) == "<SampleStream position 0, 0 asked for, 0 arrived>"
    next(stream)
    assert repr(stream).startswith("<SampleStream position 1, 3 asked for, ")
    assert len(list(stream)) == 2
    assert repr(stream) == "<SampleStream position 3, 3 asked for, 0 arrived>"


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
async def test_an_awaited_stream_says_how_far_it_is(redis_url: str, prefix: str) -> None:
    async with AsyncSampleClient(redis_url, prefix=prefix) as client:
        stream = client.stream(1, prefetch=2, count=2)
        assert repr(stream) == "<AsyncSampleStream position 0, 0 asked for, 0 arrived>"
        assert len([sample async for sample in stream]) == 2
        assert repr(stream) == "<AsyncSampleStream position 2, 2 asked for, 0 arrived>"


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
def test_an_iteration_says_how_far_it_is(client: SampleClient) -> None:
    from worker.client.torch import ChunkIdStream

    iteration = iter(ChunkIdStream(1, name="job", batches=3, client=client, prefetch=2))
    assert repr(iteration) == "<Iteration of job, unused>"
    next(iteration)
    assert repr(iteration) == "<Iteration 0 of job, position 1, 3 asked for>"
    assert len(list(iteration)) == 2
