"""The live end of a log: what is added, rotated, cut, piped; a whole picture at every moment, and a last one."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.test_report import LOG, one_sentence, write
from tests.report.test_report_parts import worker_started, worker_stats, written
from tests.support.waiting import wait_until_sync
from worker.cli.commands import execute
from worker.report.reading import LogReader
from worker.report.tail import FileTail, InputTail
from worker.report.unwrap import Unwrapper
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis
TIMEOUT_S = 120.0


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def append(name: str, *lines: bytes) -> None:
    with Path(name).open("ab") as file:
        file.write(b"".join(lines))


class Followed:
    """A `report --follow` in a process of its own; each picture has a line of JSON."""

    def __init__(self, *words: str) -> None:
        self._out = Path("documents.jsonl")
        self._err = Path("complaints.txt")
        command = [sys.executable, "-m", "worker", "report", "--follow", "--every", "0.1", "--json", *words]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2])}),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )

    @property
    def requests(self) -> list[int]:
        return [json.loads(line)["requests"] for line in self._out.read_text().splitlines() if line.endswith("}")]

    @property
    def complaints(self) -> str:
        return self._err.read_text()

    def wait_requests(self, wanted: int) -> None:
        wait_until_sync(
            lambda: self.requests[-1:] == [wanted] or self.process.poll() is not None,
            timeout_s=TIMEOUT_S,
            what=f"{wanted} requests are drawn: {self.requests} {self.complaints}",
        )
        assert self.requests[-1] == wanted, self.complaints

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def test_a_log_is_drawn_as_it_grows_is_rotated_and_cut() -> None:
    followed = Followed("w.log", "--output", "mix.html")
    try:
        wait_until_sync(lambda: followed.complaints, timeout_s=TIMEOUT_S, what="the missing file is told")
        assert "w.log does not exist yet; it is waited for" in followed.complaints
        append("w.log", *LOG)
        followed.wait_requests(150)
        assert 'http-equiv="refresh"' in Path("mix.html").read_text()
        line = written(30, worker_stats(7, 70))
        append("w.log", line[:40])
        append("w.log", line[40:])
        followed.wait_requests(157)
        append("w.log", written(31, worker_stats(1, 10)))
        Path("w.log").rename("w.log.1")
        append("w.log.1", written(32, worker_stats(2, 20)))
        append("w.log", written(33, worker_stats(4, 40)))
        followed.wait_requests(164)
        os.truncate("w.log", 0)
        append("w.log", written(40, worker_stats(8, 80)))
        followed.wait_requests(172)
        append("w.log", written(41, worker_stats(16, 160)).rstrip())  # a last line without an end
        assert followed.end(signal.SIGINT) == 0
    finally:
        followed.kill()
    assert followed.requests[-1] == 188
    assert 'http-equiv="refresh"' not in Path("mix.html").read_text()
    assert sorted(path.name for path in Path().iterdir() if path.name.startswith(".")) == []


def test_standard_input_is_followed_to_its_end_beside_a_file() -> None:
    write("1.log", [written(5, worker_started("w-2"), "w-2"), written(10, worker_stats(1, 10), "w-2")])
    followed = Followed("-", "1.log", "--output", "mix.svg")
    try:
        assert followed.process.stdin is not None
        followed.process.stdin.write(b"".join(LOG))
        followed.process.stdin.flush()
        followed.wait_requests(151)
        followed.process.stdin.write(written(30, worker_stats(7, 70)).rstrip())
        followed.process.stdin.close()
        assert followed.end(signal.SIGTERM) == 0
    finally:
        followed.kill()
    assert followed.requests[-1] == 158
    assert followed.complaints == ""


def test_a_pipe_alone_ends_with_what_writes_it() -> None:
    followed = Followed("-")
    try:
        followed.process.communicate(b"noise\n" + b"".join(LOG), TIMEOUT_S)
    finally:
        followed.kill()
    assert (followed.process.returncode, followed.requests[-1]) == (0, 150)


def read_all(tail: FileTail) -> list[str]:
    return list(tail.read())


def test_a_file_that_grew_again_beyond_where_it_was_cut_is_read_from_its_start() -> None:
    write("w.log", [b"one\n", b"two\n"])
    tail = FileTail(Path("w.log"))
    assert read_all(tail) == ["one", "two"]
    write("w.log", [b"three\n", b"four\n", b"five"])
    assert read_all(tail) == ["three", "four"]
    assert list(tail.rest()) == ["five"]
    tail.close()


def test_what_is_compressed_is_read_once() -> None:
    Path("w.log.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    tail = FileTail(Path("w.log.gz"))
    assert [line.strip() for line in read_all(tail)] == ["one", "two"]
    assert (read_all(tail), tail.is_missing) == ([], False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_parts_of_characters_and_line_ends_are_joined(encoding: str) -> None:
    content = "zwölf\r\ndreißig\r\n".encode(encoding)
    tail, lines = FileTail(Path("w.log")), list[str]()
    for begin in range(0, len(content), 7):
        append("w.log", content[begin : begin + 7])
        lines += read_all(tail)
    assert [*lines, *tail.rest()] == ["zwölf", "dreißig"]
    tail.close()


def test_what_is_older_than_the_end_that_is_drawn_is_forgotten_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [written(100 * i, worker_stats(1, 10)) for i in range(50)]
    assert execute(["report", write("w.log", lines), "--last", "15m", "--output", "mix.svg"]) == 0
    told = capsys.readouterr().out
    assert "50 lines, 50 used; 40 older than the end that is drawn\n" in told
    assert "10 requests" in told
    reader = LogReader(with_checks=True)
    for line in lines:
        reader.add("w.log", [line], Unwrapper())
        reader.forget(900)
        assert len(reader.records.intervals) == len(reader._seen) <= 10


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--every", "3"], "--every without --follow is not accepted; accepted: both"),
        (["--last", "soon"], "'soon' is no time span; accepted:"),
        (["--follow", "--output", "mix.gif"], "accepted: a file that ends in .png, .svg or .html"),
        (["--follow", "--every", "0"], "accepted:"),
    ],
)
def test_options_that_say_nothing_are_refused(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", write("w.log", LOG), *words]) == 2
    assert why in one_sentence(capsys)


def test_a_folder_cannot_be_followed(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", "--follow", "."]) == 2
    assert "cannot read .: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("_", range(20))
def test_what_is_in_the_pipe_at_the_end_is_read(monkeypatch: pytest.MonkeyPatch, _: int) -> None:
    """Nobody waits for the thread that reads: the end may come before it had its turn."""
    source, sink = os.pipe()
    with os.fdopen(source) as given, os.fdopen(sink, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", given)
        tail = InputTail()
        pipe.write(b"one\ntwo\nthree")
        assert [*tail.read(), *tail.rest()] == ["one", "two", "three"]
        pipe.close()
        wait_until_sync(
            lambda: [*tail.read()] == [] and tail.is_ended, timeout_s=TIMEOUT_S, what="its thread has ended"
        )
