"""A manifest is read row by row, and what is wrong in it is named by its line."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manifest import audioset_manifest
from worker.core.manifest import STATUSES, ChunkRow, read_manifest
from worker.errors import ManifestError

HEADER = "path,category,status,duration_s\n"

paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50)
chunk_rows = st.builds(
    ChunkRow,
    paths,
    st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True),
    st.sampled_from(STATUSES),
    st.none() | st.floats(0, 1e9).map(abs),
)
manifests = st.lists(chunk_rows, min_size=1, max_size=20, unique_by=lambda row: row.path)


def read(content: str | bytes) -> list[ChunkRow]:
    return list(read_manifest("library", content if isinstance(content, bytes) else content.encode()))


def as_csv(rows: Sequence[ChunkRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "category", "status", "duration_s"])
    writer.writerows(asdict(row).values() for row in rows)
    return text.getvalue()


@given(manifests)
def test_csv_reads_back(rows: list[ChunkRow]) -> None:
    assert read(as_csv(rows)) == rows


@given(manifests, st.booleans())
def test_json_lines_read_back(rows: list[ChunkRow], ascii_only: bool) -> None:  # noqa: FBT001 - by hypothesis
    assert read("".join(json.dumps(asdict(row), ensure_ascii=ascii_only) + "\n" for row in rows)) == rows


@given(st.binary(max_size=200) | st.text(st.sampled_from('{}[]",\n\r :path1categoryREADY\0é'), max_size=200))
def test_nothing_but_manifest_errors_comes_of_strange_content(content: str | bytes) -> None:
    try:
        read(content)
    except ManifestError as error:
        assert str(error).startswith("library")  # noqa: PT017 - most strange content is refused, but not all


def test_real_manifest_is_read(tmp_path: Path) -> None:
    manifest = audioset_manifest(tmp_path)
    rows = list(read_manifest(manifest.name, manifest.read_bytes()))
    assert len(rows) == manifest.read_bytes().count(b"\n") - 1
    assert {row.status for row in rows} == {"READY"}


@pytest.mark.parametrize(
    "content",
    [
        "path,category\na,voice\n",
        "\ufeffpath,category\r\na,voice\r\n",
        " Category ,note, PATH\nvoice,whatever,a\n",
        '\n\npath,category,status,duration_s\n\n"a",voice,,',
        '{"path": "a", "category": "voice"}',
        '\ufeff\n {"path": "a", "category": "voice", "status": null, "duration_s": null, "x": [NaN]}\r\n\n',
    ],
)
def test_what_is_optional_may_be_left_out(content: str) -> None:
    assert read(content) == [ChunkRow("a", "voice", "READY", None)]


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("10", 10.0), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0)])
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert read(f"{HEADER}a,voice,READY,{text}\n")[0].duration_s == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "-0.0", "1e999", "1_0", "0x10", "ten", "1,5", "\u0661"])
def test_duration_that_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"line 2: .*duration_s .*finite number of seconds, 0 or more"):
        read(f'{HEADER}a,voice,READY,"{text}"\n')


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "-1", "true", "[1]", '"nan"', "9" * 400])
def test_json_duration_that_is_no_length_is_refused(value: str) -> None:
    with pytest.raises(ManifestError, match=r"line 1: duration_s .*finite number of seconds, 0 or more"):
        read(f'{{"path": "a", "category": "voice", "duration_s": {value}}}')


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a,Voice,READY,1", "category 'Voice' is not 1 to 64 of a-z, 0-9, _ and -"),
        ("a,,READY,1", "category '' is not"),
        ("a,voice,ready,1", "status 'ready' is not one of PENDING, PROCESSING, READY, FAILED"),
        (",voice,READY,1", "path '' is not 1 to 2,000 bytes of text"),
        (f"{'é' * 1001},voice,READY,1", "2,000 bytes of text"),
        ("a\0,voice,READY,1", "2,000 bytes of text"),
        ("a,voice,READY", "3 fields where the header has 4"),
        ("a,voice,READY,1,2", "5 fields where the header has 4"),
        ('"a,voice,READY,1', "it is not CSV"),
        ("first,voice,READY,1", "path 'first' is in line 2 already"),
        ('a,"voice\nmusic",READY,1', "category 'voice\\nmusic' is not"),
    ],
)
def test_bad_csv_row_is_named_by_its_line(row: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(f"{HEADER}first,voice,READY,1\n{row}\n")
    assert str(caught.value).startswith("library, line ")
    assert sentence in str(caught.value)
    assert int(str(caught.value).removeprefix("library, line ").partition(":")[0]) in {3, 4}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"path": "a"}', "category None is not"),
        ('{"category": "voice"}', "path None is not"),
        ('{"path": 5, "category": "voice"}', "path 5 is not"),
        ('{"path": "\\ud800", "category": "voice"}', "surrogates not allowed"),
        ('{"path": "a", "category": ["voice"]}', "category ['voice'] is not"),
        ('{"path": "a", "category": "voice", "status": ["READY"]}', "status ['READY'] is not one of"),
        ('{"path": "a", "path": "b", "category": "voice"}', "more than once"),
        ('{"path": "first", "category": "voice"}', "path 'first' is in line 1 already"),
        ("[1, 2]", "[1, 2] is not a JSON object"),
        ("null", "None is not a JSON object"),
        ("{", "it is not JSON"),
        ('{"path": ' + "[" * 100_000, "it is not JSON"),
        ('{"path": ' + "9" * 5000 + "}", "it is not JSON"),
    ],
)
def test_bad_json_line_is_named(line: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(f'{{"path": "first", "category": "voice"}}\n\n{line}\n')
    assert str(caught.value).startswith("library, line 3: ")
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n \n", HEADER.encode()])
def test_manifest_without_rows_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"library.*accepted is CSV with a header row, or JSON Lines"):
        read(content)


@pytest.mark.parametrize("header", ["path,status", "category", "path;category", "path,category,path", "a,b,c"])
def test_header_that_does_not_name_the_columns_is_refused(header: str) -> None:
    with pytest.raises(ManifestError, match=r"library, line 1: the header '.*' is not accepted; accepted is"):
        read(f"{header}\na,voice,READY\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"path,category\na,voice\n\xff,voice\n", 3), ("path,category\na,voice\n".encode("utf-16"), 1)],
)
def test_what_is_not_utf8_is_refused(content: bytes, line: int) -> None:
    with pytest.raises(ManifestError, match=f"library, line {line}: it is not UTF-8"):
        read(content)


def test_rows_before_a_bad_one_are_yielded() -> None:
    rows = read_manifest("library", f"{HEADER}a,voice,READY,1\nb,VOICE,READY,1\n".encode())
    assert next(rows).path == "a"
    with pytest.raises(ManifestError):
        next(rows)
