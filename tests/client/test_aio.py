"""The client of a program on an event loop, on real servers."""

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from worker.client import AsyncSampleClient, ClientClosedError, SampleError, SampleTimeoutError
from worker.core.keys import PINNED

SOON_S = 60.0


async def keys_of_clients(desk: Desk) -> list[bytes]:
    found: list[bytes] = []
    for key in (desk.keys.asked("*"), desk.keys.reply("*")):
        found += await desk.client.keys(key)
    return found


@pytest.mark.usefixtures("worker")
async def test_samples_are_awaited(async_client: AsyncSampleClient) -> None:
    assert len((await async_client.sample(5)).chunk_ids) == 5
    samples = await asyncio.gather(*(async_client.sample(size) for size in range(1, 50)))
    assert [len(sample.chunk_ids) for sample in samples] == list(range(1, 50))
    many = await async_client.sample_many([{"size": 2}, {"category": "music"}])
    assert [len(sample.chunk_ids) for sample in many] == [2, 32]
    with pytest.raises(SampleError, match="unknown_category"):
        await async_client.sample_many([{}, {"category": "unheard-of"}])


@pytest.mark.usefixtures("worker")
async def test_asking_again_returns_what_was_drawn(async_client: AsyncSampleClient) -> None:
    first, second = await asyncio.gather(*(async_client.sample(request_id="mine") for _ in range(2)))
    third = await async_client.sample(request_id="mine")
    assert first.entry_id == second.entry_id == third.entry_id
    assert np.array_equal(first.chunk_ids, third.chunk_ids)


async def test_time_outs(async_client: AsyncSampleClient) -> None:
    with pytest.raises(SampleTimeoutError, match="is a worker running"):
        await async_client.sample(timeout_s=0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(async_client.sample(timeout_s=None), 0.05)


@pytest.mark.usefixtures("worker")
async def test_who_gives_up_on_a_future_disturbs_nobody(async_client: AsyncSampleClient) -> None:
    given_up, kept = async_client.submit(request_id="a"), async_client.submit(request_id="b")
    given_up.cancel()
    assert (await kept).request_id == "b"
    assert (await async_client.sample(request_id="a")).request_id == "a"


@pytest.mark.fault("a training job gives up at any step of the event loop, connecting included", "A14")
@pytest.mark.usefixtures("worker")
async def test_who_gives_up_at_any_step_leaves_nothing_behind(redis_url: str, desk: Desk) -> None:
    tasks = asyncio.all_tasks()
    for steps in range(51):
        async with AsyncSampleClient(redis_url, prefix=desk.keys.prefix) as client:
            given_up = asyncio.create_task(client.sample(request_id="mine"))
            for _ in range(steps):
                await asyncio.sleep(0)
            given_up.cancel()
            assert (await client.sample(request_id="mine")).request_id == "mine"
            await end(given_up)
    assert asyncio.all_tasks() == tasks
    assert await keys_of_clients(desk) == []


async def test_closing_leaves_nothing(redis_url: str, desk: Desk, worker: Any) -> None:
    del worker
    async with AsyncSampleClient(redis_url, prefix=desk.keys.prefix) as client:
        await client.sample()
        assert len(await keys_of_clients(desk)) == 2
    assert await keys_of_clients(desk) == []
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.sample()


async def test_closing_ends_all_waits(redis_url: str, desk: Desk) -> None:
    client = AsyncSampleClient(redis_url, prefix=desk.keys.prefix)
    waiting = client.submit(timeout_s=None)

    async def is_asked_for() -> bool:
        return bool(await desk.client.xlen(desk.keys.requests))

    await wait_until(is_asked_for, timeout_s=SOON_S, what="it is asked for")
    await client.close()
    with pytest.raises(ClientClosedError):
        await waiting
    assert await desk.client.xlen(desk.keys.requests) == 0


@pytest.mark.usefixtures("worker")
async def test_releasing_a_session_lets_it_be_pinned_anew(async_client: AsyncSampleClient, desk: Desk) -> None:
    first = await async_client.sample(session="s", pin=True)
    await desk.client.set(desk.keys.weights(), '{"music": 1}')
    await async_client.sample()
    held = await async_client.sample(session="s", pin=True)
    assert held.weights_version == first.weights_version
    assert await desk.client.hexists(desk.keys.session("s"), PINNED)
    await async_client.release("s")
    anew = await async_client.sample(session="s", pin=True)
    assert anew.counts == {"music": 32}
    with pytest.raises(ValueError, match="session is ''; accepted"):
        await async_client.release("")
