"""The roles of `deploy/redis.acl` on a cluster: while a slot moves, each follows ASK, for which it needs `+asking`."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.exceptions

from tests.support.clusters import Cluster, call, clustered
from tests.support.command import RunningWorker, run_command
from tests.support.guarded import DESK_READER, TRAINING_JOB, WEIGHTS_WRITER, WORKER, acl_text, as_role, make_role
from tests.support.library import fill
from tests.support.servers import execute, redis_binaries, running
from tests.support.steady import Steady, steady
from tests.support.waiting import wait_until_sync
from worker.core.keys import Keys
from worker.embedded.loopback import HOST

DEADLINE_S = 60.0
KEYS = Keys("{audio}")
_BINARIES = redis_binaries()
_FOR_A_CLUSTER = "+cluster|slots +command"
_ASK = "+asking"
_DEAF = "-without-asking"
_LOOKS = {
    WORKER: ("GET", KEYS.weights()),
    TRAINING_JOB: ("XLEN", KEYS.results),
    WEIGHTS_WRITER: ("GET", KEYS.weights()),
    DESK_READER: ("GET", KEYS.weights()),
}
"""A command of each role that a node refuses by ASK, as its key has moved or is not there."""
_VERBS = (
    (WEIGHTS_WRITER, "weights", "set", "voice=1", "--wait"),
    (WEIGHTS_WRITER, "stats"),
    (DESK_READER, "watch", "--once"),
    (DESK_READER, "weights", "show"),
    (TRAINING_JOB, "sample", "--size", "4"),
)


@pytest.fixture
def redis_binary(request: pytest.FixtureRequest) -> Path:
    return _BINARIES[request.param]


@pytest.fixture
def cluster(redis_binary: Path) -> Iterator[Cluster]:
    """A cluster whose nodes know the roles as deploy/README.md says, and each once more without `+asking`."""
    with running(lambda folder: clustered(folder, redis_binary, KEYS.prefix)) as cluster:
        for node in cluster.nodes:
            for name, rules in _users():
                call(node, "ACL", "SETUSER", name, "reset", *rules)
        yield cluster


def _users() -> Iterator[tuple[str, list[str]]]:
    """Yield users with their rules."""
    lines = (line.split(" ", 2) for line in acl_text().replace("audio:", f"{KEYS.prefix}:").splitlines())
    for _, name, text in (line for line in lines if line[1] in _LOOKS):
        first, *selectors = text.split(" (")
        for user, more in ((name, f"{_FOR_A_CLUSTER} {_ASK}"), (name + _DEAF, _FOR_A_CLUSTER)):
            yield user, [*first.split(), *more.split(), *(f"({selector}" for selector in selectors)]


def _url(cluster: Cluster, role: str) -> str:
    return f"redis+cluster://{role}:{role.removesuffix(_DEAF)}@{HOST}:{cluster.others[0].port}"


def _look(cluster: Cluster, user: str) -> Any:
    """Send a user's command by a client that follows ASK, as redis-py does."""
    url = _url(cluster, user).replace("redis+cluster", "redis")
    with redis.RedisCluster.from_url(url, protocol=2, driver_info=None) as client:
        raw: Any = client
        return raw.execute_command(*_LOOKS[user.removesuffix(_DEAF)])


def _denials(cluster: Cluster) -> list[Any]:
    """List who was denied what on any node."""
    entries = [
        dict(zip(row[::2], row[1::2], strict=True)) for node in cluster.nodes for row in call(node, "ACL", "LOG")
    ]
    return sorted({(entry[b"username"].decode(), entry[b"object"].decode()) for entry in entries})


def _wait_samples(training: Steady) -> None:
    enough = training.samples + 10
    wait_until_sync(lambda: training.samples >= enough, timeout_s=DEADLINE_S, what="the training goes on")


@pytest.fixture
def worker(cluster: Cluster, database_url: str, tmp_path: Path) -> Iterator[RunningWorker]:
    (tmp_path / "run").mkdir(mode=0o700)
    make_role(database_url)
    execute(database_url, fill(90))
    urls = {"REDIS_URL": _url(cluster, WORKER), "DATABASE_URL": as_role(database_url)}
    worker = RunningWorker({**urls, "WORKER_PREFIX": KEYS.prefix}, tmp_path).start().wait_ready()
    yield worker
    worker.end()


@pytest.mark.fault("a slot is moved under load, with every role of least rights: each follows ASK", "C07")
def test_every_role_follows_while_a_slot_moves(cluster: Cluster, worker: RunningWorker, tmp_path: Path) -> None:
    def run(role: str, *words: str) -> Any:
        settings = {"REDIS_URL": _url(cluster, role), "WORKER_PREFIX": KEYS.prefix}
        ended = run_command(*words, "--json", settings=settings, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    run(WEIGHTS_WRITER, "weights", "set", "voice=1", "music=1")
    with steady(_url(cluster, TRAINING_JOB), KEYS.prefix) as training, ThreadPoolExecutor(len(_VERBS)) as people:
        _wait_samples(training)
        move = cluster.moving(first=KEYS.weights())
        next(move)
        next(move)  # the weights are on the other node, and what else there is, is not
        for role in _LOOKS:
            assert _look(cluster, role) is not None
            with pytest.raises(redis.exceptions.NoPermissionError, match="asking"):
                _look(cluster, role + _DEAF)
        typed = [people.submit(run, *words) for words in _VERBS]
        for _ in move:
            assert training.samples
        set_there, *_ = [one.result() for one in typed]
        assert set_there["applied"] == ["w-1"]
        _wait_samples(training)
    assert worker.stop() == 0
    assert _denials(cluster) == [(role + _DEAF, "asking") for role in sorted(_LOOKS)]
