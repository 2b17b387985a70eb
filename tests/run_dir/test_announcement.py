"""The file by which the `up` of this user is found: while its process lives, in a folder that nobody else writes."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from worker.run_dir.announcement import (
    Announcement,
    announcement_path,
    list_announced,
    read_announcement,
    write_announcement,
)
from worker.run_dir.processes import is_alive, process_start

_PID = os.getpid()
_SETTINGS = {"REDIS_URL": "redis://:h1dden@127.0.0.1:1/0", "DATABASE_URL": "postgresql://a@127.0.0.1:2/a"}
_MINE = Announcement(_PID, process_start(_PID), 1.5, "/data/ü \udcff", "/data/log", _SETTINGS)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run"


def test_what_is_written_is_read(run_dir: Path) -> None:
    path = announcement_path(run_dir, Path(_MINE.data))
    write_announcement(path, _MINE)
    assert read_announcement(path) == _MINE
    assert list_announced([run_dir, run_dir / "missing", run_dir]) == [_MINE]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in run_dir.iterdir()] == [path.name]


def test_several_are_listed_by_their_folders(run_dir: Path) -> None:
    for data in ("/b", "/a"):
        write_announcement(announcement_path(run_dir, Path(data)), replace(_MINE, data=data))
    assert [one.data for one in list_announced([run_dir])] == ["/a", "/b"]


@pytest.mark.parametrize("started", ["", "1"])
def test_one_whose_process_has_ended_is_not_there(run_dir: Path, started: str) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    write_announcement(run_dir / "a.up", replace(_MINE, pid=ended.pid, started=started))
    assert list_announced([run_dir]) == []


@pytest.mark.needs_linux
def test_one_whose_number_has_another_process_is_not_there(run_dir: Path) -> None:
    write_announcement(run_dir / "a.up", replace(_MINE, started="1"))
    assert list_announced([run_dir]) == []


@pytest.mark.needs_linux
def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        started = process_start(child.pid)
        assert is_alive(child.pid, started)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(child.pid, started)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "[" * 100_000, "\0"])
def test_a_file_that_is_not_valid_is_not_there(run_dir: Path, text: str) -> None:
    (run_dir / "a.up").write_text(text)
    assert list_announced([run_dir]) == []


def test_a_folder_that_others_write_in_is_not_believed(run_dir: Path) -> None:
    write_announcement(run_dir / "a.up", _MINE)
    (run_dir.parent / "link").symlink_to(run_dir)
    assert list_announced([run_dir.parent / "link"]) == []
    run_dir.chmod(0o777)
    assert list_announced([run_dir]) == []
