"""Log lines as others write them: what is around them, how they are packed, and what is said of those that are left."""

import base64
import bz2
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.test_report import LOG, document_of, one_sentence, write
from tests.report.test_report_parts import category_stats, worker_stats, written
from worker.cli.commands import execute
from worker.report.files import read_text_lines
from worker.report.reading import read_lines
from worker.report.records import Records

PLAIN = [line.decode().strip() for line in LOG]
STAMP = "2026-11-24T12:00:00.123456789Z"
MS = 1_795_521_600_000


def each(wrap: Callable[[str], str]) -> str:
    return "".join(wrap(line) + "\n" for line in PLAIN)


def objects(wrap: Callable[[str], object]) -> list[object]:
    return [wrap(line) for line in PLAIN]


def without_time(line: str) -> dict[str, object]:
    """Remove what collectors take out of an object and write themselves."""
    return {name: value for name, value in json.loads(line).items() if name not in {"timestamp", "level"}}


def cut(line: str) -> tuple[str, str, str]:
    third = len(line) // 3
    return line[:third], line[third : 2 * third], line[2 * third :]


def docker_pieces(line: str) -> str:
    *first, last = cut(line)
    logs = [*first, f"{last}\n"]
    return "\n".join(json.dumps({"log": log, "stream": "stdout", "time": STAMP}) for log in logs)


def cri_pieces(line: str) -> str:
    first, second, last = cut(line)
    return f"{STAMP} stdout P {first}\n{STAMP} stdout P {second}\n{STAMP} stdout F {last}"


SHAPES: dict[str, str] = {
    "as it is": each(str),
    "docker compose logs": each(lambda line: f"worker-1  | {line}"),
    "docker compose logs with colours": each(lambda line: f"\x1b[36mworker-1  |\x1b[0m {line}"),
    "docker logs -t": each(lambda line: f"{STAMP} {line}"),
    "docker -json.log": each(lambda line: json.dumps({"log": f"{line}\n", "stream": "stdout", "time": STAMP})),
    "docker -json.log in pieces": each(docker_pieces),
    "journalctl -o short": each(lambda line: f"Nov 24 12:00:00 host sampling-worker[7]: {line}"),
    "journalctl -o short-iso": each(lambda line: f"2026-11-24T12:00:00+0000 host sampling-worker[7]: {line}"),
    "journalctl -o json": each(lambda line: json.dumps({"MESSAGE": line, "_PID": "7", "PRIORITY": "6"})),
    "journalctl -o json with bytes": each(lambda line: json.dumps({"MESSAGE": list(f"\x1b[0m{line}".encode())})),
    "journalctl -o json-pretty": each(lambda line: json.dumps({"_PID": "7", "MESSAGE": line}, indent="\t")),
    "journalctl -o json-seq": each(lambda line: "\x1e" + json.dumps({"MESSAGE": line})),
    "journalctl -o json-sse": each(lambda line: f"data: {json.dumps({'MESSAGE': line})}\n"),
    "journalctl -o verbose": each(lambda line: f"Tue 2026-11-24 12:00:00 UTC [s=1]\n    MESSAGE={line}\n    _PID=7"),
    "kubectl --prefix": each(lambda line: f"[pod/worker-5d/worker] {line}"),
    "kubectl --timestamps --prefix": each(lambda line: f"[pod/worker-5d/worker] {STAMP} {line}"),
    "cri": each(lambda line: f"{STAMP} stdout F {line}"),
    "cri in pieces": each(cri_pieces),
    "cloudwatch export": each(lambda line: f"{STAMP} {line}"),
    "cloudwatch get-log-events": json.dumps(
        {"events": objects(lambda line: {"timestamp": MS, "message": line, "ingestionTime": MS})}, indent=4
    ),
    "cloudwatch on a line": json.dumps({"events": objects(lambda line: {"timestamp": MS, "message": line})}),
    "cloudwatch insights csv": "@timestamp,@message\n"
    + each(lambda line: '2026-11-24,"' + line.replace('"', '""') + '"'),
    "loki": each(lambda line: json.dumps({"labels": {"app": "worker"}, "line": line, "timestamp": STAMP})),
    "logcli": each(lambda line: f'{STAMP} {{app="worker"}} {line}'),
    "loki api": json.dumps(
        {"data": {"result": [{"stream": {"app": "w"}, "values": objects(lambda line: [f"{MS}000000", line])}]}}
    ),
    "gcp textPayload": json.dumps(objects(lambda line: {"textPayload": line, "timestamp": STAMP}), indent=2),
    "gcp jsonPayload": json.dumps(
        objects(lambda line: {"jsonPayload": without_time(line), "timestamp": json.loads(line)["timestamp"]}), indent=2
    ),
    "gcp jsonPayload a line": each(
        lambda line: json.dumps({"timestamp": json.loads(line)["timestamp"], "jsonPayload": without_time(line)})
    ),
    "fluent bit": each(lambda line: json.dumps({"date": 1795521600.5, "log": line, "kubernetes": {"pod": "w"}})),
    "fluent bit, merged": each(lambda line: json.dumps({"date": 1795521600.5, **json.loads(line), "host": "h"})),
    "vector": each(lambda line: json.dumps({"message": line, "source_type": "docker_logs", "timestamp": STAMP})),
    "msg": each(lambda line: json.dumps({"level": "info", "msg": line, "ts": 1795521600.1})),
    "filebeat": each(
        lambda line: json.dumps({"@timestamp": json.loads(line)["timestamp"], "json": without_time(line)})
    ),
    "elasticsearch": json.dumps({"hits": {"hits": objects(lambda line: {"_source": json.loads(line)})}}),
    "datadog": json.dumps(
        {
            "data": objects(
                lambda line: {
                    "attributes": {"timestamp": json.loads(line)["timestamp"], "attributes": without_time(line)}
                }
            )
        }
    ),
    "pretty": each(lambda line: json.dumps(json.loads(line), indent=2)),
    "pretty in a list": json.dumps(objects(json.loads), indent=4),
    "a list over lines": "[\n" + ",\n".join(PLAIN) + "\n]\n",
    "a list on a line": json.dumps(objects(json.loads)),
    "compact": each(lambda line: json.dumps(json.loads(line), separators=(",", ":"))),
    "other ends of lines": each(lambda line: f"{line}\r"),
}


