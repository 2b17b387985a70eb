"""The verb `report`: pictures that are pictures, figures that add up, and endings that say what to do."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.report.test_report_parts import (
    A,
    B,
    category_stats,
    weights_changed,
    worker_ready,
    worker_started,
    worker_stats,
    worker_stopped,
    written,
)
from tests.support.command import RunningWorker, run_command
from tests.support.log_lines import captured_log
from tests.support.waiting import wait_until_sync
from worker.cli.commands import execute
from worker.core.events import PostgresLost, RequestDeadLettered
from worker.logs.emit import emit
from worker.settings.environment import environment_with

LOG = [
    written(0, worker_started()),
    written(0.1, weights_changed(A, version="a")),
    written(0.2, worker_ready("a")),
    written(10, worker_stats(100, 1000)),
    written(10, category_stats("voice", 690, 700.0, -0.69, weight=0.7, version="a")),
    written(10, category_stats("music", 310, 300.0, 0.69, weight=0.3, version="a")),
    written(12, PostgresLost(message="gone")),
    written(13, RequestDeadLettered(request_id="r", entry_id="1-0", error="internal", deliveries=5, suppressed=0)),
    written(14, weights_changed(B, version="b", before=A)),
    written(20, worker_stats(50, 500, p50=1.0, p99=400.0)),
    written(20, category_stats("voice", 200, 200.0, 0.0, weight=0.4, version="b")),
    written(20, category_stats("music", 300, 300.0, 0.0, weight=0.6, version="b")),
    written(21, worker_stopped()),
]
WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from worker.cli.commands import execute
sys.exit(execute(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, lines: list[bytes]) -> str:
    Path(name).write_bytes(b"".join(lines))
    return name


def document_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert execute(["report", *words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def texts(picture: str) -> str:
    """Collect what is written in an SVG picture."""
    root = ET.fromstring(Path(picture).read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return "\n".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))


def check_png(picture: str) -> tuple[int, int]:
    """Check the checksums of a PNG, and return its width and height."""
    content = Path(picture).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, pixels, kinds = 8, b"", list[bytes]()
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunk = content[place + 4 : place + 8 + length]
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length]) == (zlib.crc32(chunk),)
        kinds.append(chunk[:4])
        pixels += chunk[4:] if kinds[-1] == b"IDAT" else b""
        place += 12 + length
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    assert len(set(zlib.decompress(pixels))) > 50
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("sampling-worker: ")
    assert told.err.count("\n") == 1
    return told.err


def test_a_log_becomes_a_picture_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", LOG)]) == 0
    width, height = check_png("report.png")
    assert (width, height) > (1000, 700)
    told = capsys.readouterr().out
    assert "2026-11-24 12:00:00 to 12:00:21 UTC, 1 worker\n" in told
    assert "150 requests, 2 of them errors, 1,500 chunks, 1 weights change, biggest |z| " in told
    assert "global weights" in told
    assert "request.dead_lettered" in told
    assert told.endswith("drawn: report.png\n")


def test_a_document_holds_sums_of_all_workers(capsys: pytest.CaptureFixture[str]) -> None:
    other = [
        written(10, worker_stats(7, 70), "w-2"),
        written(10, category_stats("voice", 40, 35.0, 1.0, dataset="d1", weight=0.5), "w-2"),
        written(10, category_stats("music", 30, 35.0, -1.0, dataset="d1", weight=0.5), "w-2"),
        written(10, category_stats("voice", 10, 7.0, 2.0, version="a", weight=0.7), "w-2"),
    ]
    document = document_of(
        capsys, write("1.log", [b"noise\n", *LOG]), write("2.log", [*other, LOG[3]]), "--output", "a.PNG"
    )
    check_png("a.PNG")
    lines = [document[name] for name in ("lines", "lines_left_out", "lines_repeated")]
    assert lines == [len(LOG) + 6, 1, 1]
    assert [document[name] for name in ("requests", "errors", "chunks")] == [157, 3, 1570]
    assert (document["picture"], document["workers"]) == ("a.PNG", ["w-1", "w-2"])
    assert (document["from"], document["to"]) == ("2026-11-24T12:00:00.000Z", "2026-11-24T12:00:21.000Z")
    (change,) = document["weights_changes"]
    assert (change["at"], change["dataset"], change["version"]) == ("2026-11-24T12:00:14.000Z", None, "b")
    assert (change["before"], change["after"], change["who"], change["spread_ms"]) == (A, B, None, None)
    assert [(run["worker"], run["ending"]) for run in document["runs"]] == [("w-1", "stopped"), ("w-2", "running")]
    assert document["events"]["worker.started"] == document["events"]["postgres.lost"] == 1
    rows = {(row["dataset"], row["category"]): row for row in document["categories"]}
    assert list(rows) == [(None, "voice"), (None, "music"), ("d1", "voice"), ("d1", "music")]
    voice = rows[None, "voice"]
    assert (voice["count"], voice["expected"]) == (900, 907)
    assert (voice["share"], voice["expected_share"]) == (900 / 1510, 907 / 1510)
    assert rows["d1", "voice"]["z"] == 1.0


def test_an_svg_picture_names_what_it_shows() -> None:
    assert execute(["report", write("w.log", LOG), "--output", "mix.svg"]) == 0
    told = texts("mix.svg")
    assert "text{white-space:pre}" in Path("mix.svg").read_text()
    for name in (
        "voice",
        "music",
        "global weights",
        "requests/s",
        "latency, ms",
        "postgres lost",
        "request dead lettered",
    ):
        assert name in told


def test_the_same_lines_make_the_same_picture() -> None:
    for name in ("a.svg", "b.svg"):
        assert execute(["report", write("w.log", LOG), "--output", name]) == 0
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_what_does_not_fit_into_a_picture_is_told_in_it() -> None:
    lines = [written(10, worker_stats(0, 0, p50=None, p99=None))]
    for dataset in (None, "d1", "d2", "d3", "d4", "d5"):
        for i in range(13):
            name = f"a-category-with-the-number-{i}" if i == 0 else f"c{i}"
            lines.append(
                written(10 + i / 1000, category_stats(name, 1000 - i, 500.0, 9.0, weight=1 / 13, dataset=dataset))
            )
    assert execute(["report", write("w.log", lines), "--output", "mix.svg"]) == 0
    told = texts("mix.svg")
    assert "not drawn: 2 more datasets" in told
    assert told.count("4 others") == 4
    assert "a-category-with…" in told
    assert "dataset d3" in told
    assert "dataset d4" not in told


def test_names_are_shown_as_they_are() -> None:
    lines = [written(10, worker_stats()), written(10, category_stats("$x^2$", 5, 5.0, None))]
    assert execute(["report", write("w.log", lines), "--output", "mix.svg"]) == 0
    assert "$x^2$" in texts("mix.svg")


def test_a_log_of_events_alone_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with captured_log(Path()):
        emit(worker_started())
    document = document_of(capsys, "log", "--output", "mix.svg")
    assert (document["requests"], document["categories"], document["events"]) == (0, [], {"worker.started": 1})
    assert "worker started" in texts("mix.svg")


def test_a_log_of_counts_alone_is_drawn() -> None:
    lines = [written(10, worker_stats()), written(10, category_stats("voice", 5, 5.0, None))]
    assert execute(["report", write("w.log", lines), "--output", "mix.svg"]) == 0
    assert "events" not in texts("mix.svg")


def test_lines_may_come_by_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(LOG))))
    assert document_of(capsys, "-")["requests"] == 150


@pytest.mark.parametrize(("name", "why"), [("nowhere.log", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(name: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", LOG), name]) == 2
    assert f"cannot read {name}: {why}" in one_sentence(capsys)


def test_another_kind_of_picture_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", LOG), "--output", "mix.gif"]) == 2
    assert ".png, .svg or .html" in one_sentence(capsys)


def test_a_place_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", LOG), "--output", "no/such/folder.png"]) == 1
    assert "cannot write no/such/folder.png: No such file" in one_sentence(capsys)


def test_lines_of_which_none_can_be_used_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", [b"one\n", b"two\n"])]) == 2
    assert "none of 2 lines can be used; accepted: JSON lines" in one_sentence(capsys)
    assert not Path("report.png").exists()


def test_without_matplotlib_it_says_what_to_install() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB, "report", write("w.log", LOG)],
        env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2])}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "sampling-worker: there is no matplotlib to draw with: pip install 'sampling-worker[report]'\n"
    )


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_what_a_notebook_draws_in_does_not_matter(backend: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "report", write("w.log", LOG), "--output", "mix.svg"],
        env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2]), "MPLBACKEND": backend}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert Path("mix.svg").exists()


@pytest.mark.any_redis
async def test_a_report_of_real_workers_agrees_with_the_exact_counts(
    redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "WORKER_PREFIX": prefix,
        "WORKER_STATS_INTERVAL_S": "0.2",
    }

    def run(*words: str) -> str:
        ended = run_command(*words, settings=settings, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    manifest = [f"{category}/{n}.flac,{category}" for category in ("voice", "music") for n in range(50)]
    (tmp_path / "library.csv").write_text("\n".join(["path,category", *manifest]))
    run("catalog", "import", "library.csv")
    workers = [RunningWorker(settings, tmp_path, name).start().wait_ready() for name in ("w-1", "w-2")]
    try:
        for weights, dataset in (("voice=0.7", "music=0.3"), ()), (("voice=0.2", "music=0.8"), ("--dataset", "d1")):
            run("weights", "set", *weights, *dataset)
            run("sample", "--count", "300", "--size", "20", *dataset)
        wait_until_sync(
            lambda: sum(line["requests"] for one in workers for line in one.events("worker.stats")) == 600,
            timeout_s=60,
            what="the lines of all requests",
        )
    finally:
        for worker in workers:
            worker.stop()
    exact = json.loads(run("stats", "--json"))
    told = json.loads(run("report", "w-1.log", "w-2.log", "--output", "mix.svg", "--json"))
    assert (told["requests"], told["chunks"], told["errors"]) == (600, 12_000, 0)
    assert told["lines_left_out"] == 0
    assert [change["dataset"] for change in told["weights_changes"]] == [None]
    counted = {(row["dataset"], row["category"]): row for row in exact["categories"]}
    drawn = {(row["dataset"], row["category"]): row for row in told["categories"] if row["count"]}
    assert drawn.keys() == counted.keys()
    for key, row in drawn.items():
        assert row["count"] == counted[key]["count"]
        assert row["expected"] == pytest.approx(counted[key]["expected"], abs=0.1)
        assert row["z"] == pytest.approx(counted[key]["z"], rel=0.05, abs=0.02)
    assert "voice" in texts(str(tmp_path / "mix.svg"))
