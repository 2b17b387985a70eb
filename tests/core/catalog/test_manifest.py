"""A manifest is read row by row, and what is wrong in it is named by its line."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manifest import audioset_manifest
from worker.core.catalog.manifest import COLUMNS, STATUSES, ChunkRow, Manifest
from worker.errors import ManifestError

HEADER = "path,category,status,duration_s\n"
ACCEPTED = "accepted is CSV with a header row, or JSON Lines"

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=50)
paths = words.map(lambda text: f"a/{text}.flac")
chunk_rows = st.builds(
    ChunkRow,
    paths,
    st.from_regex(r"x[a-z0-9_-]{0,63}", fullmatch=True),
    st.sampled_from(STATUSES),
    st.none() | st.floats(0, 1e9).map(abs),
    st.none() | st.floats(0, 1e5).map(abs),
    st.none() | st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True),
)
manifests = st.lists(chunk_rows, min_size=1, max_size=20, unique_by=lambda row: row.path)


def bytes_of(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def read(content: str | bytes, portion: int = 1 << 20) -> list[ChunkRow]:
    """Read a manifest whose bytes come in portions, and refuse it if anything is wrong."""
    return noted(content, portion)[0]


def noted(content: str | bytes, portion: int = 1 << 20) -> tuple[list[ChunkRow], list[str]]:
    """Read the rows, and the notes on them."""
    text = bytes_of(content)
    manifest = Manifest("library", (text[i : i + portion] for i in range(0, len(text), portion)))
    rows = list(manifest.rows())
    manifest.problems.raise_any()
    assert manifest.notes.rows == len(rows)
    return rows, manifest.notes.sentences()


def refused(content: str | bytes) -> tuple[str, ...]:
    """Read a refused manifest, and return the sentences of the refusal."""
    with pytest.raises(ManifestError) as caught:
        read(content)
    assert all(sentence.startswith("library") for sentence in caught.value.sentences)
    assert str(caught.value) == "; ".join(caught.value.sentences)
    return caught.value.sentences


def fields(row: ChunkRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in COLUMNS}


def as_csv(rows: Sequence[ChunkRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(fields(row).values() for row in rows)
    return text.getvalue()


@given(manifests, st.integers(1, 100))
def test_csv_reads_back(rows: list[ChunkRow], portion: int) -> None:
    assert read(as_csv(rows), portion) == rows


@given(manifests, st.booleans(), st.integers(1, 100))
def test_json_lines_read_back(rows: list[ChunkRow], ascii_only: bool, portion: int) -> None:  # noqa: FBT001 - by hypothesis
    text = "".join(json.dumps(fields(row), ensure_ascii=ascii_only) + "\n" for row in rows)
    assert read(text, portion) == rows


@given(st.binary(max_size=200) | st.text(st.sampled_from('{}[]",\n\r :#path1categoryREADY\0é'), max_size=200))
def test_nothing_but_manifest_errors_comes_of_strange_content(content: str | bytes) -> None:
    try:
        read(content)
    except ManifestError as error:
        assert str(error).startswith("library")  # noqa: PT017 - most strange content is refused, but not all


def test_real_manifest_is_read(tmp_path: Path) -> None:
    manifest = audioset_manifest(tmp_path)
    rows, notes = noted(manifest.read_bytes())
    assert len(rows) == manifest.read_bytes().count(b"\n") - 1
    assert {row.status for row in rows} == {"READY"}
    assert notes == []


@pytest.mark.parametrize(
    "content",
    [
        "path,category\na,voice\n",
        "\ufeffpath,category\r\na,voice\r\n",
        "path,category\ra,voice\r",
        "path,category\r\na,voice\r",
        " Category ,note, PATH\nvoice,whatever,a\n",
        '\n\npath,category,status,duration_s\n\n"a",voice,,\n',
        '{"path": "a", "category": "voice"}\n',
        '{"Category": "voice", " PATH": "a"}\n',
        '\ufeff\n {"path": "a", "category": "voice", "status": null, "duration_s": null, "x": [NaN]}\r\n\n',
    ],
)
@pytest.mark.parametrize("portion", [1, 2, 1000])
def test_what_is_optional_may_be_left_out(content: str, portion: int) -> None:
    assert read(content, portion) == [ChunkRow("a", "voice", "READY", None)]


def test_rows_know_their_lines() -> None:
    content = 'path,category,note\n\na,voice,"one\ntwo"\n\r\nb,voice,x\n'
    assert [row.line for row in read(content)] == [3, 6]
    assert [row.line for row in read('\n{"path": "a", "category": "b"}\n\n{"path": "c", "category": "b"}\n')] == [2, 4]


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("10", 10.0), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0)])
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert read(f"{HEADER}a,voice,READY,{text}\n")[0].duration_s == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "-0.0", "1e999", "1_0", "0x10", "ten", "1,5", "\u0661"])
def test_duration_that_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"line 2: .*duration_s .*finite number of seconds, 0 or more"):
        read(f'{HEADER}a,voice,READY,"{text}"\n')


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e999", "-1", "true", "false", "[1]", '"nan"', '""', "{}", "9" * 400]
)
def test_json_duration_that_is_no_length_is_refused(value: str) -> None:
    with pytest.raises(ManifestError, match=r"line 1: duration_s .*finite number of seconds, 0 or more"):
        read(f'{{"path": "a", "category": "voice", "duration_s": {value}}}')


@pytest.mark.parametrize(
    ("text", "hint"), [("00:03:20", "200"), ("3:20.5", "200.5"), ("3,5", "a point is written before decimals")]
)
def test_duration_of_another_form_is_explained(text: str, hint: str) -> None:
    (sentence,) = refused(f'{HEADER}a,voice,READY,"{text}"\n')
    assert sentence.endswith(hint)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a,Voice,READY,1", "category 'Voice' is not 1 to 64 of a-z, 0-9, _ and -; the nearest accepted name is voice"),
        ("a,conference calls,READY,1", "the nearest accepted name is conference-calls"),
        ("a,Jännér & Co.,READY,1", "the nearest accepted name is janner-co"),
        ("a,,READY,1", "category '' is not"),
        ("a,№,READY,1", "the nearest accepted name is no"),
        ("a,日本,READY,1", "category '日本' is not 1 to 64 of a-z, 0-9, _ and -"),
        ("a,nan,READY,1", "category 'nan' is the name of a column, or stands for a category that is missing"),
        ("a,voice,ready,1", "status 'ready' is not one of PENDING, PROCESSING, READY, FAILED; write it in capitals"),
        ("a,voice,False,1", "status 'False' is not one of"),
        ("a,voice,0,1", "status '0' is not one of"),
        (",voice,READY,1", "path '' is not 1 to 2,000 bytes of text"),
        ("\u00a0,voice,READY,1", "path '' is not 1 to 2,000 bytes of text"),
        ("None,voice,READY,1", "path 'None' is the name of a column, or stands for a path that is missing"),
        (f"{'é' * 1001},voice,READY,1", "2,000 bytes of text"),
        ("a\0,voice,READY,1", "path 'a\\x00' has a control character"),
        ("a\tb,voice,READY,1", "path 'a\\tb' has a control character"),
        ('"a\nb",voice,READY,1', "path 'a\\nb' has a control character"),
        ("a\u2028b,voice,READY,1", "has a control character"),
        ("'a',voice,READY,1", "begins or ends with a quote, which would be part of it"),
        ('"""a",voice,READY,1', "begins or ends with a quote, which would be part of it"),
        ('a",voice,READY,1', "begins or ends with a quote, which would be part of it"),
        ('"""a""",voice,READY,1', "begins or ends with a quote, which would be part of it"),
        ("a,voice,READY", "3 fields where the header has 4"),
        ("a", "1 field where the header has 4"),
        ("a,voice,READY,1,2", "5 fields where the header has 4"),
        ('"a,voice,READY,1', "it is not CSV: unexpected end of data; perhaps a quote is not closed"),
        (f"a,voice,READY,{'1' * 140_000}", "it is not CSV: field larger than field limit (131072)"),
        (f"a,voice,READY,{'1' * 1_100_000}", "it is longer than 1,048,576 characters; a row has a line"),
        ('a,"voice\nmusic",READY,1', "category 'voice\\nmusic' is not"),
        ("#b,voice,READY,1", "it begins with #, as a comment does"),
        ('"b", "voice",READY,1', "category '\"voice\"' is not"),
        (' "b",voice,READY,1', "a quote stands after a blank"),
        (' "b,c",voice,READY,1', "5 fields where the header has 4; a quote stands after a blank"),
        ("path,category", "2 fields where the header has 4; it looks like another header"),
        ("category,path,status,duration_s", "it looks like another header"),
        ("path,label,state,seconds", "it looks like another header"),
        ("speaker,path,READY,1", "category 'path' is the name of a column"),
    ],
)
def test_bad_csv_row_is_named_by_its_line(row: str, sentence: str) -> None:
    said = refused(f"{HEADER}first,voice,READY,1\n{row}\n")
    assert said[0].startswith("library, line 3: ")
    assert sentence in said[0]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"path": "a"}', "it has no category; accepted is CSV"),
        ('{"category": "voice"}', "it has no path; accepted is CSV"),
        ('{"path": null, "category": "voice"}', "path None is not 1 to 2,000 bytes of text"),
        ('{"path": 5, "category": "voice"}', "path 5 is not"),
        ('{"path": ["a"], "category": "voice"}', "path ['a'] is not"),
        ('{"path": true, "category": "voice"}', "path True is not"),
        ('{"path": "\\ud800", "category": "voice"}', "surrogates not allowed"),
        ('{"path": "a", "category": ["voice"]}', "category ['voice'] is not"),
        ('{"path": "a", "category": 5}', "category 5 is not"),
        ('{"path": "a", "category": null}', "category None is not"),
        ('{"path": "a", "category": "voice", "status": ["READY"]}', "status ['READY'] is not one of"),
        ('{"path": "a", "category": "voice", "status": false}', "status False is not one of"),
        ('{"path": "a", "category": "voice", "status": 0}', "status 0 is not one of"),
        ('{"path": "a", "category": "voice", "status": ""}', "status '' is not one of"),
        ('{"path": "a", "category": "voice", "status": []}', "status [] is not one of"),
        ('{"path": "a", "category": "voice", "status": {}}', "status {} is not one of"),
        ('{"path": "a", "category": "voice", "status": "READY "}', "status 'READY ' is not one of"),
        ('{"path": "a", "category": "voice", "State": "FAILED"}', "column 'state' may be meant as status: rename it"),
        ('{"path": "a", "category": "voice", "ready": false}', "column 'ready' may be meant as status"),
        ('{"path": "a", "category": "voice", "duration": 1}', "column 'duration' may be meant as duration_s: rename"),
        ('{"path": "a", "category": "voice", "length_ms": 1}', "column 'length_ms' may be meant as duration_s"),
        ('{"path": "a", "categroy": "voice"}', "it has no category; rename categroy to category"),
        ('{"path": "a", "path": "b", "category": "voice"}', "more than once"),
        ('{"path": "a", "Path": "b", "category": "voice"}', "'path' is the name of two columns"),
        ('{"path": "C:\\new\\track.wav", "category": "voice"}', "a backslash within JSON is written twice"),
        ('{"path": "C:\\bird\\fox.wav", "category": "voice"}', "a backslash within JSON is written twice"),
        ('{"path": "C:\\users\\a.wav", "category": "voice"}', "a backslash is written twice in JSON"),
        ('{"path": "C:\\audio\\a.wav", "category": "voice"}', "a backslash is written twice in JSON"),
        ('{"path": "\\"a.wav\\"", "category": "voice"}', "begins or ends with a quote, which would be part of it"),
        ('{"path": "path", "category": "voice"}', "path 'path' is the name of a column"),
        ("[1, 2]", "[1, 2] is not a JSON object"),
        ("null", "None is not a JSON object"),
        ("{", "it is not JSON: Expecting property name enclosed in double quotes (character 1); each object has"),
        ('{"path": ' + "[" * 100_000, "it is not JSON"),
        ('{"path": ' + "9" * 5000 + "}", "it is not JSON"),
        ("a,voice,READY,1", "it is not JSON"),
    ],
)
def test_bad_json_line_is_named(line: str, sentence: str) -> None:
    (said,) = refused(f'{{"path": "first", "category": "voice"}}\n\n{line}\n')
    assert said.startswith("library, line 3: ")
    assert sentence in said
    assert len(said) < 400


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n \n", HEADER.encode(), b"path,category"])
def test_manifest_without_rows_is_refused(content: bytes) -> None:
    assert refused(content)[0].startswith("library has no rows; accepted is CSV with a header row, or JSON Lines")


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("path,status", "it has no category"),
        ("category", "it has no path"),
        ("a,b,c", "it has no path and no category"),
        ("path;status", "it has no category"),
        ("path\tlabel", "rename label to category, or say --map label=category"),
        ("path;file name;Class (x)", "it has no category"),
        ("path,category,offset", "column 'offset' may be meant as start_s: rename it to start_s, or remove it"),
        ("path,category,subset", "column 'subset' may be meant as split: rename it to split, or remove it"),
        ("path|category|text", "bars separate its columns"),
        ("path,category,path", "'path' is the name of two columns"),
        ("path,category,Note,note", "'note' is the name of two columns"),
        ("path,categroy", "rename categroy to category"),
        ("file,class", "rename file to path, class to category"),
        ("filepath,Label", "rename filepath to path, label to category"),
        ("path,category,state", "column 'state' may be meant as status: rename it to status, or remove it"),
        ("path,category,Statsu", "column 'statsu' may be meant as status"),
        ("path,category,duration (s)", "column 'duration (s)' may be meant as duration_s"),
        ("path,category,length", "column 'length' may be meant as duration_s"),
        ("sep=,", "it begins with a line for spreadsheets (sep=), which is to be removed"),
        ("a/1.wav,voice", "the first line has to name the columns, and this looks like a row"),
        ("# made by hand", "it begins with a comment (#), and a manifest has none"),
        ("#path,category", "it begins with a comment (#), and a manifest has none"),
    ],
)
def test_header_that_does_not_name_the_columns_is_refused(header: str, hint: str) -> None:
    (sentence,) = refused(f"{header}\na,voice,READY\n")
    assert sentence.startswith("library, line 1: the header '")
    assert "is not accepted: " in sentence
    assert hint in sentence
    assert ACCEPTED in sentence


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('fname,labels,mids,split\n64760,"Electric_guitar,Guitar","/m/02sgy",train\n', "it looks like FSD50K"),
        ("filename,fold,target,category,esc10,src_file,take\n1-1-A-0.wav,1,0,dog,True,1,A\n", "it looks like ESC-50"),
        ("slice_file_name,fsID,start,end,salience,fold,classID,class\na.wav,1,0,1,1,5,3,dog\n", "like UrbanSound8K"),
        (
            '{"id": "a", "recording_id": "r", "start": 0, "duration": 2, "channel": 0, "text": ""}\n',
            "it looks like Lhotse supervisions, which name no file: give the cuts",
        ),
        ("#EXTM3U\n#EXTINF:10,a\na.mp3\n", "it looks like a playlist (M3U)"),
        ('[{"path": "a", "category": "voice"}]\n', "it is a JSON array; JSON Lines has an object a line"),
        ('\n [\n{"path": "a", "category": "voice"}\n]\n', "it is a JSON array; JSON Lines has an object a line"),
        ("<!doctype html>\n", "it is HTML or XML"),
        (b"PAR1\0\0", "it is a Parquet file"),
        (b"PK\x03\x04\0\0", "it is a ZIP archive or a spreadsheet"),
        (b"\x28\xb5\x2f\xfd\0", "it is compressed by Zstandard"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "it stands for a file in Git LFS"),
        ("path,category\na,voice\n".encode("utf-16"), "it is UTF-16 or UTF-32 text"),
        ("path,category\na,voice\n".encode("utf-16-le"), "it is UTF-16 or UTF-32 text"),
        ("path,category\na,voice\n".encode("utf-16-be"), "it is UTF-16 or UTF-32 text"),
        ("path,category\na,voice\n".encode("utf-32"), "it is UTF-16 or UTF-32 text"),
    ],
)
def test_other_formats_are_named(content: str | bytes, name: str) -> None:
    said = refused(content)
    assert said[0].startswith("library, line 1: ")
    assert name in said[0]
    assert ACCEPTED in said[0]


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_what_is_not_utf8_is_refused(portion: int) -> None:
    with pytest.raises(ManifestError, match="library, line 3: it is not UTF-8"):
        read(b"path,category\na,voice\n\xff,voice\n", portion)


