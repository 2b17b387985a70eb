"""Lost replies, killed connections, a Redis that forgets: each request is answered once, and drawn for once."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.proxy import Proxy, losing_replies
from tests.support.servers import connect, redis_binaries
from tests.support.tampering import Tamperer
from tests.support.waiting import wait_until_sync
from worker.client import AsyncSampleClient, SampleClient, SampleTimeoutError
from worker.core.keys import Keys
from worker.embedded import RedisServer

SOON_S = 30.0


@pytest.fixture
def server(redis_url: str) -> Iterator[Any]:
    with connect(redis_url) as server:
        yield server


def served(server: Any, prefix: str) -> int:
    return int(server.hget(Keys(prefix).stats, "requests:") or 0)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("word", ["EVALSHA", "XREAD"])
async def test_lost_replies_cost_no_sample_and_double_none(redis_url: str, prefix: str, server: Any, word: str) -> None:
    async with (
        losing_replies(redis_url, word, losses=10) as url,
        AsyncSampleClient(url, prefix=prefix, timeout_s=SOON_S) as client,
    ):
        entries = [(await client.sample(3)).entry_id for _ in range(30)]
    assert len(set(entries)) == 30
    assert served(server, prefix) == 30


@pytest.mark.usefixtures("worker")
def test_killed_connections_cost_no_sample_and_double_none(client: SampleClient, server: Any, prefix: str) -> None:
    rng = random.Random(4)
    numbers, entries = [], set()
    for sample in client.stream(3, prefetch=16, count=600, request_ids=str):
        numbers.append(int(sample.request_id))
        entries.add(sample.entry_id)
        if rng.random() < 0.05:
            server.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")
    assert numbers == list(range(600))
    assert len(entries) == 600
    assert served(server, prefix) == 600


@pytest.mark.fault("replies to a client are tampered with: it hands out no wrong sample, and all of them", "D05")
@pytest.mark.usefixtures("worker")
def test_replies_that_are_tampered_with_cost_no_sample_and_bring_no_wrong_one(
    make_client: MakeClient, redis_url: str, server: Any, prefix: str
) -> None:
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        client = make_client(url=f"{proxy.url}?socket_timeout=2", name="job", timeout_s=300.0)
        tamperer = proxy.tamperer = Tamperer(5, every=6)
        samples = list(client.stream(3, prefetch=16, count=900, request_ids=str))
        tamperer.every = 0
        written = server.xrange(Keys(prefix).reply("job"))
        client.close()
    assert tamperer.done.total() > 30
    assert [sample.request_id for sample in samples] == [str(number) for number in range(900)]
    results = {fields[b"entry_id"].decode(): fields for _, fields in written}
    for sample in samples:
        fields = results[sample.entry_id]
        assert fields[b"request_id"].decode() == sample.request_id
        assert np.frombuffer(fields[b"chunk_ids"], "<i8").tolist() == list(sample.chunk_ids)


@pytest.mark.fault("reply streams are deleted again and again: their client asks again", "H02")
@pytest.mark.usefixtures("worker")
def test_a_reply_stream_that_vanishes_is_healed(client: SampleClient, server: Any, prefix: str) -> None:
    stream = client.stream(3, prefetch=8, count=300, request_ids=str)
    numbers = []
    for sample in stream:
        numbers.append(sample.request_id)
        if len(numbers) % 100 == 50:
            server.delete(*server.keys(f"{prefix}:sample:results:*"))
    assert numbers == [str(number) for number in range(300)]


def test_requests_that_redis_forgets_are_asked_for_again(
    client: SampleClient, redis_url: str, server: Any, prefix: str
) -> None:
    waiting = [client.submit(3) for _ in range(20)]
    wait_until_sync(lambda: server.xlen(Keys(prefix).requests) == 20, timeout_s=SOON_S, what="they are asked for")
    server.delete(*server.keys(f"{prefix}:*"))
    with serving_in_background(redis_url, prefix):
        assert [len(future.result(SOON_S).chunk_ids) for future in waiting] == [3] * 20


@pytest.mark.parametrize("binary", redis_binaries().values(), ids=redis_binaries())
def test_a_restart_of_a_server_that_keeps_nothing(binary: Path, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path, binary=binary) as redis,
        SampleClient(redis.url, timeout_s=SOON_S) as client,
        serving_in_background(redis.url, "audio"),
    ):
        stream = client.stream(3, prefetch=4, request_ids=str)
        found = [next(stream).request_id for _ in range(10)]
        redis.stop()
        with pytest.raises(SampleTimeoutError, match=r"Redis at \S+ is not reachable: "):
            client.sample(timeout_s=0.3)
        redis.start()
        found += [sample.request_id for sample in itertools.islice(stream, 20)]
    assert found == [str(number) for number in range(30)]


@pytest.mark.usefixtures("worker")
def test_what_others_put_into_a_reply_stream_harms_nobody(make_client: MakeClient, server: Any, prefix: str) -> None:
    client = make_client(name="job")
    for fields in ({"what": "is it"}, {"request_id": "a", "entry_id": "b", "counts": "{"}, {b"\xff": b"\xff"}):
        server.xadd(Keys(prefix).reply("job"), fields)
    assert len(client.sample(3, request_id="a").chunk_ids) == 3
