"""Three teams share a six-node cluster, with a prefix each: what happens to one of them, and that the others go on."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.faults.library import Library
from tests.faults.lineage import LineageTrial
from tests.faults.trial import DEADLINE_S, Figure
from tests.support.command import RunningWorker, run_command
from tests.support.servers import running
from tests.support.six_nodes import PREFIXES, Shard, SixNodes, six_nodes
from tests.support.steady import Steady, steady
from tests.support.waiting import wait_until_sync

_SOME = 30
_MIXES = ({"voice": 1.0}, {"music": 1.0}, {"voice": 0.5, "documentary": 0.5})


class Team(NamedTuple):
    """What one prefix has: its part of the cluster, a trial, and two workers."""

    shard: Shard
    trial: LineageTrial
    workers: list[RunningWorker]


@pytest.fixture
def cluster(redis_binary: Path) -> Iterator[SixNodes]:
    with running(lambda folder: six_nodes(folder, redis_binary)) as cluster:
        yield cluster


@pytest.fixture
def teams(cluster: SixNodes, library: Library, tmp_path: Path, figure: Figure) -> Iterator[list[Team]]:
    """A team on each master."""
    with ExitStack() as undo:
        teams = []
        for shard in cluster.shards:
            folder = tmp_path / shard.prefix.strip("{}")
            (folder / "run").mkdir(mode=0o700, parents=True)
            settings = {"REDIS_URL": cluster.url, "WORKER_PREFIX": shard.prefix}
            trial = LineageTrial(shard.master, library, folder, figure=figure, settings=settings)
            undo.callback(trial.end)
            trial.speak_by(cluster.producer())
            teams.append(Team(shard, trial, [trial.launch("w-1"), trial.launch("w-2")]))
        for team in teams:
            for worker in team.workers:
                worker.wait_ready()
        yield teams


@pytest.mark.fault("three prefixes of a cluster: the node of one crashes (SIGKILL) under load, the others go on", "C06")
def test_the_node_of_a_prefix_crashes(cluster: SixNodes, teams: list[Team]) -> None:
    team, *beside = teams
    with ExitStack() as loads:
        _ask_everywhere(teams, loads)
        cluster.crash(team.shard)
        team.trial.wait_followed(*team.workers)
        _wait_going_on(teams)
    _count(cluster, beside, losses=0)
    team.trial.count_one_each(team.trial.lose())


@pytest.mark.fault("three prefixes of a cluster: a failover of one is ordered under load, nothing is lost", "C06")
def test_a_failover_is_ordered(cluster: SixNodes, teams: list[Team]) -> None:
    team, *beside = teams
    with ExitStack() as loads:
        _ask_everywhere(teams, loads)
        cluster.fail_over(team.shard)
        team.trial.wait_followed(*team.workers)
        _wait_going_on(teams)
    _count(cluster, beside, losses=0)
    _count(cluster, [team])


@pytest.mark.fault("three prefixes of a cluster: the slot of one is moved key by key while its weights change", "C07")
def test_the_slot_of_a_prefix_is_moved(cluster: SixNodes, teams: list[Team]) -> None:
    team, *beside = teams
    mixes = cycle(_MIXES)
    with ExitStack() as loads:
        _ask_everywhere(teams, loads)
        for _ in cluster.moving(team.shard, beside[0].shard):
            team.trial.weigh(**next(mixes))
            _wait_asked([team])
        team.trial.weigh(**next(mixes))
        team.trial.wait_followed(*team.workers)
        _wait_going_on(teams)
    _count(cluster, beside, losses=0)
    _count(cluster, [team])


@pytest.mark.any_redis
@pytest.mark.fault("three prefixes of a cluster: the slot of one is moved in one step (CLUSTER MIGRATESLOTS)", "C07")
def test_the_slot_of_a_prefix_is_moved_in_one_step(cluster: SixNodes, teams: list[Team]) -> None:
    team, *beside = teams
    with ExitStack() as loads:
        _ask_everywhere(teams, loads)
        cluster.hand_over(team.shard, beside[0].shard)
        team.trial.wait_followed(*team.workers)
        _wait_going_on(teams)
    _count(cluster, beside, losses=0)
    _count(cluster, [team])


@pytest.mark.fault(
    "three prefixes of a cluster as people see them: trainings and verbs, over a move and a failover", "C06", "C07"
)
def test_people_see_their_own_prefix(cluster: SixNodes, teams: list[Team], tmp_path: Path, figure: Figure) -> None:
    """Whoever changes weights changes them everywhere at once; each training is served, once a request."""
    first, second, third = cluster.shards
    trainings = []
    with ExitStack() as asking:
        trainings += [asking.enter_context(steady(cluster.url, team.shard.prefix)) for team in teams]
        _expect_everywhere(cluster, trainings, tmp_path, _MIXES[0])
        for _ in cluster.moving(second, third):
            _wait_samples(trainings[:1])
        _wait_samples(trainings)
        _expect_everywhere(cluster, trainings, tmp_path, _MIXES[1])
        cluster.fail_over(first)
        _wait_samples(trainings)
        _expect_everywhere(cluster, trainings, tmp_path, _MIXES[2])
    for prefix, training in zip(PREFIXES, trainings, strict=True):
        figure("a training waited at most", max(training.waits_s), "s")
        stats = _run(cluster, tmp_path, "stats", "--json", WORKER_PREFIX=prefix)
        assert (stats["requests"], stats["errors"]) == (training.samples, 0)
        view = _run(cluster, tmp_path, "watch", "--once", "--json", WORKER_PREFIX=prefix)
        assert [worker["name"] for worker in view["workers"]] == ["w-1", "w-2"]


def _ask_everywhere(teams: Sequence[Team], loads: ExitStack) -> None:
    """Go on asking in every prefix, from now until the end of the loads."""
    for team in teams:
        loads.enter_context(team.trial.load())
    for team in teams:
        team.trial.wait_flowing()


def _wait_going_on(teams: Sequence[Team]) -> None:
    """Wait until more is asked for in every prefix, and answered."""
    _wait_asked(teams)
    for team in teams:
        team.trial.wait_flowing()


def _wait_asked(teams: Sequence[Team]) -> None:
    """Wait until more is asked for, or tried to be."""
    enough = [team.trial.asked + _SOME for team in teams]
    wait_until_sync(
        lambda: all(team.trial.asked >= count for team, count in zip(teams, enough, strict=True)),
        timeout_s=DEADLINE_S,
        what="more is asked for",
    )


def _wait_samples(trainings: Sequence[Steady]) -> None:
    """Wait until trainings have had more samples."""
    enough = [training.samples + _SOME for training in trainings]
    wait_until_sync(
        lambda: all(training.samples >= count for training, count in zip(trainings, enough, strict=True)),
        timeout_s=DEADLINE_S,
        what="trainings have more samples",
    )


def _count(cluster: SixNodes, teams: Sequence[Team], losses: int | None = None) -> None:
    """Count prefixes in which nothing may be lost: each request has one result, none of it under older weights."""
    for team in teams:
        team.trial.speak_by(cluster.producer())  # one that knows who the masters are now
        assert team.trial.lose() == []
        team.trial.count_one_each([])
        if losses is not None:
            assert [worker.losses() for worker in team.workers] == [losses] * len(team.workers)


def _expect_everywhere(
    cluster: SixNodes, trainings: Sequence[Steady], folder: Path, weights: Mapping[str, float]
) -> None:
    """Set weights in every prefix by one command; whatever is asked for afterwards is drawn under them."""
    prefixes = [word for prefix in PREFIXES for word in ("--prefix", prefix)]
    words = [f"{category}={weight}" for category, weight in weights.items()]
    told = _run(cluster, folder, "weights", "set", *words, *prefixes, "--wait", "--json")
    set_ns = time.time_ns()
    assert [(one["prefix"], one["stored"], one["applied"]) for one in told] == [
        (prefix, True, ["w-1", "w-2"]) for prefix in PREFIXES
    ]
    _wait_samples(trainings)
    for training, one in zip(trainings, told, strict=True):
        assert {version for asked_ns, version in list(training.versions) if asked_ns > set_ns} == {one["version"]}


def _run(cluster: SixNodes, folder: Path, *words: str, **settings: str) -> Any:
    """Run a verb, and read what it prints."""
    ended = run_command(*words, settings={"REDIS_URL": cluster.url, **settings}, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