def test_all_that_is_wrong_is_said_at_once() -> None:
    content = f"{HEADER}a,Voice,READY,1\nb,voice,READY,1\nc,voice,ready,1\nd,Voice,READY,1\ne\n"
    assert refused(content) == (
        (
            "library, line 2: category 'Voice' is not 1 to 64 of a-z, 0-9, _ and -; the nearest accepted name is voice"
            " (and 1 more line like it)"
        ),
        "library, line 4: status 'ready' is not one of PENDING, PROCESSING, READY, FAILED; write it in capitals",
        "library, line 6: 1 field where the header has 4",
        "library: 4 lines are not accepted, nothing is imported",
    )


def test_ten_kinds_of_what_is_wrong_are_shown() -> None:
    said = refused(HEADER + "".join(f"a,CATEGORY {number},READY,1\n" for number in range(500)))
    assert [sentence.partition(":")[0] for sentence in said] == [
        *(f"library, line {n}" for n in range(2, 12)),
        "library",
    ]
    assert said[-1] == "library: 500 lines are not accepted, the first 10 kinds are shown, nothing is imported"


def test_good_rows_around_a_bad_one_are_yielded() -> None:
    manifest = Manifest("library", [f"{HEADER}a,voice,READY,1\nb,VOICE,READY,1\nc,voice,READY,1\n".encode()])
    assert [row.path for row in manifest.rows()] == ["a", "c"]
    with pytest.raises(ManifestError):
        manifest.problems.raise_any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "path,category,Speaker,text,\na,voice,1,2,\n",
            "ignored columns: 'speaker', 'text', ''; read: path, category, status, duration_s, start_s, split",
        ),
        (
            '{"path": "a", "category": "voice", "text": 1}\n',
            "ignored column: 'text'; read: path, category, status, duration_s, start_s, split",
        ),
        (
            "path,category,status,state\na,voice,READY,1\n",
            "ignored column: 'state'; read: path, category, status, duration_s, start_s, split",
        ),
        ("path,category\na,voice\npath,category\n", "1 line that repeated the header left out"),
        ("path,category\na,voice\n\ufeffPath, Category\n", "1 line that repeated the header left out"),
        ("path,category\na,voice\n,\n , \n,,,\n", "3 rows of blanks alone left out"),
        ("path,category\n a\u00a0, voice \n", "blanks around 1 path left out; JSON Lines keeps them"),
        ("path,category,status\na,voice,\n", "1 row with an empty status, taken as READY"),
        ('{"path": "a", "category": "voice", "status": null}\n', "1 row with an empty status, taken as READY"),
        ("path,category\na,voice", "the last line has no line end; is the file whole?"),
    ],
)
def test_what_was_decided_is_said(content: str, sentence: str) -> None:
    rows, said = noted(content)
    assert rows == [ChunkRow("a", "voice")]
    assert said == [sentence]


