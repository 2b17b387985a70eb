"""Connections by our rules: what URLs are accepted, what errors become, and that all topologies serve alike."""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, closing
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions
from redis.asyncio import Redis

from tests.support.nonsense import NONSENSE, speaking
from tests.support.proxy import losing_replies
from tests.support.servers import redis_binaries, tls_binaries
from tests.support.streams import Desk, batch_of, desk_at, result_of
from tests.support.tasks import end
from tests.support.topologies import (
    as_cluster,
    as_cluster_behind_tls,
    behind_tls,
    on_socket,
    under_sentinel,
    under_sentinel_behind_tls,
)
from tests.support.waiting import wait_until
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.client import connect, redis_errors, redis_refusals
from worker.adapters.redis.feedback import add_report, read_reports, trim_reports
from worker.adapters.redis.requests import RedisRequests
from worker.adapters.redis.stats import RedisStats
from worker.client import AsyncSampleClient
from worker.core.adjust.orders import plan_set
from worker.core.weights.changes import WantedChange, plan_change
from worker.core.weights.in_force import mark_of, preset_name
from worker.errors import GroupMissingError, RedisError, RedisUnreachableError, SettingsError, UnreadableError
from worker.ports import Backlog, Notification

_SOON_S = 60.0
_NOBODY = "127.0.0.1:1"
_PREFIX = "{audio}"

Topology = Callable[[Path, Path], AbstractContextManager[str]]
_TOPOLOGIES: list[tuple[str, Topology, Path]] = [
    *(
        (f"{kind}-{topology.__name__}", topology, binary)
        for kind, binary in redis_binaries().items()
        for topology in (under_sentinel, as_cluster, on_socket)
    ),
    *(
        (f"{kind}-{topology.__name__}", topology, binary)
        for kind, binary in tls_binaries().items()
        for topology in (behind_tls, under_sentinel_behind_tls, as_cluster_behind_tls)
    ),
]


# -- URLs and errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("http://h", "it starts with http://; write the URL for clients of the server itself"),
        ("redis://h:port", "its host or port is not valid"),
        ("redis://[::1", "its host or port is not valid"),
        ("redis://h/first", "/first is not the number of a database"),
        ("rediss://h/0/1", "/0/1 is not the number of a database"),
        ("redis://h?socket_timeout=long", "socket_timeout"),
        ("redis://h?no_such_option=1", "no_such_option"),
        ("rediss://h?ssl_cert_reqs=perhaps", "perhaps"),
        ("rediss://h?ssl_ca_certs=/no/such/file", "No such file"),
        ("redis+sentinel://h/service?ssl_certfile=/no/such/file", "No such file"),
        ("redis+cluster://h?ssl_ca_certs=/dev/null", "accepted: PEM files"),
        ("redis://h?protocol=3", "protocol cannot be chosen"),
        ("redis+cluster://h?decode_responses=1&protocol=3", "decode_responses, protocol cannot be chosen"),
        ("redis+cluster://h?no_such_option=1", "no_such_option"),
        ("redis+sentinel://h:26379", "it has to look like"),
        ("redis+sentinel:///service", "it has to look like"),
        ("redis+sentinel://h,,h/service", "it has to look like"),
        ("redis+sentinel://h:port/service", "its host or port is not valid"),
        ("redis+sentinel://h/service/first", "invalid literal"),
    ],
)
def test_a_url_that_cannot_work_is_refused_at_once(url: str, because: str) -> None:
    with pytest.raises(SettingsError, match=because) as caught:
        connect(url, timeout_s=1.0)
    assert url.partition("?")[0] in str(caught.value)


def test_a_refusal_shows_no_password() -> None:
    with pytest.raises(SettingsError) as caught:
        connect("redis://user:h1dden@h?protocol=3", timeout_s=1.0)
    assert "h1dden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://{_NOBODY}",
        f"rediss://{_NOBODY}",
        "unix:///no/such/socket",
        f"redis+cluster://{_NOBODY}",
        f"redis+sentinel://{_NOBODY},[::1]:1,user:h1dden@127.0.0.1:1/service",
        "redis+sentinel://user:h1dden@127.0.0.1:1/service/3?sentinel_username=u&sentinel_password=p",
    ],
)
async def test_a_server_that_is_not_there_is_an_error_of_the_surroundings(url: str) -> None:
    client = connect(url, timeout_s=1.0)
    with pytest.raises(RedisError, match=r"Redis at \S+ is not reachable: ") as caught, redis_errors("PING"):
        await client.execute_command("PING")
    assert "h1dden" not in str(caught.value)
    await client.aclose()


