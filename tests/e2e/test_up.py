"""`up` as a user runs it: one command from a manifest to samples, and nothing is lost, however it ends."""

import json
import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.e2e.machine import CHUNKS, READY_S, Machine
from tests.support.servers import redis_binaries, running
from tests.support.topologies import as_cluster
from tests.support.waiting import wait_until_sync
from worker.core.keys import Keys
from worker.run_dir.health import SERVING, health_of

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_linux]

_ENDED = "ended; the next `up` goes on from here\n"


def recording_browser(folder: Path) -> Path:
    """Write a browser that notes what it is told to open, in the file `opened`."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/note && mv {folder}/note {folder}/opened\n')
    browser.chmod(0o755)
    return browser


@pytest.fixture
def cluster_url(redis_binary: Path) -> Iterator[str]:
    with running(lambda folder: as_cluster(folder, redis_binary)) as url:
        yield url


@pytest.fixture
def redis_binary(request: pytest.FixtureRequest) -> Path:
    return redis_binaries()[request.param]


def write_wav(path: Path, *, seconds: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000 * seconds))


@pytest.mark.fault("everything of an `up` is killed, cut off in its writing, or asked to end: the next one goes on")
def test_a_library_is_served_and_nothing_is_lost_however_it_ends(machine: Machine) -> None:
    both = [machine.up(machine.library) for _ in range(2)]  # at the same moment
    wait_until_sync(lambda: any(up.poll() == 0 for up in both), timeout_s=READY_S, what="one of them gives way")
    first, second = sorted(both, key=lambda up: up.poll() is not None)
    machine.wait_ready(first)
    assert "it runs already (process" in machine.printed(second)
    assert f"accepted: sampling-worker catalog import {machine.library}, while" in machine.printed(second)
    assert f"{CHUNKS} chunks READY in 3 categories" in machine.printed(first)
    third = machine.up("--desk")
    wait_until_sync(lambda: third.poll() == 0, timeout_s=READY_S, what="it gives way, too")
    assert "not followed: --desk; accepted: to end what runs, and the same again" in machine.printed(third)

    assert machine.run("weights", "set", "voice=0.7", "music=0.3", "--reason", "mine", "--wait").returncode == 0
    assert machine.run("health").stdout.startswith("serving: ")
    assert machine.run("sample", "--count", "3").stdout.count("ids: ") == 3
    urls = machine.urls()
    lines = machine.run("env").stdout
    assert lines.splitlines() == [f"export {name}={value}" for name, value in urls.items()]

    os.kill(machine.pid_of("worker run"), signal.SIGSTOP)  # so that requests wait
    redis, keys = Redis.from_url(urls["REDIS_URL"]), Keys("audio")
    asked = {redis.xadd(keys.requests, {"size": 4}) for _ in range(20)}
    first.kill()
    wait_until_sync(lambda: not machine.processes(), timeout_s=30, what="watchdogs have ended all")
    assert machine.run("env").returncode == 1
    [log] = machine.data.glob("valkey/appendonlydir/*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$5\r\nhal")  # as a cut of the power leaves it
    stale = machine.data / "postgresql" / "data" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n/elsewhere\n")

    again = machine.up("--desk", BROWSER=f"{recording_browser(machine.folder)} %s")
    machine.wait_ready(again)
    wait_until_sync(lambda: "desk on http" in machine.printed(again), timeout_s=60, what="up says where its desk is")
    opened = machine.folder / "opened"
    wait_until_sync(opened.exists, timeout_s=60, what="the desk is opened in the browser")
    assert f"desk on {opened.read_text()}\n" in machine.printed(again)
    assert machine.urls() == urls
    assert f"{CHUNKS} chunks READY in 3 categories" in machine.printed(again)
    stream: Any = redis
    wait_until_sync(
        lambda: asked <= {fields[b"entry_id"] for _, fields in stream.xrange(keys.results)},
        timeout_s=60,
        what="the requests that waited are answered",
    )
    assert "voice" in (shown := machine.run("weights", "show").stdout)
    assert "(mine)" in shown
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0
    assert machine.printed(again).endswith(f"ending, in order\n{_ENDED}")
    assert machine.processes() == {}
    assert "no `sampling-worker up` runs on this machine" in machine.run("env").stderr


@pytest.mark.fault("a server or the worker of an `up` dies: it is started again")
def test_what_dies_is_started_again(machine: Machine) -> None:
    up = machine.up(machine.library)
    machine.wait_ready(up)
    for words, title in (("valkey-server", "Valkey"), ("/postgres ", "PostgreSQL"), ("worker run", "the worker")):
        os.kill(machine.pid_of(words), signal.SIGKILL)
        wait_until_sync(
            lambda title=title: (
                f"{title} ended by SIGKILL, and" in machine.printed(up)  # type: ignore[misc]
                or f"{title} ended by itself; its log is " in machine.printed(up)
            ),
            timeout_s=60,
            what=f"the death of {title} is said",
        )
        wait_until_sync(lambda: machine.run("sample").returncode == 0, timeout_s=60, what="requests are answered")
    for path in (machine.folder / "run").glob("*.up"):
        path.unlink()  # as what cleans temporary folders does
    wait_until_sync(lambda: machine.run("env").returncode == 0, timeout_s=60, what="it is found again")
    worker = machine.pid_of("worker run")
    for _ in range(2):
        up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert health_of(machine.folder / "run", worker) is None
    assert machine.processes() == {}


def test_a_prefix_of_a_cluster_is_served(machine: Machine, cluster_url: str, empty_database_url: str) -> None:
    given = {"REDIS_URL": cluster_url, "DATABASE_URL": empty_database_url, "WORKER_PREFIX": "{team-a}"}
    up = machine.up(machine.library, **given)
    machine.wait_ready(up)
    assert json.loads(machine.run("sample", "--size", "4", "--json").stdout)["status"] == "ok"  # of the same prefix
    told = machine.run("weights", "set", "voice=1", "--prefix", "{team-a}", "--prefix", "{team-b}", **given)
    assert told.stdout.splitlines()[-1] == "stored in {team-a}, {team-b}"


def test_given_servers_are_used(machine: Machine, redis_url: str, empty_database_url: str, prefix: str) -> None:
    given = {"REDIS_URL": redis_url, "DATABASE_URL": empty_database_url, "WORKER_PREFIX": prefix}
    for name in ("voice/a.wav", "conference calls/b c.wav"):
        write_wav(machine.folder / "audio" / name, seconds=2)
    up = machine.up(machine.folder / "audio", "--segment", 1, **given)
    machine.wait_ready(up)
    assert "4 chunks READY in 2 categories" in machine.printed(up)
    assert f"Valkey is that of REDIS_URL: {redis_url}\n" in machine.printed(up)
    assert "the schema in DATABASE_URL was brought up to date: " in machine.printed(up)
    assert len(machine.processes()) == 1  # the worker
    health = health_of(machine.folder / "run", machine.pid_of("worker run"))
    assert health is not None
    assert (health.state, health.prefix) == (SERVING, prefix)
    sample = json.loads(machine.run("sample", "--json", "--field", "columns=path,start_s").stdout)  # of the same prefix
    assert sample["paths"][0].startswith(str(machine.folder / "audio"))
    assert sample["starts_s"][0] in {0, 1}
    other = machine.run("catalog", "show", REDIS_URL="redis://127.0.0.1:9/0")
    assert (other.returncode, "REDIS_URL names another server than its own" in other.stderr) == (2, True)

    again = machine.up(machine.folder / "nothing.csv", **given)
    assert again.wait(60) == 2
    assert "there is no file or folder" in machine.printed(again)
    up.send_signal(signal.SIGHUP)
    assert up.wait(60) == 0


def test_a_library_that_cannot_be_brought_in_ends_it_with_the_status_of_the_verb(
    machine: Machine, redis_url: str, database_url: str, prefix: str
) -> None:
    given = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WORKER_PREFIX": prefix}
    machine.library.write_text("path,category\na.wav,Not A Name\n")
    up = machine.up(machine.library, **given)
    assert up.wait(60) == 2
    assert "line 2: category 'Not A Name'" in machine.printed(up)
    assert "so `up` ends" in machine.printed(up)
    assert machine.run("env").returncode == 1


def test_a_setting_that_is_wrong_ends_it_in_a_sentence(
    machine: Machine, redis_url: str, database_url: str, prefix: str
) -> None:
    given = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WORKER_PREFIX": prefix}
    for name, value, status, words in (
        ("REDIS_URL", "redis://127.0.0.1:9/0", 3, "Redis at redis://127.0.0.1:9/0 is not reachable"),
        ("LOG_LEVEL", "nope", 2, "the worker ended with exit status 2: LOG_LEVEL=nope is not accepted"),
        ("WORKER_BATCH", "0", 2, "WORKER_BATCH=0 is not accepted"),
    ):
        up = machine.up(**{**given, name: value})
        assert up.wait(60) == status
        assert words in machine.printed(up)
        assert machine.processes() == {}
