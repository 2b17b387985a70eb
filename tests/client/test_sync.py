"""The client of a training loop on real servers: one call for a sample, none asked for twice, nothing left behind."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.jobs import keys_of_clients
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.client import Asked, ClientClosedError, SampleClient, SampleError, SampleTimeoutError
from worker.core.keys import Keys
from worker.errors import RefusedError

SOON_S = 60.0


@pytest.fixture
def server(redis_url: str) -> Iterator[Any]:
    with connect(redis_url) as server:
        yield server


def threads_of_clients() -> int:
    return sum(thread.name == "sample-client" for thread in threading.enumerate())


# -- one sample ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
def test_a_sample_is_one_call(client: SampleClient) -> None:
    sample = client.sample(40)
    assert isinstance(sample.chunk_ids, np.ndarray)
    assert (sample.chunk_ids.dtype, sample.chunk_ids.shape) == (np.dtype(np.int64), (40,))
    assert sample.chunk_ids.flags.writeable  # else torch.from_numpy warns
    categories = {1: "voice", 2: "music", 3: "documentary"}
    drawn = [categories[chunk // 1000] for chunk in sample.chunk_ids.tolist()]
    assert {name: drawn.count(name) for name in drawn} == sample.counts
    assert (sample.weights_source, len(sample.weights_version), len(sample.catalog_version)) == ("default", 12, 16)
    assert sample.left_out == ["conference"]
    assert (sample.weights, sample.ready, sample.seconds, sample.passes) == (None, None, None, None)
    assert sample.extra == {}


@pytest.mark.usefixtures("worker")
def test_what_is_asked_for_is_drawn(client: SampleClient) -> None:
    first = client.sample(5, category="music", seed=7, replace=False, probabilities=True, request_id="mine")
    assert first.request_id == "mine"
    assert first.counts == {"music": 5}
    assert (first.weights, first.ready) == ({"music": 1.0}, {"documentary": 50, "music": 50, "voice": 50})
    again = client.sample(np.int64(5), category="music", seed=7, replace=False, encoding="json")  # type: ignore[arg-type]
    assert np.array_equal(first.chunk_ids, again.chunk_ids)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert [one.traceparent for one in client.stream(2, count=2, traceparent=trace)] == [trace, trace]
    assert (first.traceparent, first.extra) == (None, {})
    spread = client.sample(10, method="stratified", preset="balanced", dataset="of-its-own")
    assert set(spread.counts.values()) <= {3, 4}
    passed = client.sample(50, category="voice", method="epoch", session="training", pin=True)
    assert passed.passes == {"voice": {1: 50}}
    assert passed.weights_source == "category"


@pytest.mark.usefixtures("worker")
def test_an_error_is_an_exception_with_its_code(client: SampleClient) -> None:
    with pytest.raises(SampleError, match=r"^too_few_chunks: .*accepted.*request mine") as caught:
        client.sample(500, replace=False, request_id="mine")
    assert (caught.value.code, caught.value.request_id) == ("too_few_chunks", "mine")


@pytest.mark.usefixtures("worker")
def test_many_samples_are_one_step_and_in_order(client: SampleClient) -> None:
    asked: list[Asked] = [{"size": size, "category": "voice"} for size in range(1, 601)]
    samples = client.sample_many([*asked, {}])
    assert [len(sample.chunk_ids) for sample in samples] == [*range(1, 601), 32]
    assert client.sample_many([]) == []


@pytest.mark.usefixtures("worker")
def test_a_request_can_be_submitted_and_waited_for_later(client: SampleClient) -> None:
    futures = [client.submit(size) for size in (1, 2, 3)]
    assert [len(future.result(SOON_S).chunk_ids) for future in futures] == [1, 2, 3]
    with pytest.raises(SampleError):
        client.submit(category="unheard-of").result(SOON_S)


@pytest.mark.usefixtures("worker")
def test_any_thread_may_ask(client: SampleClient) -> None:
    lengths: list[int] = []
    threads = [
        threading.Thread(target=lambda: lengths.extend(len(client.sample(3).chunk_ids) for _ in range(20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    assert lengths == [3] * 160
    assert threads_of_clients() == 1


# -- time ------------------------------------------------------------------------------------------------------


def test_a_sample_that_does_not_come_is_a_time_out_and_nobody_draws_it_later(
    client: SampleClient, server: Any, prefix: str
) -> None:
    with pytest.raises(TimeoutError, match=r"no result of request mine within 0\.1 s; is a worker running\?") as caught:
        client.sample(request_id="mine", timeout_s=0.1)
    assert isinstance(caught.value, SampleTimeoutError)
    [(_, fields)] = server.xrange(Keys(prefix).requests)
    seconds, microseconds = server.time()
    wait_until_sync(
        lambda: int(fields[b"expires_at"]) <= seconds * 1000 + microseconds / 1000 + 100,
        timeout_s=SOON_S,
        what="it has expired",
    )


def test_a_server_that_is_away_is_named(make_client: MakeClient) -> None:
    client = make_client(url="redis://127.0.0.1:1")
    with pytest.raises(
        SampleTimeoutError, match=r"Redis at redis://127\.0\.0\.1:1 is not reachable: connection refused"
    ):
        client.sample(timeout_s=0.3)


def test_a_lasting_refusal_is_told_at_once(client: SampleClient, server: Any, prefix: str) -> None:
    server.set(Keys(prefix).requests, "of another type")
    with pytest.raises(RefusedError, match="WRONGTYPE"):
        client.sample(timeout_s=None)


def test_what_was_too_slow_for_one_call_is_there_for_the_next(
    client: SampleClient, redis_url: str, prefix: str, server: Any
) -> None:
    with pytest.raises(SampleTimeoutError):
        client.sample(5, request_id="mine", timeout_s=0.05)
    with serving_in_background(redis_url, prefix):
        assert len(client.sample(5, request_id="mine").chunk_ids) == 5
    counts = server.hgetall(Keys(prefix).stats)
    assert sum(int(count) for name, count in counts.items() if name.startswith(b"chunks:")) == 5


# -- asking again ----------------------------------------------------------------------------------------------


@pytest.mark.fault("a client sends a request again and again: it is added once", "G05")
@pytest.mark.usefixtures("worker")
def test_asking_again_returns_what_was_drawn(client: SampleClient, server: Any, prefix: str) -> None:
    first = client.sample(request_id="mine")
    again = client.sample(request_id="mine")
    assert first.entry_id == again.entry_id
    assert np.array_equal(first.chunk_ids, again.chunk_ids)
    assert server.hget(Keys(prefix).stats, "requests:") == b"1"


@pytest.mark.usefixtures("worker")
def test_asking_again_after_an_error_asks_again(client: SampleClient, server: Any, prefix: str) -> None:
    with pytest.raises(SampleError):
        client.sample(500, replace=False, request_id="mine")
    assert len(client.sample(5, replace=False, request_id="mine").chunk_ids) == 5
    assert server.hlen(next(iter(server.keys(f"{prefix}:sample:asked:*")))) == 1


@pytest.mark.usefixtures("worker")
def test_a_later_life_of_a_name_finds_what_an_earlier_one_asked_for(
    make_client: MakeClient, redis_url: str, server: Any, prefix: str
) -> None:
    earlier = make_client(name="job")
    drawn = {name: earlier.sample(8, request_id=name).chunk_ids for name in ("a", "b")}
    other = earlier.sample(8)
    earlier.close(keep=True)
    later = make_client(name="job")
    for name, ids in drawn.items():
        assert np.array_equal(later.sample(8, request_id=name).chunk_ids, ids)
    assert later.sample(8).request_id != other.request_id
    assert server.hget(Keys(prefix).stats, "requests:") == b"4"
    later.close()
    assert keys_of_clients(redis_url, prefix) == []


def test_a_later_life_waits_for_what_is_under_way(
    make_client: MakeClient, redis_url: str, server: Any, prefix: str
) -> None:
    earlier = make_client(name="job")
    earlier.submit(8, request_id="a")
    wait_until_sync(lambda: server.xlen(Keys(prefix).requests) == 1, timeout_s=SOON_S, what="it is asked for")
    earlier.close(keep=True)
    later = make_client(name="job")
    waiting = later.submit(8, request_id="a")
    with serving_in_background(redis_url, prefix):
        assert len(waiting.result(SOON_S).chunk_ids) == 8
    assert server.hget(Keys(prefix).stats, "requests:") == b"1"


def test_an_exception_leaves_a_name_its_results(redis_url: str, prefix: str, server: Any) -> None:
    def ask(*, fail: bool) -> None:
        with SampleClient(redis_url, prefix=prefix, name="job") as client:
            client.sample(request_id="a")
            if fail:
                raise ZeroDivisionError

    with serving_in_background(redis_url, prefix):
        with pytest.raises(ZeroDivisionError):
            ask(fail=True)
        assert len(keys_of_clients(redis_url, prefix)) == 2
        ask(fail=False)
    assert keys_of_clients(redis_url, prefix) == []
    assert server.hget(Keys(prefix).stats, "requests:") == b"1"


# -- the end ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
def test_closing_leaves_nothing(client: SampleClient, redis_url: str, prefix: str) -> None:
    before = threads_of_clients()
    client.sample()
    assert len(keys_of_clients(redis_url, prefix)) == 2
    assert threads_of_clients() == before + 1
    client.close()
    client.close()
    assert keys_of_clients(redis_url, prefix) == []
    assert threads_of_clients() == before
    with pytest.raises(ClientClosedError, match="closed"):
        client.sample()


def test_closing_withdraws_what_is_not_answered_and_ends_all_waits(
    client: SampleClient, redis_url: str, server: Any, prefix: str
) -> None:
    future = client.submit(timeout_s=None)
    waiting = threading.Thread(target=client.close)
    wait_until_sync(lambda: server.xlen(Keys(prefix).requests) == 1, timeout_s=SOON_S, what="it is asked for")
    waiting.start()
    with pytest.raises(ClientClosedError):
        future.result(SOON_S)
    waiting.join(SOON_S)
    assert server.xlen(Keys(prefix).requests) == 0
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.usefixtures("worker")
def test_a_client_that_nobody_holds_is_closed(redis_url: str, prefix: str) -> None:
    before = threads_of_clients()
    client: SampleClient | None = SampleClient(redis_url, prefix=prefix)
    assert client is not None
    stream = client.stream(count=4)
    next(stream)
    del client, stream
    gc.collect()
    wait_until_sync(lambda: threads_of_clients() == before, timeout_s=SOON_S, what="its thread has ended")
    assert keys_of_clients(redis_url, prefix) == []


def test_a_client_that_was_never_used_has_nothing_to_close() -> None:
    before = threads_of_clients()
    with closing(SampleClient("redis://127.0.0.1:1")):
        assert threads_of_clients() == before


def test_a_thread_that_gets_no_answer_in_time_says_what_was_waited_for(client: SampleClient) -> None:
    with pytest.raises(SampleTimeoutError, match=r"^Redis did not say within 0.01 s whether it has the report$"):
        client.start().call(asyncio.sleep(60), 0.01, "whether it has the report")


def test_time_outs_of_what_is_asked_are_not_taken_for_those_of_the_thread(client: SampleClient) -> None:
    async def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        client.start().call(late(), 60, "anything")
