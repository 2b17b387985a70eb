"""The folder of health files and locks is this user's alone, whoever else writes beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.run_dir.consumer_name import consumer_name
from worker.run_dir.folder import open_own, prepare_run_dir, read_own


def test_the_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    run_dir = tmp_path / "deep" / "run"
    assert prepare_run_dir(run_dir) == run_dir
    assert run_dir.stat().st_mode & 0o777 == 0o700
    assert prepare_run_dir(run_dir) == run_dir


@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_no_umask_opens_or_closes_what_is_made(tmp_path: Path, umask: str) -> None:
    program = (
        "import os, sys; from pathlib import Path; from worker.run_dir.folder import *\n"
        f"os.umask(0o{umask}); run_dir = prepare_run_dir(Path(sys.argv[1]))\n"
        f"os.close(open_own(run_dir / 'x')); assert os.umask(0) == 0o{umask}"
    )
    run_dir = tmp_path / "deep" / "run"
    subprocess.run([sys.executable, "-c", program, str(run_dir)], check=True, cwd=Path(__file__).parents[2])
    made = [run_dir.parent, run_dir, run_dir / "x"]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700", "0o700", "0o644"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"WORKER_RUN_DIR=.*file/run cannot be used \(Not a directory\); accepted"):
        prepare_run_dir(tmp_path / "file" / "run")


def test_the_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    theirs = Path("/") if os.getuid() else tmp_path
    if os.getuid() == 0:
        os.chown(theirs, 65534, 65534)
    with pytest.raises(SettingsError, match=r"\(it is not this user's, or cannot be written\)"):
        prepare_run_dir(theirs)


@pytest.mark.parametrize("target", ["real", "missing"])
def test_a_link_is_refused_wherever_it_leads(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(SettingsError, match=r"link cannot be used \((it is a symbolic link|File exists)\)"):
        prepare_run_dir(tmp_path / "link")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777, 0o2770])
def test_a_folder_in_which_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    run_dir.chmod(mode)
    with pytest.raises(SettingsError, match=rf"others may write in it: `chmod go-w {run_dir}` ends that"):
        prepare_run_dir(run_dir)
    run_dir.chmod(mode & ~0o022)
    assert prepare_run_dir(run_dir) == run_dir


def test_a_folder_that_others_may_read_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert prepare_run_dir(tmp_path) == tmp_path


def test_no_file_is_opened_through_a_link(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link"
    precious.write_text("precious")
    link.symlink_to(precious)
    for is_refused in (open_own, read_own):
        with pytest.raises(OSError, match="symbolic links"):
            is_refused(link)
    assert precious.read_text() == "precious"


def test_a_lock_that_is_a_link_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with consumer_name(tmp_path, None) as name:
        pass
    lock, precious = tmp_path / f"{name}.lock", tmp_path / "precious"
    lock.unlink()
    precious.write_text("precious")
    lock.symlink_to(precious)
    with pytest.raises(SettingsError, match=rf"cannot be used \({name}.lock: Too many levels of symbolic links\)"):
        consumer_name(tmp_path, None).__enter__()
    assert precious.read_text() == "precious"
