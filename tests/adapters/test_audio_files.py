"""Headers of audio files: good ones give the length, broken ones a reason, never an exception."""

import os
import random
from pathlib import Path

import pytest

from tests.support.audio import audio_bytes, without_xing, write_audio, write_long_wav
from worker.adapters.audio_files import measure, measure_all
from worker.core.catalog.scan import Measured

KINDS = [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_length_of_each_kind_is_read(tmp_path: Path, kind: str) -> None:
    assert measure(str(write_audio(tmp_path / f"x{kind}", 2.5))) == Measured(2.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty: 0 bytes"), (bytes(5000), None), (b"<html>404</html>" * 99, None), (b"\x93NUMPY" * 50, None)],
    ids=["empty", "zeros", "text", "other"],
)
def test_what_is_no_audio_has_a_reason(tmp_path: Path, kind: str, content: bytes, reason: str | None) -> None:
    path = tmp_path / f"x{kind}"
    path.write_bytes(content)
    measured = measure(str(path))
    assert measured.duration_s is None
    assert measured.reason
    assert reason in {None, measured.reason}


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files_are_measured_or_have_a_reason(tmp_path: Path, kind: str) -> None:
    good, chance, path = audio_bytes(kind, 0.5), random.Random(1), tmp_path / f"x{kind}"
    for _ in range(60):
        broken = bytearray(good[: chance.randrange(1, len(good))])
        for _ in range(chance.randrange(4)):
            broken[chance.randrange(min(len(broken), 200))] = chance.randrange(256)
        path.write_bytes(broken)
        measured = measure(str(path))
        assert (measured.duration_s is None) == bool(measured.reason)
        assert measured.duration_s is None or measured.duration_s > 0


def test_of_a_wav_that_was_cut_the_seconds_count_that_are_there(tmp_path: Path) -> None:
    path, good = tmp_path / "x.wav", audio_bytes(".wav", 2.0)
    path.write_bytes(good[:44] + good[44:][: len(good) // 2])
    assert measure(str(path)).duration_s == pytest.approx(1.0, abs=0.01)
    path.write_bytes(good[:4] + b"\xff\xff\xff\xff" + good[8:40] + b"\xff\xff\xff\xff" + good[44:])
    assert measure(str(path)).duration_s == pytest.approx(2.0, abs=0.01)
    path.write_bytes(good[:44])
    assert measure(str(path)).reason == "it holds no audio"


def test_an_mp3_without_a_xing_header_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(without_xing(audio_bytes(".mp3", 3.0)))
    assert measure(str(path)).duration_s == pytest.approx(3.0, abs=0.2)


def test_thirty_hours_are_read_from_the_header(tmp_path: Path) -> None:
    assert measure(str(write_long_wav(tmp_path / "x.wav", 30))) == Measured(30 * 3600)


def test_links_and_files_that_are_gone_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "folder.wav").mkdir()
    link, loop, folder, gone = (str(tmp_path / name) for name in ("link.wav", "loop.wav", "folder.wav", "gone.wav"))
    measured = measure_all([link, loop, folder, gone])
    assert [one.duration_s for one in measured] == [None] * 4
    assert [one.reason for one in measured] == [
        "the link leads nowhere",
        os.strerror(40).lower(),
        "is a directory",
        None,
    ]
