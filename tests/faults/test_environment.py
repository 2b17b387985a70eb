"""Commands, clients and workers in surroundings of others: each ends in a sentence, or works."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fuzz_environment import NAMELESS, NOWHERE, Surroundings, problem, start, try_one
from tests.faults.trial import Trial

ROOT = Path(__file__).parents[2]

# Of a pod in a cluster with Services of such names, of other tools beside it, and of a shell.
SHARED = {
    "WORKER_PORT": "tcp://10.0.0.5:80",
    "WORKER_SERVICE_HOST": "10.0.0.5",
    "WORKER_BATCH_PORT_80_TCP_ADDR": "10.0.0.5",
    "WORKER_CONCURRENCY": "4",
    "WORKER_CLASS": "gevent",
    "LOG_LEVEL": "WARN",
    "PGSSLMODE": "prefer",
    "PGSERVICE": "other",
    "PGOPTIONS": "-c nonsense",
    "LC_ALL": "xx_YY",
    "TMPDIR": "/no/such/folder",
    "XDG_RUNTIME_DIR": "/run/user/99999",
}


def _ends(at: Surroundings) -> str:
    at.environ = {"PATH": os.environ["PATH"], **NOWHERE, **at.environ}
    status, said, complained = start(at)
    assert problem(at, status, said, complained) is None, complained or said
    return complained or said


@pytest.mark.parametrize("words", [("weights", "show"), ("catalog", "show"), ("stats",), ("dead", "show")])
def test_a_command_gets_as_far_as_its_server(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / ".env").write_bytes(b"source ~/.bashrc\nKEY: value\nA=caf\xe9\nWORKER_ID: 7\n")
    said = _ends(
        Surroundings({**SHARED, "LOG_LEVEL": "loud", "LOG_FORMAT": "text"}, tmp_path, words=words, accepted={3})
    )
    assert "not reachable" in said


@pytest.mark.fault("commands, clients and workers start in surroundings of others", "H10")
@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("words", "accepted"),
    [
        (("weights", "show"), 3),
        (("catalog", "show"), 3),
        (("run",), 0),
        (("health",), 1),
        (("client", "redis://h", ""), 0),
    ],
)
def test_a_user_without_name_home_and_working_directory_is_served(
    tmp_path: Path, words: tuple[str, ...], accepted: int
) -> None:
    tmp_path.chmod(0o700)
    at = Surroundings(
        {**SHARED, "HOME": "/root"}, tmp_path, uid=NAMELESS, umask=0o777, words=words, accepted={accepted}
    )
    _ends(at)


def test_a_working_directory_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    _ends(Surroundings({}, gone, gone=str(gone), closes=(0,), words=("stats",), accepted={3}))


def test_a_fifo_by_the_name_of_the_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    _ends(Surroundings({}, tmp_path, words=("stats",), accepted={3}))


@pytest.mark.fault("commands, clients and workers start in surroundings of others", "H10")
def test_random_surroundings_end_in_a_sentence() -> None:
    """A few; `fuzz_environment.py` tries them for minutes."""
    rng = random.Random(16)
    for _ in range(4):
        at, _, why, said = try_one(rng)
        assert why is None, f"{why}: {at}\n{said}"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_name_shows_it_escaped(tmp_path: Path, encoding: str) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "worker", "weights", "preview", "日本=1"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (2, False)
    assert rb"\u65e5\u672c" in ended.stderr + ended.stdout


@pytest.mark.fault("the environment is shared: Services of Kubernetes, other tools, PG variables, no locale", "H10")
def test_a_worker_serves_in_an_environment_of_others(trial: Trial) -> None:
    worker = trial.start(**{**SHARED, "LOG_LEVEL": "Notice"})
    with trial.load():
        trial.wait_answered()
    trial.recover()
    trial.count(losses=0)
    assert [event["names"] for event in worker.events("settings.ignored")] == ["WORKER_CLASS, WORKER_CONCURRENCY"]