@pytest.mark.parametrize(
    ("text", "meaning", "kind"),
    [
        ("NOGROUP No such key", "NOGROUP No such key", GroupMissingError),
        ("UNBLOCKED the stream key no longer exists", "UNBLOCKED the stream key", GroupMissingError),
        (
            "WRONGTYPE Operation against a key",
            r"a key is of another type \(WRONGTYPE\); accepted",
            UnreadableError,
        ),
    ],
)
def test_a_refusal_by_the_server_is_translated(text: str, meaning: str, kind: type[RedisError]) -> None:
    with pytest.raises(RedisError, match=f"Redis refused XREADGROUP: {meaning}") as caught, redis_errors("XREADGROUP"):
        raise redis.exceptions.ResponseError(text)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (redis.exceptions.ConnectionError("gone away"), "gone away"),
        (redis.exceptions.TimeoutError(), "no answer in time"),
        (TimeoutError(), "no answer in time"),
        (OSError(104, "reset by redis://u:h1dden@h"), "the server closed the connection"),
        (redis.exceptions.ConnectionError("of redis://u:h1dden@h"), "of redis://u:"),
        (redis.exceptions.ConnectionError("the connection was lost: closed by the server"), "the server closed"),
        (redis.exceptions.RedisClusterException("no node"), "no node"),
    ],
)
def test_silence_of_the_server_is_translated(error: Exception, sentence: str) -> None:
    with pytest.raises(RedisError, match=f"Redis is not reachable: {sentence}") as caught, redis_errors("PING"):
        raise error
    assert type(caught.value) is RedisUnreachableError
    assert caught.value.__cause__ is error
    assert "h1dden" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (redis.exceptions.ConnectionError("gone away"), 3),
        (redis.exceptions.TimeoutError(), 3),
        (redis.exceptions.BusyLoadingError("loading"), 3),
        (redis.exceptions.ClusterDownError("CLUSTERDOWN"), 3),
        (redis.exceptions.MasterDownError("MASTERDOWN"), 3),
        (redis.exceptions.AuthenticationError("invalid username-password pair"), 2),
        (redis.exceptions.AuthenticationWrongNumberOfArgsError("AUTH"), 2),
        (redis.exceptions.NoPermissionError("NOPERM"), 1),
        (redis.exceptions.OutOfMemoryError("OOM command not allowed"), 1),
        (redis.exceptions.ReadOnlyError("READONLY"), 1),
        (redis.exceptions.ResponseError("WRONGTYPE Operation against a key"), 1),
        (redis.exceptions.ResponseError("BUSY Redis is busy running a script"), 1),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save"), 1),
        (redis.exceptions.ResponseError("NOGROUP"), 1),
    ],
)
@pytest.mark.parametrize("translate", [redis_errors, redis_refusals])
def test_only_a_server_that_cannot_be_reached_ends_a_command_with_3(
    error: Exception, status: int, translate: Callable[[str], AbstractContextManager[None]]
) -> None:
    with pytest.raises(RedisError) as caught, translate("PING"):
        raise error
    assert caught.value.exit_status == status


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(KeyError), redis_errors("PING"):
        raise KeyError


