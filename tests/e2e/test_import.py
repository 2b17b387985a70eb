"""`catalog import` as a user runs it: what it reads, prints and refuses, and how it ends."""

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run, Settings
from tests.support.servers import execute
from tests.support.waiting import wait_until_sync
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

GOOD = "path,category,status,duration_s\na.flac,voice,READY,2.5\nb.flac,music,PENDING,\n"
LARGE_ROWS = 300_000
LARGE_MB = 150


def counts(run: Run) -> dict[tuple[str, str], int]:
    shown: list[dict[str, Any]] = json.loads(run("catalog", "show", "--json").stdout)
    return {(row["category"], row["status"]): row["count"] for row in shown}


def import_process(
    *words: str, settings: Settings, cwd: Path, stdin: int | None = subprocess.DEVNULL, **more: Any
) -> subprocess.Popen[bytes]:
    """Start an import whose input and output a test has in its hands."""
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "catalog", "import", *words],
        env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=cwd,
        stdin=stdin,
        **more,
    )


def test_what_became_of_the_rows_is_said(run: Run, tmp_path: Path) -> None:
    manifest = tmp_path / "library.csv"
    manifest.write_text(GOOD)
    first = run("catalog", "import", "library.csv")
    assert (first.returncode, first.stdout.splitlines()[0]) == (
        0,
        "2 chunks inserted, 0 updated, 0 unchanged (rows read: 2)",
    )
    assert "music" in first.stdout
    assert first.stderr == (
        "sampling-worker: library.csv: 1 row has no duration_s, or 0: "
        "with WORKER_WEIGHT_UNIT=seconds such a chunk is not drawn\n"
    )
    manifest.write_text(GOOD + "b.flac,music,PENDING,\nc.flac,music,READY,1\n")
    again = json.loads(run("catalog", "import", "library.csv", "--json").stdout)
    assert again == {
        "inserted": 1,
        "updated": 0,
        "unchanged": 2,
        "rows": 4,
        "repeated": 1,
        "quarantined": 0,
        "without_duration": 1,
        "format": None,
        "ignored_columns": [],
        "categories": {
            "music": {"rows": 2, "inserted": 1, "updated": 0, "without_duration": 1},
            "voice": {"rows": 1, "inserted": 0, "updated": 0, "without_duration": 0},
        },
    }


def test_all_that_is_wrong_is_said_and_nothing_is_imported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("path,category,split\na,voice,x\nb,Voice,x\nc\na,music,x\nd,conference calls,x\n")
    ended = run("catalog", "import", "bad.csv")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert [
        line.removeprefix("sampling-worker: bad.csv").partition(" is ")[0] for line in ended.stderr.splitlines()
    ] == [
        ", line 3: category 'Voice'",
        ", line 4: 1 field where the header has 3",
        ", line 5: path 'a'",
        ", line 6: category 'conference calls'",
        ": 4 lines are not accepted, nothing",
    ]
    assert counts(run) == {}


def test_what_is_decided_for_the_user_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,category,text,duration_s\n a,voice,1,1\npath,category,text,duration_s\n")
    ended = run("catalog", "import", "a.csv")
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "sampling-worker: a.csv: ignored column: 'text'; read: path, category, status, duration_s, start_s, split",
        "sampling-worker: a.csv: 1 line that repeated the header left out",
        "sampling-worker: a.csv: blanks around 1 path left out; JSON Lines keeps them",
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_is_read(run: Run, settings: Settings, tmp_path: Path, pack: Any) -> None:
    (tmp_path / "in").write_bytes(pack(GOOD.encode()))
    with (tmp_path / "in").open("rb") as manifest:
        process = import_process("-", settings=settings, cwd=tmp_path, stdin=manifest.fileno())
        assert process.wait(60) == 0
    assert counts(run) == {("voice", "READY"): 1, ("music", "PENDING"): 1}


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [("<&-", "standard input is closed"), ("< /dev/null", "standard input has no rows")],
)
def test_standard_input_without_a_manifest_is_refused(
    settings: Settings, tmp_path: Path, stdin: str, sentence: str
) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m worker catalog import - {stdin}', sys.executable],
        env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_damaged_file_imports_nothing(run: Run, tmp_path: Path) -> None:
    rows = "".join(f"{number}.flac,voice\n" for number in range(50_000))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(f"path,category\n{rows}".encode())[:-100])
    ended = run("catalog", "import", "a.csv.gz")
    assert (ended.returncode, ended.stderr) == (2, "sampling-worker: a.csv.gz is damaged: its end is missing\n")
    assert counts(run) == {}


def test_row_that_the_database_refuses_is_status_2_and_named(run: Run, database_url: str, tmp_path: Path) -> None:
    execute(database_url, "alter table audio_chunks add check (path not like '%.txt')")
    (tmp_path / "a.csv").write_text("path,category\na.flac,voice\n\nnotes.txt,voice\nb.flac,voice\n")
    ended = run("catalog", "import", "a.csv")
    assert ended.returncode == 2
    assert ended.stderr.startswith("sampling-worker: a.csv, line 4: PostgreSQL refuses it: ")
    assert len(ended.stderr.splitlines()) == 1
    assert counts(run) == {}


def test_file_that_is_none_is_status_2(run: Run) -> None:
    for name in ("missing.csv", "."):
        ended = run("catalog", "import", name)
        assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)


def test_two_imports_in_other_orders_both_end(run: Run, settings: Settings, tmp_path: Path) -> None:
    paths = [f"{number:06}.flac" for number in range(30_000)]
    for name, order, category in (("a.csv", paths, "voice"), ("b.csv", paths[::-1], "music")):
        (tmp_path / name).write_text("path,category\n" + "".join(f"{path},{category}\n" for path in order))
    for _ in range(2):
        both = [import_process(name, settings=settings, cwd=tmp_path) for name in ("a.csv", "b.csv")]
        assert [process.wait(120) for process in both] == [0, 0]
    assert sum(counts(run).values()) == 30_000


def test_terminal_sees_how_far_it_is(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,category\n" + "".join(f"{number},voice\n" for number in range(20_000)))
    ours, theirs = pty.openpty()
    with import_process("a.csv", settings=settings, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = bytearray()
        try:
            while block := os.read(ours, 4096):
                seen += block
        except OSError:  # what a terminal says once nobody has its other end
            os.close(ours)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert process.returncode == 0
    assert b"rows read" in seen
    assert printed.startswith(b"20,000 chunks inserted, 0 updated, 0 unchanged (rows read: 20,000)\n")


def test_large_manifest_takes_no_memory_of_its_size(settings: Settings, tmp_path: Path) -> None:
    manifest = tmp_path / "large.csv"
    with manifest.open("w") as out:
        out.write("path,category,status,duration_s\n")
        out.writelines(f"a/folder/of/audio/{number:08}.flac,voice,READY,10.0\n" for number in range(LARGE_ROWS))
    process = import_process("large.csv", settings=settings, cwd=tmp_path)
    peak_kb = 0

    def has_ended() -> bool:
        nonlocal peak_kb
        if process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak_kb = max(peak_kb, int(status.partition("VmHWM:")[2].split()[0])) if "VmHWM:" in status else peak_kb
        return process.poll() is not None

    wait_until_sync(has_ended, timeout_s=300, what="the import has ended")
    assert process.returncode == 0
    assert peak_kb / 1024 < LARGE_MB