def facts(records: Records) -> tuple[object, ...]:
    """Return what was read, whatever lines it stood on."""
    return records.intervals, records.draws, records.new_weights, records.occurrences


EXPECTED = facts(read_lines([("w.log", LOG)]))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("shape", SHAPES)
def test_lines_are_found_in_what_others_write_around_them(shape: str, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(SHAPES[shape])
    records = read_lines([("w.log", read_text_lines(file))])
    assert facts(records) == EXPECTED
    assert (records.repeated, records.console) == (0, 0)
    assert 0 < records.used <= records.lines


@pytest.mark.parametrize(
    "pack",
    [
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text[:500].encode()) + gzip.compress(text[500:].encode()),
        lambda text: bz2.compress(text.encode()),
        lambda text: lzma.compress(text.encode(), preset=0),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
        lambda text: gzip.compress(text.encode("utf-16")),
        lambda text: text.replace("\n", "\r").encode(),
    ],
)
def test_packed_and_encoded_files_are_read(pack: Callable[[str], bytes], tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(pack(each(str)))
    records = read_lines([("w.log", read_text_lines(file))])
    assert facts(records) == EXPECTED
    assert (records.lines, records.used) == (len(LOG), len(LOG))


def test_what_is_packed_may_come_by_stdin_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = io.BufferedReader(io.BytesIO(gzip.compress(each(str).encode())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(packed))
    assert execute(["report", "-", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 150


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(each(str).encode())[:-9], "cut short or damaged"),
        (lzma.compress(each(str).encode(), preset=0)[:200], "cut short or damaged"),
        (b"\x28\xb5\x2f\xfd1234", "accepted: `zstd -dc w.log | sampling-worker report -`"),
    ],
)
def test_a_file_that_cannot_be_unpacked_is_told(content: bytes, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("w.log").write_bytes(content)
    assert execute(["report", "w.log"]) == 2
    assert why in one_sentence(capsys)


def test_lines_for_people_are_known_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    console = b"2026-11-29T06:32:34.189665Z [info     ] category.stats        consumer=vm-3 dataset=None\n"
    assert execute(["report", write("w.log", [console] * 3)]) == 2
    assert one_sentence(capsys).endswith(
        "none of 3 lines can be used: they are in the format for people; accepted: lines of a worker that runs with "
        "LOG_FORMAT=json\n"
    )
    assert execute(["report", write("w.log", [*LOG, console])]) == 0
    said = f"{len(LOG) + 1} lines, {len(LOG)} used; 1 left out: not log lines; 1 of these"
    assert capsys.readouterr().out.startswith(said)


def test_other_objects_are_left_out_and_hold_up_nothing() -> None:
    others = [b"{\n", b'  "a": [\n', b"    {\n", b'      "event": 7\n', b"    }\n", b"  ]\n", b"}\n", b"}}]\n", b"{\n"]
    records = read_lines([("w.log", [*others, *LOG, *others])])
    assert facts(records) == EXPECTED
    assert (records.lines, records.used) == (len(LOG) + 2 * len(others), len(LOG))


def test_what_is_spread_over_lines_is_bounded() -> None:
    records = read_lines([("w.log", [*(b"{\n" for _ in range(100_000)), *LOG])])
    assert records.used == len(LOG)


def test_garbage_of_any_kind_is_no_line() -> None:
    garbage = [base64.b64decode(b"e3siLCI="), b'{"log": "{", "stream": []}\n', b'{"MESSAGE": [1, 2, 999]}\n', b"[[[{\n"]
    assert read_lines([("w.log", [*garbage, *LOG])]).used == len(LOG)


def test_what_checks_have_drawn_is_left_out_and_shown_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        *LOG,
        written(20, worker_stats(5, 50)),
        written(20, category_stats("voice", 9, 1.0, 8.0, dataset="check-f3a4f11ae609")),
    ]
    document = document_of(capsys, write("w.log", lines))
    assert {row["dataset"] for row in document["categories"]} == {None}
    assert (document["checks_left_out"], document["lines_used"]) == (1, len(lines))
    assert execute(["report", "w.log"]) == 0
    told = capsys.readouterr().out
    assert "1 dataset of `check` left out: --all shows them" in told
    assert "check-f3a4f11ae609" not in told
    assert execute(["report", "w.log", "--all"]) == 0
    assert "biggest |z| 8.00 (voice of dataset check-f3a4f11ae609)" in capsys.readouterr().out


def test_half_a_picture_is_never_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mix.svg").mkdir()
    assert execute(["report", write("w.log", LOG), "--output", "mix.svg"]) == 1
    assert "cannot write mix.svg: Is a directory" in one_sentence(capsys)
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["mix.svg", "w.log"]
    Path("other.svg").symlink_to("real.svg")
    assert execute(["report", "w.log", "--output", "other.svg"]) == 0
    assert Path("real.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize("columns", ["1", "10", "20", "39"])
def test_narrow_terminals_lose_no_name(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    name = "conference-calls-in-the-evening"
    lines = [*LOG, written(20, category_stats(name, 5, 5.0, None))]
    assert execute(["report", write("w.log", lines)]) == 0
    told = capsys.readouterr().out
    assert name in told
    assert "…" not in told
