"""Servers fail over under Sentinel: workers follow by themselves, and what is lost is known exactly."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from tests.faults.library import Library
from tests.faults.lineage import LineageTrial
from tests.faults.trial import DEADLINE_S, Figure
from tests.support.replication import Replicated, replicated
from tests.support.servers import connect, running
from tests.support.waiting import wait_until_sync
from worker.client import SampleClient

_MIN_REPLICAS = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"]
_SURELY_MS = 60_000
_NO_REPLICA_MS = 50


@pytest.fixture
def options() -> list[str]:
    return []


@pytest.fixture
def servers(redis_binary: Path, options: list[str]) -> Iterator[Replicated]:
    """A master, its replica and a Sentinel."""
    with running(lambda folder: replicated(folder, redis_binary, options)) as servers:
        yield servers


@pytest.fixture
def trial(servers: Replicated, library: Library, tmp_path: Path, figure: Figure) -> Iterator[LineageTrial]:
    """A trial whose workers know nothing but the Sentinel."""
    (tmp_path / "run").mkdir(mode=0o700)
    settings = {"REDIS_URL": servers.url}
    with ExitStack() as undo:
        trial = LineageTrial(servers.master, library, tmp_path, figure=figure, settings=settings)
        undo.callback(trial.end)
        trial.speak_by(servers.producer())
        yield trial


@pytest.mark.fault("a planned failover under load, the old master refuses writes before it: nothing is lost", "C01")
def test_a_failover_is_planned(trial: LineageTrial, servers: Replicated) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_flowing()
        with connect(servers.master.url) as master:
            master.config_set("min-replicas-to-write", 100)
        servers.wait_level()
        servers.fail_over()
        servers.wait_promoted()
        servers.wait_demoted()
        trial.wait_followed(worker)
    assert trial.lose() == []
    trial.count_one_each([])


@pytest.mark.fault(
    "a failover under load, ordered at once: what the old master takes until it is demoted is lost", "C01"
)
def test_a_failover_is_ordered_at_once(trial: LineageTrial, servers: Replicated) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_flowing()
        servers.fail_over()
        servers.wait_promoted()
        servers.wait_demoted()
        trial.wait_followed(worker)
    trial.count_one_each(trial.lose())


@pytest.mark.fault("the master crashes (SIGKILL) under load", "C02")
def test_the_master_crashes(trial: LineageTrial, servers: Replicated) -> None:
    workers = trial.start_many("w-1", "w-2")
    with trial.load():
        trial.wait_flowing()
        servers.master.kill()
        servers.wait_promoted()
        trial.wait_followed(*workers)
    trial.count_one_each(trial.lose())


@pytest.mark.fault(
    "the master crashes after its replica was cut off: what WAIT did not confirm is lost, no more", "C03"
)
def test_what_the_replica_never_heard_of_is_lost(trial: LineageTrial, servers: Replicated) -> None:
    """What is answered anew is answered once, where the data live on."""
    worker = trial.start()
    trial.ask(50)
    trial.wait_answered()
    worker.send(signal.SIGSTOP)
    heard = trial.ask(20)
    assert trial.client.wait(1, _SURELY_MS) == 1
    servers.link.hold()
    worker.send(signal.SIGCONT)
    trial.wait_answered()
    unheard = trial.ask(30)
    trial.wait_answered()
    assert trial.client.wait(1, _NO_REPLICA_MS) == 0
    before = {answer.entry_id: answer for answer in trial.run().answers}
    _crash_cut_off(servers)
    lost = trial.lose()
    assert [one.entry_id for one in lost] == unheard
    after = {answer.entry_id: answer for answer in trial.count_one_each(lost).answers}
    assert {entry_id for entry_id in before.keys() & after if before[entry_id] != after[entry_id]} == set(heard)


@pytest.mark.fault("the same with min-replicas-to-write 1, the link cut: nothing that was acknowledged is lost", "C03")
@pytest.mark.parametrize("options", [_MIN_REPLICAS])
def test_a_master_without_replicas_takes_nothing(trial: LineageTrial, servers: Replicated) -> None:
    worker = trial.start()
    trial.ask(50)
    trial.wait_answered()
    assert trial.client.wait(1, _SURELY_MS) == 1
    servers.cut()
    with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
        trial.ask(30)
    trial.wait_event(worker, "redis.lost")
    _crash_cut_off(servers)
    assert trial.lose() == []
    trial.count_one_each([])


@pytest.mark.fault(
    "the same, the link silent under load: lost is what was acknowledged within min-replicas-max-lag", "C03"
)
@pytest.mark.parametrize("options", [_MIN_REPLICAS])
def test_a_master_with_a_silent_replica_takes_little(trial: LineageTrial, servers: Replicated) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_flowing()
        servers.link.hold()
        trial.wait_event(worker, "redis.lost")
        _crash_cut_off(servers)
    trial.count_one_each(trial.lose())
    assert "too few of its replicas are connected" in worker.events("redis.lost")[0]["message"]


@pytest.mark.fault("the master hangs (SIGSTOP) under load, is replaced, wakes up and is demoted", "C04")
@pytest.mark.parametrize("waking", ["before", "after"])
def test_the_master_hangs_and_comes_back(trial: LineageTrial, servers: Replicated, waking: str) -> None:
    """Before or after the worker has given it up; what is written to it then counts nowhere."""
    worker = trial.start()
    with trial.load(), connect(servers.master.url) as stray:
        stray.ping()
        trial.wait_flowing()
        servers.hang()
        servers.wait_promoted()
        if waking == "after":
            trial.wait_event(worker, "redis.restored")
        servers.wake()
        assert _write_on(stray, trial) > 0
        servers.wait_demoted()
        trial.wait_followed(worker)
    trial.count_one_each(trial.lose())


@pytest.mark.fault("the same as a training job sees it: its client asks again for what was lost", "C03")
def test_a_client_asks_again_for_what_was_lost(trial: LineageTrial, servers: Replicated) -> None:
    worker = trial.start()
    with SampleClient(servers.url, timeout_s=DEADLINE_S) as client:
        client.sample(4)
        servers.wait_level()
        worker.send(signal.SIGSTOP)
        servers.link.hold()
        waiting = [client.submit(4) for _ in range(50)]
        wait_until_sync(lambda: len(_waiting(trial)) == 50, timeout_s=DEADLINE_S, what="they are asked for")
        lost = _waiting(trial)
        _crash_cut_off(servers)
        worker.send(signal.SIGCONT)
        answering = {future.result(DEADLINE_S).entry_id for future in waiting}
        assert len(answering - lost) == 50
        assert int(trial.client.hget(trial.keys.stats, "requests:")) == 51
    trial.recover()


def _waiting(trial: LineageTrial) -> set[str]:
    return {entry_id.decode() for entry_id, _ in trial.client.xrange(trial.keys.requests)}


def _write_on(stray: redis.Redis, trial: LineageTrial) -> int:
    """Write to a server until it refuses; return how often it accepted. A result of these writes is a fault."""
    taken = 0
    with suppress(redis.RedisError):
        while stray.xadd(trial.keys.requests, {"request_id": f"stray-{taken}"}):
            taken += 1
    return taken


def _crash_cut_off(servers: Replicated) -> None:
    """Crash the master while its replica is cut off, and let it come back as the replica's replica."""
    servers.cut()
    servers.master.kill()
    servers.wait_promoted()
    servers.master.start()  # without a replica, the new one may take nothing either
    servers.wait_demoted()
