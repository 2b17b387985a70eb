"""A file is there as a whole, or as it was before."""

import gzip
import os
from pathlib import Path

import pytest

from worker.adapters.replaced_file import replaced_file
from worker.errors import OutputError


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write(path: Path, content: bytes, fault: BaseException | None = None) -> None:
    with replaced_file(path) as out:
        out.write(content)
        if fault is not None:
            raise fault


def test_file_is_replaced_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"old")
    file.chmod(0o640)
    with replaced_file(file) as out:
        out.write(b"new")
        out.flush()
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert names_in(tmp_path) == ["a.csv"]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"old")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / name, b"half", KeyboardInterrupt())
    assert names_in(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == b"old"


def test_suffix_asks_for_gzip(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        write(tmp_path / name, b"content")
    first, second = ((tmp_path / name).read_bytes() for name in ("a.csv.gz", "b.csv.gz"))
    assert gzip.decompress(first) == b"content"
    assert first == second


def test_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe", b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert names_in(tmp_path) == ["pipe"]


@pytest.mark.parametrize(("name", "reason"), [("no/a.csv", "No such file or directory"), (".", "Is a directory")])
def test_place_that_cannot_be_written_is_said(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(OutputError, match=f"cannot be written: {reason}"), replaced_file(tmp_path / name):
        pass


def test_full_device_is_said() -> None:
    with pytest.raises(OutputError, match=r"^/dev/full cannot be written: No space left on device$"):
        write(Path("/dev/full"), bytes(1 << 21))
