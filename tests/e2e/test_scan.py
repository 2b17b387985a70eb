"""`catalog scan` and `catalog remove` as a user runs them: what they print, ask and refuse, and how they end."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.audio import write_audio
from tests.support.command import start_command
from tests.support.waiting import wait_until_sync
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

LIMIT_S = 60


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with one of everything."""
    folder = tmp_path / "my audio"
    for name in (
        "voice/a.wav",
        "voice/b.flac",
        "voice/c.ogg",
        "Conference Calls/d.wav",
        "top.wav",
        "voice/.hidden.wav",
    ):
        write_audio(folder / name)
    (folder / "voice/bad.wav").write_text("<html>")
    (folder / "voice/notes.txt").write_text("x")
    (folder / "voice/again.wav").symlink_to("a.wav")
    return folder


def test_what_became_of_a_folder_is_said(run: Run, library: Path) -> None:
    first = run("catalog", "scan", "my audio")
    assert (first.returncode, first.stdout.splitlines()) == (
        0,
        [
            f"5 audio files in {library}, 1 of them FAILED",
            "5 chunks inserted, 0 updated, 0 unchanged",
            "by category",
            "category          files  READY chunks  h:min:s",
            "──────────────────────────────────────────────",
            "voice                 4             3  0:00:01",
            "conference-calls      1             1  0:00:00",
        ],
    )
    assert [line.removeprefix("sampling-worker: ") for line in first.stderr.splitlines()] == [
        "'Conference Calls' is category conference-calls",
        f"1 file without a category left out, as {library}/top.wav",
        "1 other file left out: 1 .txt",
        "1 hidden file or folder left out",
        "1 link to what is here already left out",
        "1 file that cannot be read, FAILED:",
        f"  {library}/voice/bad.wav: Format not recognised",
    ]
    (library / "voice/b.flac").unlink()
    write_audio(library / "voice/e.wav", 2.0)
    again = run("catalog", "scan", "my audio", "--split", "val=0.5", "--dry-run")
    assert "1 chunk inserted, " in again.stdout
    assert "1 gone and FAILED (a dry run: nothing is written)" in again.stdout
    assert "files by split: " in again.stdout
    assert f"category voice: one file has 80.0% of it, 0:00:02 of 0:00:02: {library}/voice/e.wav" not in again.stderr
    document: dict[str, Any] = json.loads(run("catalog", "scan", "my audio", "--prune", "--json").stdout)
    assert {name: document[name] for name in ("files", "chunks", "inserted", "gone", "gone_paths", "others")} == {
        "files": 5,
        "chunks": 4,
        "inserted": 1,
        "gone": 1,
        "gone_paths": [f"{library}/voice/b.flac"],
        "others": {".txt": 1},
    }
    assert document["dominant"] == [
        {"category": "voice", "path": f"{library}/voice/e.wav", "duration_s": 2.0, "of_s": 2.5}
    ]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["nowhere"], "there is no folder 'nowhere'"),
        (["my audio", "--hop", "5"], "--hop is for --segment"),
        (["my audio", "--segment", "0"], "accepted"),
        (["my audio", "--by", "folder"], "--by is for --split"),
        (["my audio", "--split", "val"], "as val=0.05"),
        (["my audio", "--category", "My Calls"], "the nearest accepted name is my-calls"),
        (["my audio", "--category-from", "{speaker}/"], "{speaker} is not known"),
        (["my audio", "--watch", "--dry-run"], "exclude each other"),
        (["my audio/voice"], "none of 4 audio files, as 'a.wav', gets a category"),
    ],
)
def test_what_is_not_accepted_is_said(run: Run, library: Path, words: list[str], part: str) -> None:
    assert library.exists()
    ended = run("catalog", "scan", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert part in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_that_is_dropped_is_drawn_and_one_that_is_gone_is_not(
    run: Run, start_worker: StartWorker, settings: Settings, library: Path, tmp_path: Path
) -> None:
    start_worker()
    out = tmp_path / "watch.out"
    watch = start_command("catalog", "scan", str(library), "--watch", settings=settings, out=out)
    try:
        wait_until_sync(lambda: "by category" in out.read_text(), timeout_s=LIMIT_S, what="the folder was scanned")
        write_audio(library / "music/new.flac")

        def drawn() -> set[str]:
            """Draw without a repeat: all there is."""
            ended = run("sample", "--size", "1", "--probabilities", "--json")
            return set(json.loads(ended.stdout.splitlines()[0])["ready"]) if ended.returncode == 0 else set()

        wait_until_sync(lambda: "music" in drawn(), timeout_s=LIMIT_S, what="the new file can be drawn")
        (library / "music/new.flac").unlink()
        wait_until_sync(lambda: "music" not in drawn(), timeout_s=LIMIT_S, what="it cannot be drawn any more")
        wait_until_sync(lambda: "gone " in out.read_text(), timeout_s=LIMIT_S, what="that was said")
        lines = out.read_text().splitlines()
        assert f"READY   {library}/music/new.flac  music, 0.2 s" in lines
        assert f"gone    {library}/music/new.flac: FAILED" in lines
    finally:
        os.kill(watch.pid, signal.SIGINT)
        assert watch.wait(LIMIT_S) == 130
    assert "Traceback" not in out.read_text()


def removal(settings: Settings, folder: Path, answer: bytes) -> tuple[int, str]:
    """Remove a category on a terminal, and answer the question."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        ended = subprocess.run(
            [sys.executable, "-m", "worker", "catalog", "remove", "--category", "voice"],
            env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
            cwd=folder,
            stdin=theirs,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return ended.returncode, (ended.stdout + ended.stderr).decode()


def test_chunks_are_removed_when_somebody_is_sure(run: Run, settings: Settings, library: Path, tmp_path: Path) -> None:
    run("catalog", "scan", "my audio")
    assert removal(settings, tmp_path, b"n\n") == (
        1,
        "Remove 4 chunks: voice 4? [y/N] sampling-worker: nothing is removed\n",
    )
    unasked = run("catalog", "remove", "--category", "voice")
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "it would remove 4 chunks: voice 4; nobody can be asked here, and --yes" in unasked.stderr
    one = run("catalog", "remove", "--path", "my audio/voice/a.wav", "--path", "nowhere.wav", "77", "--yes")
    assert (one.returncode, one.stdout) == (0, "1 chunk removed: voice 1; files stay where they are\n")
    assert one.stderr == "sampling-worker: there is no chunk of id 77 and path 'nowhere.wav'\n"
    assert (library / "voice/a.wav").exists()
    by_pattern = run("catalog", "remove", "--pattern", "my audio/*/?.flac", "--yes", "--json")
    assert json.loads(by_pattern.stdout) == {"removed": 1, "categories": {"voice": 1}, "unknown": []}
    nothing = run("catalog", "remove", "--pattern", "*/none/*", "--yes")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "no chunk fits --pattern '*/none/*'" in nothing.stderr
    assert run("catalog", "remove", "--yes").returncode == 2
    assert removal(settings, tmp_path, b"y\n") == (
        0,
        "2 chunks removed: voice 2; files stay where they are\nRemove 2 chunks: voice 2? [y/N] ",
    )
