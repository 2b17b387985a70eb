"""A file is taken up when it has kept its size and time for a while."""

from pathlib import Path

from worker.admin.scan.settling import SETTLED_S, Settling


def test_a_file_that_grows_has_not_settled(tmp_path: Path) -> None:
    path, settling = tmp_path / "x.wav", Settling()
    path.write_bytes(b"1")
    settling.note(str(path), 0.0)
    assert settling.settled(SETTLED_S - 0.1) == []
    path.write_bytes(b"12")  # of which nobody tells
    assert settling.settled(SETTLED_S) == []
    assert settling.settled(2 * SETTLED_S - 0.1) == []
    assert settling.settled(2 * SETTLED_S) == [str(path)]
    assert settling.settled(9 * SETTLED_S) == []


def test_what_is_gone_settles_too(tmp_path: Path) -> None:
    path, settling = tmp_path / "x.wav", Settling()
    settling.note(str(path), 0.0)
    assert settling.settled(SETTLED_S) == [str(path)]


def test_a_look_notes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    same, changed, gone, new = (tmp_path / f"a/{name}.wav" for name in ("same", "changed", "gone", "new"))
    other, settling = tmp_path / "ab/gone.wav", Settling()
    for path in (same, changed, gone, other):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"1")
    settling.learn(map(str, (same, changed, gone, other)))
    changed.write_bytes(b"12")
    gone.unlink()
    other.unlink()
    new.write_bytes(b"1")
    there = [str(path) for path in (same, changed, new)]
    settling.note_differences(there, f"{tmp_path}/a/", 0.0)
    assert settling.settled(SETTLED_S) == sorted(map(str, (changed, gone, new)))
    settling.note_differences(there, f"{tmp_path}/a/", 0.0)
    assert settling.settled(SETTLED_S) == []
