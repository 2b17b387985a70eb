"""What a walk finds below a folder: each real file once, and a count of all that it leaves out."""

import os
from pathlib import Path

from tests.support.audio import write_audio
from worker.admin.scan.walk import BROKEN_LINK, SPECIAL, Walk, Walked


def walk(root: Path) -> Walked:
    told: list[int] = []
    walk = Walk(str(root), told.append)
    walk.folder("")
    assert told == sorted(told)
    assert told[-1] == len(walk.found.audio)
    return walk.found


def test_audio_files_are_found_and_others_counted(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.FLAC", "a/deep/er/x.ogg", "top.mp3", ".hidden/x.wav", "a/.x.wav"):
        write_audio(tmp_path / name)
    for name in ("a/notes.txt", "a/more.TXT", "README", "a/song.wav.part", "a/wav"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "a/fifo.wav")
    found = walk(tmp_path)
    assert found.audio == ["top.mp3", "a/deep/er/x.ogg", "b/1.FLAC", "b/2.wav"]
    assert found.others == {".txt": 2, "": 2, ".part": 1, SPECIAL: 1}
    assert (found.hidden, found.linked_again, found.unreadable) == (2, 0, [])


def test_links_are_followed_and_nothing_is_found_twice(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for path in (root / "a/1.wav", outside / "sub/2.wav", outside / "3.wav", root / ".store/4.wav"):
        write_audio(path)
    links = {
        "loop": root,  # to a folder above
        "a/self": Path("self"),  # to itself
        "again": root / "a",  # to a folder that is found by itself
        "a/one.wav": root / "a/1.wav",  # to a file that is
        "b": outside,
        "c": outside / "sub",  # found below b
        "outer.wav": outside / "3.wav",  # a file elsewhere is one
        "kept.wav": root / ".store/4.wav",  # and so is one in a hidden folder
        "nowhere.wav": Path("nothing.wav"),
        "nothing": Path("nothing"),
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (outside / "back").symlink_to(root)
    found = walk(root)
    assert found.audio == ["kept.wav", "nowhere.wav", "outer.wav", "a/1.wav", "b/3.wav", "b/sub/2.wav"]
    assert found.linked_again == 5
    assert found.others == {BROKEN_LINK: 2}


def test_names_may_be_of_any_bytes(tmp_path: Path) -> None:
    names = [
        b"a b.wav",
        b"line\nbreak.wav",
        b"tab\t\"quote'.wav",
        "Cafe\u0301.wav".encode(),
        "Caf\u00e9.wav".encode(),
        b"\xff.wav",
    ]
    for name in names:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"")
    assert sorted(os.fsencode(name) for name in walk(tmp_path).audio) == sorted(names)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = walk(tmp_path / "gone")
    assert found.unreadable == [("", "no such file or directory")]