def test_many_ignored_columns_are_named_in_part() -> None:
    names = ",".join(f"n{number}" for number in range(23))
    _, said = noted(f"path,category,{names}\na,voice{',' * 23}\n")
    assert said[0].startswith("ignored columns: 'n0', 'n1', ")
    assert "'n19' and 3 more; read: " in said[0]


def test_json_keeps_blanks_around_a_path() -> None:
    rows, said = noted('{"path": " a ", "category": "voice"}\n')
    assert rows == [ChunkRow(" a ", "voice")]
    assert said == ["1 path with a blank at an end, kept"]


@pytest.mark.parametrize(
    "path",
    ["/data/a.wav", "../a.wav", "s3://b/a.wav", "a b.wav", "a, b.wav", '5" disc.wav', "é.wav", "e\u0301.wav", "#"],
)
def test_paths_are_left_as_they_are(path: str) -> None:
    assert [row.path for row in read('path,category\n"{}",voice\n'.format(path.replace('"', '""')))] == [path]
    assert [row.path for row in read(json.dumps({"path": path, "category": "voice"}) + "\n")] == [path]


@pytest.mark.parametrize(
    "content",
    [
        'path,category,note\na,voice,"oops\nb,music,fine\nc,voice,end"\nd,voice,x\n',
        'path,category,note\na,voice,"oops\nb,music,end"\n',
        'path,note,category\na,"oops,voice\nb,fine",music\n',
        'note,path,category\n"oops,a,voice\nfine",b,music\n"oops,a,voice\nx,b,music",c,voice\n',
    ],
)
def test_rows_that_an_open_quote_swallows_are_seen(content: str) -> None:
    assert any(
        "a quote that opens here is not closed before lines that look like rows" in said for said in refused(content)
    )


def test_cells_over_several_lines_are_counted() -> None:
    rows, said = noted('path,category,text\na,voice,"hello,\nworld"\nb,music,"x\ny, z\n"\n')
    assert [row.path for row in rows] == ["a", "b"]
    assert "2 rows over several lines: 6 lines, 2 rows" in said
