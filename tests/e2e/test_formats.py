"""`catalog import` of what others have written, and `catalog export`, as a user runs them."""

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run, Settings
from tests.support.servers import execute
from tests.support.waiting import wait_until_sync
from worker.cli.verbs import library
from worker.core.catalog.manifest import FORMATS
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

NEMO = '{"audio_filepath": "a.wav", "duration": 1.5, "offset": 2, "label": "Dog Bark"}\n'
READ_AS = "read as a NeMo manifest: audio_filepath as path, duration as duration_s, offset as start_s"
EXPORTED = "id", "category", "path", "start_s", "duration_s"


def piped(settings: Settings, cwd: Path, content: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb that reads or writes bytes."""
    return subprocess.run(
        [sys.executable, "-m", "worker", "catalog", *words],
        env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=cwd,
        input=content,
        capture_output=True,
        check=False,
    )


def rows(run: Run, **more: str) -> list[dict[str, Any]]:
    """Return what is READY, without ids."""
    lines = run("catalog", "export", "-", "--format", "jsonl", **more).stdout.splitlines()
    objects = [json.loads(line) for line in lines]
    return sorted(({**one, "id": 0} for one in objects), key=lambda one: (one["path"], one.get("start_s", 0)))


def test_formats_that_are_offered_are_those_that_are_read() -> None:
    assert library._FORMATS == FORMATS


def test_packed_manifest_of_others_comes_from_standard_input(run: Run, settings: Settings, tmp_path: Path) -> None:
    packed = gzip.compress(NEMO.encode())
    done = piped(settings, tmp_path, packed, "import", "-", "--map", "label=category", "--root", "/data")
    assert done.returncode == 0
    assert done.stderr.decode().splitlines() == [
        f"sampling-worker: standard input: {READ_AS}",
        "sampling-worker: standard input: categories made out of other names: 'Dog Bark' is dog-bark",
    ]
    assert rows(run) == [{"id": 0, "category": "dog-bark", "path": "/data/a.wav", "start_s": 2, "duration_s": 1.5}]


def test_folder_of_kaldi_and_durations_beside_a_table_are_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kaldi").mkdir()
    (tmp_path / "kaldi/wav.scp").write_text("r1 /data/r1.wav\nr2 /data/r2.wav\n")
    (tmp_path / "kaldi/segments").write_text("u1 r1 0.5 2\nu2 r2 1 -1\n")
    (tmp_path / "kaldi/utt2dur").write_text("u2 7.5\n")
    (tmp_path / "kaldi/utt2spk").write_text("u1 anna\nu2 Bob\n")
    (tmp_path / "train.tsv").write_text('client_id\tpath\tsentence\nx\t/c/a.mp3\tsay "hi\nx\t/c/b.mp3\thi\n')
    (tmp_path / "clip_durations.tsv").write_text("clip\tduration[ms]\n/c/b.mp3\t1500\n")
    done = json.loads(run("catalog", "import", "kaldi", "--category-column", "utt2spk", "--json").stdout)
    assert (done["format"], done["inserted"]) == ("kaldi", 2)
    done = json.loads(run("catalog", "import", "train.tsv", "--category", "voice", "--json").stdout)
    assert (done["format"], done["inserted"], done["without_duration"]) == ("commonvoice", 2, 1)
    assert rows(run) == [
        {"id": 0, "category": "voice", "path": "/c/a.mp3"},
        {"id": 0, "category": "voice", "path": "/c/b.mp3", "duration_s": 1.5},
        {"id": 0, "category": "anna", "path": "/data/r1.wav", "start_s": 0.5, "duration_s": 1.5},
        {"id": 0, "category": "bob", "path": "/data/r2.wav", "start_s": 1, "duration_s": 7.5},
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a.jsonl", "--map", "category=label"], "it is the other way around: --map label=category"),
        (
            ["a.jsonl", "--map", "label"],
            "--map 'label' is not accepted; accepted: --map COLUMN=NAME, where NAME is one of",
        ),
        (["a.jsonl", "--map", "a=path", "--map", "b=path"], "two columns are to be path; accepted is one"),
        (["a.jsonl", "--category", "Dog Bark"], "--category 'Dog Bark' is not 1 to 64 of a-z, 0-9, _ and -"),
        (["a.jsonl", "--label", "x=Y"], "--label 'Y' is not 1 to 64 of a-z, 0-9, _ and -"),
        (["a.jsonl", "--encoding", "base64"], "--encoding 'base64' is not known; accepted are such as UTF-16, Latin-1"),
        (["a.jsonl"], "a.jsonl, line 1: it looks like a NeMo manifest, which has no category: --category NAME,"),
        (["."], "is a folder without wav.scp; accepted are files, Kaldi folders; `catalog scan` reads audio"),
        ([".", "--format", "csv"], "is a folder; accepted for --format csv is a file"),
        (["a.jsonl", "--format", "parquet"], "a.jsonl is no Parquet file that can be read: "),
    ],
)
def test_what_cannot_be_imported_is_status_2_and_a_sentence(
    run: Run, tmp_path: Path, words: list[str], sentence: str
) -> None:
    (tmp_path / "a.jsonl").write_text(NEMO)
    ended = run("catalog", "import", *words)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert sentence in ended.stderr


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.jsonl", "out.jsonl.gz", "out.parquet"])
def test_what_is_exported_is_imported_as_it_was(run: Run, database_url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "in.csv").write_text(
        'path,category,status,duration_s,start_s,split\n"a, ""b"" é.wav",voice,,1.25,,\n'
        '" c ",music,,,0,train\nd.wav,music,FAILED,1,,\n'
    )
    assert run("catalog", "import", "in.csv").returncode == 0
    exported = run("catalog", "export", name)
    columns = "id, category, path, start_s, duration_s, split"
    assert (exported.returncode, exported.stderr) == (0, "")
    assert exported.stdout == f"2 READY chunks exported to {name}: {columns}\n"
    before = rows(run)
    assert json.loads(run("catalog", "import", name, "--json").stdout)["unchanged"] == 2
    execute(database_url, "truncate audio_chunks")
    assert json.loads(run("catalog", "import", name, "--json").stdout)["inserted"] == 2
    assert rows(run) == before
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", name, "run"}


def test_parquet_goes_through_a_pipe(run: Run, settings: Settings, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "in.csv").write_text("path,category\na,voice\nb,music\n")
    run("catalog", "import", "in.csv")
    exported = piped(settings, tmp_path, b"", "export", "-", "--format", "parquet", "--category", "voice")
    assert parquet.read_table(pa.BufferReader(exported.stdout)).column_names == list(EXPORTED)
    again = piped(settings, tmp_path, exported.stdout, "import", "-", "--json")
    assert (json.loads(again.stdout)["rows"], json.loads(again.stdout)["unchanged"]) == (1, 1)


def test_export_says_what_is_odd_and_is_refused_where_it_cannot_be_written(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    empty = run("catalog", "export", "a.csv")
    assert empty.stdout == "0 READY chunks exported to a.csv: id, category, path, start_s, duration_s\n"
    assert empty.stderr == "sampling-worker: no READY chunk was found: the export is empty\n"
    assert (tmp_path / "a.csv").read_text() == "id,category,path,start_s,duration_s\n"
    execute(database_url, "insert into audio_chunks (category, status) values ('voice', 'READY')")
    assert "1 chunk has no path, or a path or category that `catalog import` refuses" in run(
        "catalog", "export", "a.csv"
    ).stderr  # fmt: skip
    query = run("catalog", "export", "q.csv", WORKER_CHUNKS_QUERY="select 7 as id, 'voice' as category")
    assert "WORKER_CHUNKS_QUERY is set: exported is what it selects" in query.stderr
    assert "there is no column path, so that `catalog import` cannot read the export" in query.stderr
    assert (tmp_path / "q.csv").read_text() == "id,category\n7,voice\n"
    for name, sentence in {
        "a.txt": "'a.txt' does not say which format is wanted; accepted are names that end with .csv, .jsonl or",
        "a.parquet.gz": "'a.parquet.gz': Parquet is compressed in itself; leave .gz out",
        "no/a.csv": "no/a.csv cannot be written: No such file or directory",
    }.items():
        ended = run("catalog", "export", name)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1 if name[0] == "n" else 2, 1)
        assert sentence in ended.stderr


@pytest.mark.fault("an export is ended by a signal: the file that was there stays")
def test_export_that_a_signal_ends_leaves_what_was_there(settings: Settings, database_url: str, tmp_path: Path) -> None:
    execute(
        database_url,
        "insert into audio_chunks (path, category, status) select i || '.wav', 'voice', 'READY'"
        " from generate_series(1, 200000) as i",
    )
    (tmp_path / "a.csv.gz").write_bytes(b"old")
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "catalog", "export", "a.csv.gz"],
            env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
            cwd=tmp_path,
        )
        wait_until_sync(lambda: list(tmp_path.glob(".*.part")), timeout_s=60, what="the export has begun")
        process.send_signal(number)
        assert process.wait(60) == status
        assert (tmp_path / "a.csv.gz").read_bytes() == b"old"
        assert list(tmp_path.glob(".*")) == []