async def test_a_command_whose_reply_was_lost_is_not_sent_again(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, losing_replies(redis_url, "XADD") as url:
        client = connect(url, timeout_s=5.0)
        with pytest.raises(RedisError), redis_errors("XADD"):
            await client.execute_command("XADD", desk.keys.requests, "*", "size", "1")
        await client.aclose()
        assert await desk.client.xlen(desk.keys.requests) == 1


async def test_whatever_a_server_says_to_a_login_is_of_the_surroundings() -> None:
    rng = random.Random(15)
    with speaking(lambda: b"".join(rng.choices([*NONSENSE, b"+OK\r\n"], k=rng.randint(0, 4)))) as port:
        for path in ("", "/3", "?client_name=x"):
            for _ in range(40):
                client = connect(f"redis://user:pw@127.0.0.1:{port}{path}", timeout_s=1.0)
                with pytest.raises(RedisError), redis_errors("PING"):
                    await client.execute_command("GET", "x")
                await client.aclose()


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", ".", "xn--" + "a" * 70])
async def test_a_host_that_is_no_name_is_of_the_surroundings(host: str) -> None:
    client = connect(f"redis://{host}:1", timeout_s=1.0)
    with pytest.raises(RedisError, match="is not reachable: "), redis_errors("PING"):
        await client.execute_command("PING")
    await client.aclose()


async def test_a_name_that_may_not_be_given_is_done_without(redis_url: str, redis_client: Redis) -> None:
    user = f"u{secrets.token_hex(4)}"
    admin: Any = redis_client
    await admin.execute_command("ACL", "SETUSER", user, "on", ">pw", "+@all", "-client|setname")
    client = connect(redis_url.replace("//", f"//{user}:pw@"), timeout_s=5.0)
    assert await client.execute_command("PING")
    await client.aclose()
    await admin.execute_command("ACL", "DELUSER", user)


@pytest.mark.parametrize(("query", "name"), [("", "sampling-worker"), ("?client_name=mine", "mine")])
async def test_a_connection_has_the_name_that_is_asked_for(redis_url: str, query: str, name: str) -> None:
    client = connect(f"{redis_url}{query}", timeout_s=5.0)
    assert await client.execute_command("CLIENT GETNAME") == name
    await client.aclose()


@pytest.mark.parametrize(
    "query",
    [
        "socket_timeout=2&socket_connect_timeout=1&socket_keepalive=false&socket_read_size=1024",
        "health_check_interval=1&max_connections=10&db=0",
    ],
)
async def test_options_of_a_url_that_are_taken_work(redis_url: str, prefix: str, query: str) -> None:
    async with desk_at(f"{redis_url}?{query}", prefix) as desk:
        await _serve_some(desk)


# -- topologies ------------------------------------------------------------------------------------------------


@pytest.fixture(params=_TOPOLOGIES, ids=[name for name, _, _ in _TOPOLOGIES], scope="module")
def topology_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    _, topology, binary = request.param
    with topology(tmp_path_factory.mktemp("topology"), binary) as url:
        yield url


async def test_every_topology_serves_requests(topology_url: str) -> None:
    async with desk_at(topology_url, _PREFIX) as desk:
        await _serve_some(desk)


async def _serve_some(desk: Desk) -> None:
    """Make every call of a worker and a client, to show that a cluster can route all of them."""
    stream, requests = desk.consumer("one"), RedisRequests(desk.client, desk.keys, "job")
    await stream.open()
    await stream.open()
    ids = await requests.add([("size", 1), ("size", 2)])
    entries = await stream.read(10, 10)
    assert [entry.id for entry in entries] == ids
    assert await stream.take_over(60_000) == []
    assert [entry.id for entry in await stream.deliver_again(await stream.pending())] == ids
    assert await stream.look_at((await stream.pending())[0]) is not None
    batch = batch_of([result_of(entry_id, requests._reply_to) for entry_id in ids], growth={"requests:": 2})
    await desk.client.execute_command("SCRIPT FLUSH")
    assert (await stream.settle(batch)).lost == ()
    assert (await stream.settle(batch)).lost == tuple(ids)
    assert [reply.entry_id for reply in await requests.receive(10)] == ids
    assert await requests.receive(10) == []
    assert await stream.backlog() == Backlog(lag=0, pending=0)
    await stream.show('{"consumer": "one"}', ttl_s=60)
    stats = RedisStats(desk.client, desk.keys)
    assert await stats.workers() == [{"consumer": "one"}]
    assert (await stats.read(clear=True)).requests == {"": 2}
    assert (await stats.read()).requests == {}
    await stream.remove_presence()
    await requests.close()
    await desk.client.xgroup_destroy(desk.keys.requests, "samplers")
    with pytest.raises(GroupMissingError):
        await stream.read(1, 10)


async def test_every_topology_serves_the_clients_of_training_jobs(topology_url: str) -> None:
    async with desk_at(topology_url, _PREFIX) as desk, AsyncSampleClient(topology_url, prefix=_PREFIX) as client:
        stream = desk.consumer("one")
        await stream.open()
        asked = client.submit(3, request_id="a", session="s")
        while not (entries := await stream.read(1, 100)):
            pass
        reply_to = entries[0].fields[list(entries[0].fields).index(b"reply_to") + 1].decode()
        answer = result_of(entries[0], reply_to, "chunk_ids", "[1,2,3]", "counts", '{"voice":3}')
        await stream.settle(batch_of([answer._replace(request_id="a")]))
        assert list((await asked).chunk_ids) == [1, 2, 3]
        await client.release("s")
        await client.close()
        assert await desk.client.exists(desk.keys.asked(reply_to)) == 0
        assert await desk.client.exists(desk.keys.reply(reply_to)) == 0
        await desk.client.delete(desk.keys.requests)


async def test_every_topology_changes_weights(topology_url: str) -> None:
    async with desk_at(topology_url, _PREFIX) as desk:
        store = desk.weights()
        heard: list[Notification] = []

        async def listen() -> None:
            async with aclosing(store.notifications()) as notifications:  # type: ignore[type-var]
                async for notification in notifications:
                    heard.append(notification)  # noqa: PERF401 - each is looked at as it comes

        listening = asyncio.create_task(listen())
        await wait_until(lambda: heard, timeout_s=_SOON_S, what="the subscription is confirmed")
        await store.store_quietly(None, "one")
        await store.store_quietly("d", "two")
        assert [reading.mark for reading in await store.read([None, "d"])] == [mark_of(b"one"), mark_of(b"two")]
        await store.remove("d")
        await wait_until(lambda: len(heard) > 3, timeout_s=_SOON_S, what="all notifications were heard")
        assert heard == [Notification(None, resync=True), Notification(None), Notification("d"), Notification("d")]
        await _change_and_return(desk)
        await end(listening)
        await desk.client.delete(desk.keys.weights(), desk.keys.history)


async def test_every_topology_has_rules_and_reports(topology_url: str) -> None:
    """Call everything that rules and reports of losses call."""
    told = {"rule": "cooldown", "parameters": {"over": 1000}, "mode": "on"}
    async with desk_at(topology_url, _PREFIX) as desk:
        await desk.client.execute_command("HSET", desk.keys.stats, "requests:d", 2)
        with closing(RedisAdjust(desk.client, desk.keys)) as rules:
            assert await rules.names() == []
            await rules.change("d", lambda found: plan_set(found, told, "ann"))
            assert await rules.names() == ["d"]
            found, peeked = await rules.look("d"), await rules.peek("d", ["voice"])
            assert (peeked.settings, peeked.state, peeked.heard) == (found.settings, b"", {})
            assert 0 <= peeked.now_ms - found.now_ms < 60_000
            assert await rules.served("d") == {"requests": 2}
            assert await rules.author(found) == ("", found.now_ms)
        entry = await add_report(desk.client, desk.keys, ["losses", '{"voice": 1}'])
        assert [one.entry_id for one in (await read_reports(desk.client, desk.keys, ""))[0]] == [entry]
        assert await trim_reports(desk.client, desk.keys) == 1
        await desk.client.delete(desk.keys.adjust, desk.keys.stats, desk.keys.feedback)


async def _change_and_return(desk: Desk) -> None:
    """Call everything that a writer calls."""
    writer, name = desk.writer(), preset_name("night")
    wanted = WantedChange('{"voice": 1}', "ann", "", 1, "1ms")
    change = await writer.change(name, lambda found: plan_change(found, wanted))
    assert change is not None
    assert await writer.presets() == ["night"]
    assert (await writer.look(name)).value == b'{"voice": 1}'

    async def has_returned() -> bool:
        await writer.expire_temporary()
        return await writer.pending(name) is None

    await wait_until(has_returned, timeout_s=_SOON_S, what="the temporary weights have given way")
    assert [one.returned_ms for one in [one async for one in writer.history()]] == [change.until_ms, None]
    assert await writer.presets() == []


async def test_a_cancellation_is_never_lost_at_whatever_step_it_comes(redis_url: str) -> None:
    """redis-py sends in Python 3.11's `wait_for`. A result that comes at the same moment hides a cancellation there."""
    client = connect(redis_url, timeout_s=5.0)
    for steps in range(60):
        task = asyncio.ensure_future(client.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            await asyncio.wait([task])
            assert task.cancelled(), steps
    assert await client.ping()
    await client.aclose()


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_cancellation_that_comes_just_before_a_command_is_not_lost(
    redis_url: str, *, is_connected: bool
) -> None:
    """Ctrl-C comes between two steps of Python, not between two of the event loop."""
    async with connect(redis_url, timeout_s=5.0) as client:
        if is_connected:
            await client.ping()

        async def ping_when_cancelled() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await client.ping()

        task = asyncio.create_task(ping_when_cancelled())
        await asyncio.wait([task])
        assert task.cancelled()
        assert await client.ping()
