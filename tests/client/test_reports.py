"""Losses that a client reports stand in Redis as the contract says, once each; what is wrong is refused before."""

import asyncio
import os
import socket
from typing import Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.proxy import losing_replies
from tests.support.servers import connect
from worker.client import AsyncSampleClient, ClientClosedError, RedisError, SampleClient
from worker.client.report_calls import check_report
from worker.core.keys import Keys
from worker.core.wire.feedback import Report, read_report
from worker.core.wire.losses import LossSum
from worker.errors import RefusedError, UnreachableError

NOWHERE = "redis://127.0.0.1:1/0"
LOSSES: dict[str, Any] = {
    "voice": {"sum": np.float32(31), "count": np.int64(20), "squares": 55.25},
    "music": np.float64(1.5),
    "news": np.array(2.5),
}
READ = {"voice": LossSum(31, 20, 55.25), "music": LossSum(1.5, 1, 2.25), "news": LossSum(2.5, 1, 6.25)}
HERE = f"{socket.gethostname()}:{os.getpid()}"


def stored(url: str, prefix: str) -> list[Report]:
    """Read all reports as a rule does."""
    with connect(url) as server:
        entries: Any = server.execute_command("XRANGE", Keys(prefix).feedback, "-", "+")
    found = []
    for entry_id, fields in entries:
        words = fields if isinstance(fields, list) else [word for pair in fields.items() for word in pair]
        report = read_report(entry_id.decode(), words)
        assert isinstance(report, Report), report
        found.append(report)
    return found


def test_a_report_is_one_call(client: SampleClient, redis_url: str, prefix: str) -> None:
    entry = client.report(LOSSES, dataset="d", session="run 7", weights_version="0123456789ab", step=np.int64(3))  # type: ignore[arg-type]
    again = client.report(LOSSES, kind="score", reporter="rank 3")
    assert stored(redis_url, prefix) == [
        Report(entry, READ, "d", "run 7", "0123456789ab", 3, "train", HERE),
        Report(again, READ, kind="score", reporter="rank 3"),
    ]


async def test_a_report_is_one_awaited_call(async_client: AsyncSampleClient, redis_url: str, prefix: str) -> None:
    entry = await async_client.report(LOSSES, step=3)
    futures = [async_client.submit_report({"voice": number}) for number in range(20)]
    entries = await asyncio.gather(*futures)
    found = stored(redis_url, prefix)
    assert found[0] == Report(entry, READ, step=3, reporter=HERE)
    assert [one.entry_id for one in found[1:]] == entries
    assert [one.losses["voice"].sum for one in found[1:]] == [*range(20)]


@pytest.mark.any_redis
def test_a_client_with_a_name_reports_under_it(make_client: MakeClient, redis_url: str, prefix: str) -> None:
    make_client(name="run-7").report({"voice": 1})
    assert [one.reporter for one in stored(redis_url, prefix)] == ["run-7"]


@pytest.mark.any_redis
def test_reports_that_nobody_waits_for_are_stored_before_the_client_ends(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    with make_client() as client:
        futures = [client.submit_report({"voice": number}) for number in range(200)]
    assert [one.entry_id for one in stored(redis_url, prefix)] == [future.result(0) for future in futures]


@pytest.mark.any_redis
async def test_reports_that_nobody_awaits_are_stored_before_the_client_ends(redis_url: str, prefix: str) -> None:
    async with AsyncSampleClient(redis_url, prefix=prefix) as client:
        futures = [client.submit_report({"voice": number}) for number in range(200)]
    assert [one.entry_id for one in stored(redis_url, prefix)] == [future.result() for future in futures]


@pytest.mark.parametrize(
    ("losses", "options", "sentence"),
    [
        ({"voice": float("nan")}, {}, "the loss of 'voice' is nan; accepted: "),
        ({"voice": np.float32("inf")}, {}, "the loss of 'voice' is inf"),
        ({"Voice": 1}, {}, "'Voice' in losses is not a category name"),
        ({}, {}, "losses is '{}'; accepted: an object of category names"),
        ({"voice": {"sum": 1, "count": -1}}, {}, "count of 'voice' is -1"),
        ({"voice": 1}, {"kind": "test"}, "kind is 'test'; accepted: train or eval or score"),
        ({"voice": 1}, {"weights_version": "v1"}, "weights_version is 'v1'; accepted: [0-9a-f]{12}"),
        ({"voice": 1}, {"dataset": "a b"}, "dataset is 'a b'"),
        ({"voice": 1}, {"step": -1}, "step is '-1'; accepted: a whole number from 0 to"),
        ({"voice": 1}, {"reporter": "\n"}, r"reporter is '\n'"),
    ],
)
def test_values_that_are_not_accepted_are_never_sent(losses: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as refused, SampleClient(NOWHERE) as client:  # noqa: PT011 - the whole sentence below
        client.report(losses, **options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("losses", "options", "sentence"),
    [
        ([1.0], {}, "losses is [1.0]; accepted: a mapping"),
        ({"voice": "1"}, {}, "the loss of 'voice' is '1'; accepted: a number, or a mapping with sum and count"),
        ({"voice": np.array([1.0])}, {}, "the loss of 'voice' is array([1.])"),
        ({"voice": {"sum": None, "count": 1}}, {}, "the loss of 'voice' is None"),
        ({"voice": 1}, {"steps": 1}, "steps is not an argument; accepted: dataset, session, weights_version, step"),
        ({"voice": 1}, {"step": 1.5}, "step is 1.5; accepted: a whole number"),
        ({"voice": 1}, {"dataset": 5}, "dataset is 5; accepted: a text"),
    ],
)
def test_arguments_of_another_type_are_never_sent(losses: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TypeError) as refused, SampleClient(NOWHERE) as client:
        client.report(losses, **options)
    assert sentence in str(refused.value)


def test_a_host_of_any_name_is_a_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "höst\n", "h" * 300):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        words = check_report({"voice": 1}, {}, None)
        assert str(dict(zip(words[0::2], words[1::2], strict=True))["reporter"]).endswith(f":{os.getpid()}")


@pytest.mark.any_redis
def test_where_redis_is_away_or_refuses_the_caller_is_told(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    with pytest.raises(UnreachableError, match="not reachable"):
        make_client(url=NOWHERE).report({"voice": 1})
    with connect(redis_url) as server:
        server.set(Keys(prefix).feedback, "no stream")
    with pytest.raises(RefusedError, match="WRONGTYPE"):
        make_client().report({"voice": 1})
    closed = make_client()
    closed.close()
    with pytest.raises(ClientClosedError):
        closed.report({"voice": 1})


@pytest.mark.any_redis
async def test_a_report_whose_reply_is_lost_is_not_sent_again(redis_url: str, prefix: str) -> None:
    lost = 0
    async with (
        losing_replies(redis_url, "XADD", losses=5) as url,
        AsyncSampleClient(url, prefix=prefix) as client,
    ):
        for number in range(20):
            try:
                await client.report({"voice": number})
            except RedisError:
                lost += 1
    assert lost == 5
    assert [one.losses["voice"].sum for one in stored(redis_url, prefix)] == [*range(20)]


@pytest.mark.any_redis
def test_a_forked_job_reports_for_itself(client: SampleClient, redis_url: str, prefix: str) -> None:
    client.report({"voice": 1})
    child = os.fork()
    if child == 0:
        client.report({"voice": 2})
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.report({"voice": 3})
    found = stored(redis_url, prefix)
    assert [one.reporter for one in found] == [HERE, f"{socket.gethostname()}:{child}", HERE]
