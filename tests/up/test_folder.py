"""The data folder of an `up`: one at a time works in it, and what cannot be used is refused in a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_until_sync
from worker.embedded.lasting import refuse_older
from worker.errors import SettingsError
from worker.up.folder import DataFolder, default_data

_HOLD = """
import os, sys, time
from pathlib import Path
from worker.up.folder import DataFolder
lock = DataFolder(Path(sys.argv[1])).try_lock()
os.set_inheritable(lock, True)
if os.fork():
    print("locked", flush=True)
time.sleep(600)
"""


def taken(path: Path) -> DataFolder:
    """Take a folder as an `up` does, for as long as this process lives or the lock is closed."""
    folder = DataFolder(path)
    lock = folder.try_lock()
    assert lock is not None
    os.close(lock)
    return folder


def test_what_is_noted_lasts(tmp_path: Path) -> None:
    path = tmp_path / "a b" / "ü"
    folder = taken(path)
    assert folder.noted_port("Valkey") is None
    folder.note("Valkey", port=7, version="9.1")
    folder.note("Valkey", port=8)
    again = taken(path)
    assert again.notes == {"Valkey": {"port": 8, "version": "9.1"}}
    assert again.noted_port("Valkey") == 8
    assert path.stat().st_mode & 0o777 in {0o700, 0o711}


@pytest.mark.needs_linux
def test_a_lock_is_held_until_the_last_process_that_inherited_it_ends(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path / "d")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    folder = DataFolder(tmp_path / "d")
    assert folder.try_lock() is None
    assert folder.starter() == holder.pid
    heir = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text())
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert folder.try_lock() is None
    assert folder.starter() is None
    os.kill(heir, 9)
    wait_until_sync(lambda: folder.try_lock() is not None, timeout_s=30, what="the lock is free")


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(
        SettingsError, match=r"holds something else, such as 'voice\.wav'; accepted: --data DIR, an empty"
    ):
        DataFolder(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["voice.wav"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", r"up\.json cannot be read \(JSONDecodeError\); accepted: "),
        ("[]", r"up\.json cannot be read"),
        (json.dumps({"layout": 2}), "has layout 2, and this version of sampling-worker knows 1; accepted: "),
    ],
)
def test_notes_of_others_are_refused(tmp_path: Path, content: str, words: str) -> None:
    folder = taken(tmp_path / "d")
    (folder.path / "up.json").write_text(content)
    with pytest.raises(SettingsError, match=words):
        folder.try_lock()


@pytest.mark.parametrize("path", ["a file", "a file/below", "\0"])
def test_a_path_that_can_be_no_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(SettingsError, match=r"cannot be made \(.+\); accepted: --data DIR"):
        DataFolder(tmp_path / path)


@pytest.mark.needs_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, -1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        DataFolder(tmp_path)


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = taken(tmp_path / "d")
    folder.check_room()
    monkeypatch.setattr(DataFolder, "free_bytes", lambda _: 100 << 20)
    with pytest.raises(SettingsError, match="100 MiB are free in the data folder "):
        folder.check_room()
    folder.note("Valkey", port=7)
    folder.check_room()


def test_the_default_is_in_the_data_folder_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert default_data() == tmp_path / "sampling-worker"
    assert default_data().is_absolute()


def test_data_of_a_newer_server_are_refused() -> None:
    for written in ("", "9.1.2", "9.0.9", "8.9"):
        refuse_older("Valkey", written, "9.1.0")
    for written in ("9.2", "10.0.1"):
        with pytest.raises(SettingsError, match=rf"by Valkey {written}, and Valkey 9\.1\.0 is installed"):
            refuse_older("Valkey", written, "9.1.0")
