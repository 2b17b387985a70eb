"""Weights in several prefixes at once: each has the change or has not, and the command says which."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, StartWorker
from tests.e2e.test_serving import insert
from tests.support.proxy import Proxy

pytestmark = pytest.mark.any_redis


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as link:
        yield link


@pytest.fixture
def places(prefix: str) -> tuple[str, str]:
    return f"{prefix}:a", f"{prefix}:b"


async def test_weights_are_set_shown_rolled_back_and_removed_in_several_prefixes(
    run: Run, start_worker: StartWorker, database_url: str, places: tuple[str, str]
) -> None:
    await insert(database_url, {"voice": 10, "music": 10})
    for number, place in enumerate(places):
        start_worker(f"w-{number}", WORKER_PREFIX=place)
    both = ("--prefix", places[0], "--prefix", places[1])
    told = run("weights", "set", "voice=3", "music=1", *both, "--reason", "both", "--wait")
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert [line for line in lines if line.startswith("prefix ")] == [f"prefix {place}" for place in places]
    assert told.stdout.count("applied by 1 of 1 worker in ") == 2
    assert lines[-1] == f"stored in {places[0]}, {places[1]}"
    shown = json.loads(run("weights", "show", *both, "--json").stdout)
    assert [one["prefix"] for one in shown] == list(places)
    assert [(one["weights"], one["reason"]) for one in shown] == [({"music": 0.25, "voice": 0.75}, "both")] * 2
    assert run("weights", "show", *both).stdout.count("applied by 1 of 1 worker") == 2
    run("weights", "set", "music=1", "--prefix", places[1])
    back = json.loads(run("weights", "rollback", *both, "--json").stdout)
    assert [(one["prefix"], one["stored"], one["weights"]) for one in back] == [
        (places[0], True, {}),
        (places[1], True, {"music": 0.25, "voice": 0.75}),
    ]
    removed = run("weights", "remove", *both, "--wait")
    assert removed.stdout.count("the defaults are in force") == 2
    assert json.loads(run("weights", "show", "--json").stdout)["source"] == "default"


async def test_one_prefix_that_refuses_leaves_the_others_alone(
    run: Run, redis_client: Redis, places: tuple[str, str]
) -> None:
    await redis_client.set(f"{places[1]}:weights:history", "no stream")
    words = ("weights", "set", "voice=1", "--prefix", places[0], "--prefix", places[1])
    told = run(*words)
    assert told.returncode == 1
    refusal, summary = [line for line in told.stderr.splitlines() if "READY" not in line]
    assert refusal.startswith(f"sampling-worker: {places[1]}: Redis at ")
    assert summary == f"sampling-worker: stored in {places[0]}; not in {places[1]}"
    assert await redis_client.exists(f"{places[0]}:category:weights")
    assert not await redis_client.exists(f"{places[1]}:category:weights")
    first, second = json.loads(run(*words, "--json").stdout)
    assert (first["stored"], first["weights"], second["stored"]) == (True, {"voice": 1.0}, False)
    assert "(WRONGTYPE)" in second["error"]


async def test_where_redis_is_lost_while_it_is_asked_the_change_is_not_known_of(
    run: Run, proxy: Proxy, places: tuple[str, str]
) -> None:
    proxy.on_command("EVAL", lambda link: link.cut(), holding=f"{places[1]}:category:weights".encode(), times=1)
    words = ("weights", "set", "voice=1", "--prefix", places[0], "--prefix", places[1])
    unread = run(*words, REDIS_URL=proxy.url)
    assert unread.returncode == 3
    assert unread.stderr.splitlines()[-1] == f"sampling-worker: stored in {places[0]}; not in {places[1]}"
    proxy.on_command("EVAL", lambda link: link.cut(), holding=b"lose this", times=2)
    lost = run(*words, "--reason", "lose this", REDIS_URL=proxy.url)
    assert lost.returncode == 3
    assert lost.stderr.splitlines()[-1] == f"sampling-worker: not known of {places[0]}, {places[1]}"


def test_a_prefix_that_cannot_be_is_refused_before_anything_is_stored(run: Run, places: tuple[str, str]) -> None:
    refused = run("weights", "set", "voice=1", "--prefix", places[0], "--prefix", "a b")
    assert refused.returncode == 2
    assert "--prefix 'a b' is not accepted; accepted: " in refused.stderr
    spread = {"REDIS_URL": "redis+cluster://127.0.0.1:1"}
    refused = run("weights", "set", "voice=1", "--prefix", "{a}", "--prefix", "b", **spread)
    assert refused.returncode == 2
    assert "WORKER_PREFIX=b is not accepted with redis+cluster://" in refused.stderr
    assert "default" in run("weights", "show", "--prefix", places[0], "--json").stdout


async def test_a_prefix_given_twice_is_changed_once(run: Run, redis_client: Redis, places: tuple[str, str]) -> None:
    told = json.loads(run("weights", "set", "voice=1", "--prefix", places[0], "--prefix", places[0], "--json").stdout)
    assert told["weights"] == {"voice": 1.0}
    assert await redis_client.xlen(f"{places[0]}:weights:history") == 1


async def test_weights_by_size_are_stored_in_several_prefixes(
    run: Run, database_url: str, places: tuple[str, str]
) -> None:
    await insert(database_url, {"voice": 30, "music": 10})
    both = ("--prefix", places[0], "--prefix", places[1])
    told = json.loads(run("weights", "set", "--proportional", *both, "--json").stdout)
    assert [one["weights"] for one in told] == [{"music": 0.25, "voice": 0.75}] * 2
