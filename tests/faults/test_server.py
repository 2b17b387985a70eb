"""The server is stopped, crashes, is emptied, hangs, is busy or full: requests wait, and none is answered twice."""

import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.proxy import Link, Proxy
from tests.support.servers import redis_binaries
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer

_WRONG_CLOCK = Path(__file__).with_name("wrong_clock.py")
_PERSISTENT = ["--appendonly", "yes"]
_FORGETFUL = ["--appendonly", "no"]
_SLOW_TO_LOAD = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]


@pytest.mark.fault("Redis is restarted under load, with AOF", "B01")
def test_redis_is_restarted(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        trial.server.stop()
        trial.wait_event(worker, "redis.lost")
        trial.server.start()
    trial.recover()
    trial.count()


@pytest.mark.fault("Redis crashes (SIGKILL) again and again under load, with AOF and appendfsync always", "B02")
@pytest.mark.parametrize("options", [[*_PERSISTENT, "--appendfsync", "always"]])
def test_redis_crashes_again_and_again(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        for crash in range(1, 4):
            trial.wait_some_answered()
            trial.server.kill()
            trial.wait_event(worker, "redis.lost", crash)
            trial.server.start()
            trial.wait_event(worker, "redis.restored", crash)
    trial.recover()
    trial.count(losses=3)


@pytest.mark.fault("Redis comes back empty: stream, group and counts are gone", "B03")
@pytest.mark.parametrize("options", [_FORGETFUL])
def test_redis_comes_back_empty(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        trial.server.kill()
        trial.wait_event(worker, "redis.lost")
    trial.forget_asked()
    trial.server.start()
    trial.recover()
    trial.count()


@pytest.mark.fault("FLUSHALL under load, five times", "B04")
def test_redis_is_flushed_under_load(trial: Trial) -> None:
    trial.start_many("w-1", "w-2")
    with trial.load():
        for _ in range(5):
            trial.ask(50)
            trial.wait_some_answered()
            trial.client.flushall()
    trial.forget_asked()
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("Redis hangs (SIGSTOP) until it is given up on", "B06")
def test_redis_hangs(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        os.kill(trial.server.pid, signal.SIGSTOP)
        trial.wait_event(worker, "redis.lost")
        os.kill(trial.server.pid, signal.SIGCONT)
    trial.recover()
    trial.count()


@pytest.mark.soak
@pytest.mark.fault("Redis hangs for 30 s, and for 60 s", "B06")
@pytest.mark.parametrize("seconds", [30, 60])
def test_redis_hangs_for_long(trial: Trial, seconds: int) -> None:
    trial.start_many("w-1", "w-2")
    with trial.load():
        trial.wait_answered()
        os.kill(trial.server.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(trial.server.pid, signal.SIGCONT)
    trial.recover()
    trial.count()


@pytest.mark.fault("a script keeps Redis BUSY", "B07")
@pytest.mark.parametrize("options", [[*_PERSISTENT, "--lua-time-limit", "50"]])
def test_redis_is_busy(trial: Trial) -> None:
    worker = trial.start()
    trial.ask(50)
    hog = threading.Thread(target=trial.hog)
    hog.start()
    trial.wait_event(worker, "redis.lost")
    trial.client.script_kill()
    hog.join()
    trial.recover()
    trial.count()


@pytest.mark.fault("Redis is LOADING its data for a while", "B07")
@pytest.mark.parametrize("options", [[*_PERSISTENT, *_SLOW_TO_LOAD]])
def test_redis_is_loading(trial: Trial) -> None:
    worker = trial.start()
    trial.ask(50)
    trial.wait_answered()
    pipeline = trial.client.pipeline()
    for i in range(1000):
        pipeline.set(f"audio:ballast:{i}", "x" * 500)
    pipeline.execute()
    trial.server.stop()
    trial.wait_event(worker, "redis.lost")
    trial.server.start()
    trial.recover()
    trial.count()


@pytest.mark.fault("CLIENT PAUSE: of writes, and of everything for longer than Redis is waited for", "B09")
@pytest.mark.parametrize(("kind", "milliseconds", "losses"), [("WRITE", 1500, 0), ("ALL", 6000, 1)])
def test_clients_are_paused(trial: Trial, kind: str, milliseconds: int, losses: int) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        trial.client.execute_command("CLIENT", "PAUSE", milliseconds, kind)
        trial.wait_event(worker, "redis.lost", losses)
        trial.ask(1)
    trial.recover()
    trial.count(losses=losses)


@pytest.mark.fault("maxmemory is reached, with noeviction", "B10")
def test_redis_is_full(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        trial.client.config_set("maxmemory", "1")
        trial.wait_event(worker, "redis.lost")
        trial.client.config_set("maxmemory", "0")
    trial.recover()
    trial.count()
    assert "maxmemory" in worker.events("redis.lost")[0]["message"]


@pytest.mark.fault("the disk fails, and Redis refuses writes (MISCONF)", "B16")
@pytest.mark.parametrize("options", [["--appendonly", "no", "--save", "3600 1", "--enable-protected-configs", "yes"]])
def test_the_disk_fails(trial: Trial, tmp_path: Path) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        (tmp_path / "gone").mkdir()
        trial.client.config_set("dir", str(tmp_path / "gone"))
        (tmp_path / "gone").rmdir()
        trial.client.bgsave()
        trial.wait_event(worker, "redis.lost")
        trial.client.config_set("dir", str(tmp_path))
        wait_until_sync(trial.saves, timeout_s=DEADLINE_S, what="Redis saves again")
    trial.recover()
    trial.count()
    assert "MISCONF" in worker.events("redis.lost")[0]["message"]


@pytest.mark.fault("maxclients is reached when the worker connects again", "B12")
def test_redis_takes_no_more_clients(trial: Trial) -> None:
    worker = trial.start()
    trial.ask(50)
    trial.client.config_set("maxclients", "1")
    for kind in ("normal", "pubsub"):
        trial.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    trial.ask(50)
    trial.wait_event(worker, "redis.lost")
    wait_until_sync(trial.is_crowded, timeout_s=DEADLINE_S, what="connections are refused")
    trial.client.config_set("maxclients", "10000")
    trial.recover()
    trial.count()


@pytest.mark.fault("SCRIPT FLUSH under load, again and again", "B14")
def test_scripts_are_forgotten(trial: Trial) -> None:
    trial.start()
    with trial.load():
        for _ in range(50):
            trial.wait_some_answered()
            trial.client.script_flush()
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("another server, Valkey for Redis or the other way round, is started over the same data", "B18")
@pytest.mark.parametrize("options", [[*_PERSISTENT, "--aof-use-rdb-preamble", "no"]])
def test_the_server_is_replaced_by_another(trial: Trial, redis_binary: Path, options: list[str]) -> None:
    worker = trial.start()
    other = next((one for one in redis_binaries().values() if one != redis_binary), redis_binary)
    folder = Path(trial.client.config_get("dir")["dir"])
    with trial.load(), ExitStack() as undo:
        trial.wait_answered()
        trial.server.stop()
        trial.wait_event(worker, "redis.lost")
        undo.enter_context(RedisServer(folder, binary=other, port=trial.server.port, options=options))
        trial.recover()
        kept = undo.pop_all()
    with kept:
        trial.recover()
        trial.count()


@pytest.mark.fault("the clock of Redis jumps an hour ahead: whatever is pending looks forsaken", "B15")
def test_the_clock_of_redis_jumps(trial: Trial, proxy: Proxy) -> None:
    patience = {"WORKER_CLAIM_IDLE_S": "3600"}
    trial.start("w-1", REDIS_URL=proxy.url, **patience)
    rival = trial.start("w-2", **patience)
    held = threading.Event()

    def hold(link: Link) -> None:
        link.hold()  # its results are on their way
        held.set()

    proxy.on_command("EVALSHA", hold, holding=b"request_id")
    with trial.load():
        assert held.wait(20)
        trial.age_pending(4_000_000)
        trial.wait_event(rival, "request.claimed")
        proxy.release()
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("the clock of a worker's host is an hour ahead, or behind", "B17")
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_the_clock_of_a_worker_is_wrong(trial: Trial, seconds: int) -> None:
    """What expires does so by the clock of Redis."""
    trial.start(wrapped=(sys.executable, str(_WRONG_CLOCK), str(seconds)))
    for _ in range(20):
        now_ms = time.time_ns() // 1_000_000
        trial.ask(1, expires_at=now_ms + 600_000)
        trial.ask(1, expires_at=now_ms - 600_000, accepted=frozenset({"expired"}))
    trial.recover()
    trial.count(losses=0)
