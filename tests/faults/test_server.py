"""The server is stopped, crashes, is emptied, hangs, is busy or full: requests wait, and none is answered twice."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.waiting import wait_until_sync

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
