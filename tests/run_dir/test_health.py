"""The health file that a live worker renews, and how a probe judges it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from worker.run_dir.health import (
    FRESH_S,
    Health,
    Place,
    find_problem,
    health_path,
    look_around,
    renew_health,
    url_digest,
    write_health,
)
from worker.run_dir.processes import process_start

_NOW = 1_000_000.0


def _health(consumer: str = "host-1", state: str = "serving", age_s: float = 0.0, prefix: str = "audio") -> Health:
    return Health(pid=os.getpid(), prefix=prefix, consumer=consumer, state=state, at=_NOW - age_s)


def _problem(run_dir: Path, consumer: str | None = None) -> str | None:
    return find_problem(run_dir, Place("audio"), consumer=consumer, now=_NOW)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([], "no worker has run here"),
        ([_health()], None),
        ([_health(age_s=FRESH_S - 0.1)], None),
        ([_health(age_s=FRESH_S)], "worker host-1 last showed a sign of life 10 s ago"),
        ([_health(state="waiting")], "worker host-1 is waiting"),
        ([_health(state="starting", age_s=9)], "worker host-1 is starting"),
        ([_health(prefix="other")], "no worker has run here; host-1 served other URLs or another prefix"),
        ([_health(age_s=60), _health("host-2")], None),
        ([_health("host-1", age_s=5), _health("host-2", "draining")], None),
        ([_health("host-1", "waiting", 5), _health("host-2", "draining", 4)], "worker host-2 is draining"),
        (
            [_health("host-1", age_s=99), _health("host-2", age_s=98)],
            "worker host-2 last showed a sign of life 98 s ago",
        ),
    ],
)
def test_some_worker_here_has_to_be_alive_and_serving(tmp_path: Path, found: list[Health], problem: str | None) -> None:
    for health in found:
        write_health(tmp_path, health)
    assert _problem(tmp_path) == problem


def test_a_renewed_file_is_fresh_and_was_not_written_again(tmp_path: Path) -> None:
    write_health(tmp_path, _health(age_s=60))
    path = health_path(tmp_path, "host-1")
    before = path.stat().st_ino, path.read_bytes()
    assert "sign of life 60 s ago" in (_problem(tmp_path) or "")
    renew_health(path, _NOW - 1)
    assert _problem(tmp_path) is None
    assert (path.stat().st_ino, path.read_bytes()) == before
    path.unlink()
    with pytest.raises(FileNotFoundError):
        renew_health(path, _NOW)


def test_a_probe_can_be_about_one_worker(tmp_path: Path) -> None:
    write_health(tmp_path, _health("host-1"))
    write_health(tmp_path, _health("host-2", "waiting"))
    assert _problem(tmp_path, "host-1") is None
    assert _problem(tmp_path, "host-2") == "worker host-2 is waiting"
    assert _problem(tmp_path, "host-3") == "no worker host-3 has run here"


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", '{"pid": 1}', '{"a": 1}', "\udcff"])
def test_a_file_that_is_no_health_is_a_worker_that_is_not_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "torn.health").write_text(text, errors="surrogateescape")
    (tmp_path / "folder.health").mkdir()
    assert _problem(tmp_path) == "no worker has run here"
    write_health(tmp_path, _health())
    assert _problem(tmp_path) is None


def test_a_folder_that_is_not_there_holds_no_worker(tmp_path: Path) -> None:
    assert _problem(tmp_path / "nowhere") == "no worker has run here"


@pytest.mark.parametrize("consumer", ["host-1", "../../etc/passwd", "a/b", "%2F", ".", "ü" * 128, "x" * 128, ":" * 128])
def test_any_consumer_name_has_a_file_of_its_own_in_the_folder(tmp_path: Path, consumer: str) -> None:
    for state in ("starting", "serving"):
        write_health(tmp_path, _health(consumer, state))
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]
    assert list(tmp_path.iterdir()) == [health_path(tmp_path, consumer)]
    assert _problem(tmp_path, consumer) is None
    assert health_path(tmp_path, consumer) != health_path(tmp_path, consumer[:-1] + "y")


def test_the_file_says_who_when_and_how(tmp_path: Path) -> None:
    write_health(tmp_path, _health())
    assert json.loads(health_path(tmp_path, "host-1").read_text()) == {
        "pid": os.getpid(),
        "prefix": "audio",
        "consumer": "host-1",
        "state": "serving",
        "at": _NOW,
        "redis": "",
        "database": "",
        "started": "",
    }


def test_a_link_is_neither_written_nor_read(tmp_path: Path) -> None:
    """Somebody who may write in the folder could have a file of ours emptied, or make a probe wait."""
    run_dir, other = tmp_path / "run", tmp_path / "precious"
    run_dir.mkdir()
    other.write_text("precious")
    fresh = health_path(run_dir, "host-1").with_suffix(f".{os.getpid()}.new")
    fresh.symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        write_health(run_dir, _health())
    assert other.read_text() == "precious"
    write_health(tmp_path, _health())
    health_path(run_dir, "host-1").symlink_to(health_path(tmp_path, "host-1"))
    os.mkfifo(health_path(run_dir, "host-2"))
    assert _problem(run_dir) == "no worker has run here"


def test_a_worker_that_was_killed_is_not_serving(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_health(tmp_path, replace(_health(), pid=gone.pid))
    assert _problem(tmp_path) == "worker host-1 has died"


def test_a_process_that_has_the_number_of_a_dead_worker_is_not_that_worker(tmp_path: Path) -> None:
    started = process_start(os.getpid())
    assert started.isdecimal()
    write_health(tmp_path, replace(_health(), started=started))
    assert _problem(tmp_path) is None
    write_health(tmp_path, replace(_health(), started=str(int(started) - 1)))
    assert _problem(tmp_path) == "worker host-1 has died"


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        (("r", "p"), ("r", "p"), True),
        (("r", "p"), ("other", "p"), False),
        (("r", "p"), ("r", "other"), False),
        (("r", ""), ("r", "p"), True),
        (("", ""), ("r", "p"), True),
        (("r", "p"), ("", ""), True),
        (("r", ""), ("other", "p"), False),
    ],
)
def test_only_workers_of_this_installation_are_looked_at(
    tmp_path: Path, ours: tuple[str, str], theirs: tuple[str, str], *, is_same: bool
) -> None:
    redis, database = theirs
    write_health(tmp_path, replace(_health(), redis=redis, database=database))
    problem = find_problem(tmp_path, Place("audio", *ours), consumer=None, now=_NOW)
    assert problem == (None if is_same else "no worker has run here; host-1 served other URLs or another prefix")


def test_each_worker_here_is_looked_at(tmp_path: Path) -> None:
    for health in (_health("a"), _health("b", age_s=40), _health("c", "waiting"), _health("d", prefix="other")):
        write_health(tmp_path, health)
    assert look_around(tmp_path, Place("audio"), consumer=None, now=_NOW) == {
        "a": None,
        "b": "worker b last showed a sign of life 40 s ago",
        "c": "worker c is waiting",
    }


def test_urls_are_told_apart_without_their_passwords() -> None:
    url = "redis://user:h1dden@host:6379/0"
    assert url_digest(url) == url_digest(" 'redis://user:other@host:6379/0'\n")
    assert url_digest(url) != url_digest(url.replace("/0", "/1"))
    assert (url_digest(""), len(url_digest(url))) == ("", 16)
