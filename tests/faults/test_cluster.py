"""A cluster's nodes die, and slots move: workers go where the cluster sends them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.library import Library
from tests.faults.lineage import LineageTrial
from tests.faults.trial import DEADLINE_S, Figure
from tests.support.clusters import Cluster, clustered
from tests.support.command import run_command
from tests.support.servers import running
from tests.support.waiting import wait_until_sync
from worker.core.stats.heard import heard_field

_PREFIX = "{audio}"
_SOME = 30


@pytest.fixture
def cluster(redis_binary: Path) -> Iterator[Cluster]:
    """Three masters, and a replica of the one that has our names."""
    with running(lambda folder: clustered(folder, redis_binary, _PREFIX)) as cluster:
        yield cluster


@pytest.fixture
def trial(cluster: Cluster, library: Library, tmp_path: Path, figure: Figure) -> Iterator[LineageTrial]:
    """A trial whose workers know one node."""
    (tmp_path / "run").mkdir(mode=0o700)
    settings = {"REDIS_URL": cluster.url, "WORKER_PREFIX": _PREFIX}
    with ExitStack() as undo:
        trial = LineageTrial(cluster.owner, library, tmp_path, figure=figure, settings=settings)
        undo.callback(trial.end)
        trial.speak_by(cluster.producer())
        yield trial


@pytest.mark.fault("the node that owns the slot crashes (SIGKILL) under load, its replica takes over", "C06")
def test_the_owner_crashes(trial: LineageTrial, cluster: Cluster) -> None:
    workers = trial.start_many("w-1", "w-2")
    with trial.load():
        trial.wait_flowing()
        cluster.owner.kill()
        cluster.wait_taken_over()
        trial.wait_followed(*workers)
    trial.count_one_each(trial.lose())


@pytest.mark.fault("the slot is moved to another node under load, key by key", "C07")
def test_the_slot_is_moved(trial: LineageTrial, cluster: Cluster) -> None:
    workers = trial.start_many("w-1", "w-2")
    with trial.load():
        trial.wait_flowing()
        for _ in cluster.moving():
            _wait_asked(trial)
        trial.wait_followed(*workers)
        _wait_asked(trial)
    assert trial.lose() == []
    trial.count_one_each([])


@pytest.mark.fault("the slot is moved while a rule goes by counts: what was heard is on the other node first", "C07")
def test_what_was_heard_is_counted_while_the_slot_is_moved(
    trial: LineageTrial, cluster: Cluster, tmp_path: Path
) -> None:
    trial.start()
    words = ("schedule", "points=0 voice=1; 1e6 music=1", "unit=requests", "--mode", "on")
    settings = {"REDIS_URL": cluster.url, "WORKER_PREFIX": _PREFIX, "DATABASE_URL": trial.library.url}
    assert run_command("adjust", "set", *words, settings=settings, cwd=tmp_path).returncode == 0
    wait_until_sync(lambda: trial.client.hlen(trial.keys.bounds), timeout_s=DEADLINE_S, what="the rule begins")
    asked = len(trial.ask(_SOME))
    trial.wait_answered()
    move = cluster.moving(first=trial.keys.heard)
    next(move)
    next(move)  # the hash has moved, and the next key has not
    asked += len(trial.ask(_SOME))
    answered = trial.look()
    for _ in move:
        assert trial.look() == answered
    trial.wait_answered()
    assert int(trial.client.hget(trial.keys.heard, heard_field("requests", None))) == asked


@pytest.mark.fault("two of three masters crash and come back: CLUSTERDOWN for a while", "C08")
def test_the_cluster_is_down(trial: LineageTrial, cluster: Cluster) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_flowing()
        for node in cluster.others:
            node.kill()
        trial.wait_event(worker, "redis.lost")
        for node in cluster.others:
            node.start()
        trial.wait_followed(worker)
    assert trial.lose() == []
    trial.count_one_each([])
    assert "cluster is down" in worker.events("redis.lost")[0]["message"]


@pytest.mark.fault("a cluster, and names that it would keep on several nodes: refused at the start", "C09")
def test_names_without_a_common_tag_are_refused(tmp_path: Path) -> None:
    urls = {"REDIS_URL": "redis+cluster://127.0.0.1:1", "DATABASE_URL": "postgresql://u@127.0.0.1:1/none"}
    refused = run_command("run", settings=urls, cwd=tmp_path)
    assert refused.returncode == 2
    assert "WORKER_PREFIX=audio is not accepted with redis+cluster://" in refused.stderr
    assert "accepted: a hash tag such as {audio}" in refused.stderr


def _wait_asked(trial: LineageTrial) -> None:
    """Wait until more has been asked, or tried to be."""
    enough = trial.asked + _SOME
    wait_until_sync(lambda: trial.asked >= enough, timeout_s=DEADLINE_S, what="more is asked for")
