"""Manifests of others are read as they are: how many chunks, which categories, how long and from where."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog.manifest import (
    FORMATS,
    ChunkRow,
    Lookup,
    Manifest,
    Neighbours,
    NoNeighbours,
    ReadPairs,
    Table,
    Wishes,
)
from worker.errors import ManifestError

VOICE = Wishes(category="voice")


@dataclass(frozen=True)
class Folder:
    """A folder whose files are texts."""

    file: str
    files: Mapping[str, str] = field(default_factory=dict)

    def look_up(self, name: str, read: ReadPairs) -> Lookup | None:
        return dict(read(name, [self.files[name].encode()])).get if name in self.files else None


def noted(
    content: str | bytes | Table, wishes: Wishes, neighbours: Neighbours | None = None
) -> tuple[list[ChunkRow], list[str]]:
    """Read a manifest, and the notes on it; a portion is a byte, so that nothing depends on where one ends."""
    text = content.encode() if isinstance(content, str) else content
    portions = text if isinstance(text, Table) else (text[i : i + 1] for i in range(len(text)))
    manifest = Manifest("theirs", portions, wishes, neighbours or NoNeighbours())
    rows = list(manifest.rows())
    manifest.problems.raise_any()
    return rows, manifest.notes.sentences()


def read(content: str | bytes | Table, wishes: Wishes = VOICE, neighbours: Neighbours | None = None) -> list[ChunkRow]:
    return noted(content, wishes, neighbours)[0]


def refused(content: str | bytes, wishes: Wishes = VOICE, neighbours: Neighbours | None = None) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        read(content, wishes, neighbours)
    return caught.value.sentences


def lines(objects: Iterable[object]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


NEMO = lines(
    [
        {"audio_filepath": "wavs/a.wav", "duration": 2.5, "offset": 0.0, "text": "hello", "lang": "de"},
        {"audio_filepath": "wavs/a.wav", "duration": 1.25, "offset": 2.5, "text": "you", "lang": "en-US"},
        {"audio_filepath": "/data/b.wav", "duration": 7, "text": "all", "lang": "de"},
    ]
)


def test_nemo_manifest() -> None:
    rows, said = noted(NEMO, VOICE)
    assert rows == [
        ChunkRow("wavs/a.wav", "voice", duration_s=2.5, start_s=0.0),
        ChunkRow("wavs/a.wav", "voice", duration_s=1.25, start_s=2.5),
        ChunkRow("/data/b.wav", "voice", duration_s=7.0),
    ]
    assert [row.line for row in rows] == [1, 2, 3]
    assert said == [
        "read as a NeMo manifest: audio_filepath as path, duration as duration_s, offset as start_s",
        "ignored columns: 'text', 'lang'; read: path, category, status, duration_s, start_s, split",
        "2 relative paths stored as written; --root DIR puts a folder before them",
    ]


def test_values_of_a_column_become_categories_and_that_is_said() -> None:
    rows, said = noted(NEMO, Wishes(columns={"lang": "category"}, root="/data/"))
    assert [(row.path, row.category) for row in rows] == [
        ("/data/wavs/a.wav", "de"),
        ("/data/wavs/a.wav", "en-us"),
        ("/data/b.wav", "de"),
    ]
    assert "categories made out of other names: 'en-US' is en-us" in said
    assert not any("relative" in sentence for sentence in said)


CUT = {
    "id": "cut-1",
    "start": 3.5,
    "duration": 4.25,
    "channel": 0,
    "supervisions": [
        {"id": "s", "recording_id": "r", "start": 0, "duration": 1, "speaker": "Anna", "language": "German"}
    ],
    "recording": {
        "id": "r",
        "sources": [{"type": "file", "channels": [0], "source": "audio/r.flac"}],
        "sampling_rate": 16000,
        "num_samples": 160000,
        "duration": 10.0,
    },
    "custom": {"domain": "Field Recordings"},
    "type": "MonoCut",
}
STEREO = {
    "id": "r2",
    "sources": [
        {"type": "file", "channels": [0], "source": "left.wav"},
        {"type": "file", "channels": [1], "source": "right.wav"},
    ],
    "sampling_rate": 8000,
    "num_samples": 8,
    "duration": 20.5,
}


def test_lhotse_cuts() -> None:
    right = {**CUT, "id": "2", "channel": 1, "recording": STEREO, "custom": {"domain": "Calls"}}
    both = {**right, "id": "3", "channel": [0, 1], "type": "MultiCut", "supervisions": None, "start": 0}
    rows, said = noted(lines([CUT, right, both]), Wishes(columns={"domain": "category"}))
    assert rows == [
        ChunkRow("audio/r.flac", "field-recordings", duration_s=4.25, start_s=3.5),
        ChunkRow("right.wav", "calls", duration_s=4.25, start_s=3.5),
        ChunkRow("left.wav", "calls", duration_s=4.25, start_s=0.0),
    ]
    assert "1 row of recordings with a file for each channel: the first is taken" in said


@pytest.mark.parametrize(("column", "category"), [("speaker", "anna"), ("language", "german"), ("domain", "x")])
def test_lhotse_categories_come_from_the_cut_its_custom_or_its_supervisions(column: str, category: str) -> None:
    cut = {**CUT, "domain": "x"}
    assert [row.category for row in read(lines([cut]), Wishes(columns={column: "category"}))] == [category]


def test_lhotse_recordings() -> None:
    recordings = [CUT["recording"], {**STEREO, "sources": [{"type": "url", "channels": [0, 1], "source": "s3://b/x"}]}]
    rows = read(lines(recordings))
    assert rows == [ChunkRow("audio/r.flac", "voice", duration_s=10.0), ChunkRow("s3://b/x", "voice", duration_s=20.5)]


KALDI = {
    "wav.scp": "rec-1 /data/rec 1.wav\nrec-2\t/data/rec2.flac\n",
    "segments": "utt-1 rec-1 0.5 2.75\nutt-2 rec-2 0 1.1\n\nutt-3 rec-2 10 -1\n",
    "utt2dur": "rec-1 60.5\nutt-3 4.5\n",
    "utt2lang": "utt-1 de\nutt-2 EN\nutt-3 de\n",
}


def kaldi(lead: str, wishes: Wishes = VOICE, **files: str) -> tuple[list[ChunkRow], list[str]]:
    there = {**KALDI, **{name.replace("_", "."): text for name, text in files.items()}}
    asked = Wishes("kaldi", wishes.category, wishes.columns, wishes.labels, wishes.root)
    return noted(there[lead], asked, Folder(lead, there))


def test_kaldi_segments() -> None:
    rows, said = kaldi("segments", Wishes(columns={"utt2lang": "category"}))
    assert rows == [
        ChunkRow("/data/rec 1.wav", "de", duration_s=2.25, start_s=0.5),
        ChunkRow("/data/rec2.flac", "en", duration_s=1.1, start_s=0.0),
        ChunkRow("/data/rec2.flac", "de", duration_s=4.5, start_s=10.0),
    ]
    assert [row.line for row in rows] == [1, 2, 4]
    with_files = "read as a Kaldi folder, with utt2dur, utt2lang, wav.scp beside it"
    assert said == [with_files, "categories made out of other names: 'EN' is en"]


def test_kaldi_recordings() -> None:
    rows, _ = kaldi("wav.scp")
    assert rows == [ChunkRow("/data/rec 1.wav", "voice", duration_s=60.5), ChunkRow("/data/rec2.flac", "voice")]
    assert read(KALDI["wav.scp"]) == [ChunkRow("/data/rec 1.wav", "voice"), ChunkRow("/data/rec2.flac", "voice")]


AUDIOSET = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=3, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_"
--BfvyPmVMo, 20.000, 30.000, "/m/03l9g"
--BfvyPmVMo, 40.100, 45.200, "/m/09x0r"
"""


def test_audioset_segments() -> None:
    labels = {"/m/07q6cd_": "animals", "/m/09x0r": "voice"}
    rows, said = noted(AUDIOSET, Wishes(category="custom", labels=labels))
    assert rows == [
        ChunkRow("--4gqARaEJE", "animals", duration_s=10.0, start_s=0.0),
        ChunkRow("--BfvyPmVMo", "custom", duration_s=10.0, start_s=20.0),
        ChunkRow("--BfvyPmVMo", "voice", duration_s=5.1, start_s=40.1),
    ]
    assert said[0] == "read as an AudioSet segment list: ytid as path, start_seconds as start_s"


def test_audioset_labels_become_categories() -> None:
    rows, said = noted(AUDIOSET, Wishes(columns={"positive_labels": "category"}))
    assert [row.category for row in rows] == ["m-068hy", "m-03l9g", "m-09x0r"]
    assert "1 row with several labels: the first is the category" in said


COMMON_VOICE = (
    "client_id\tpath\tsentence\tup_votes\tgender\tlocale\n"
    'a1\tcv_en_1.mp3\t"Hello," he said. "You\t2\tmale\ten\n'
    "a2\tcv_en_2.mp3\tHello, you\t2\t\ten\n"
)


def test_common_voice() -> None:
    clips = {"clip_durations.tsv": "clip\tduration[ms]\ncv_en_2.mp3\t4536\ncv_en_1.mp3\t1250\n"}
    wishes = Wishes(category="unknown", columns={"gender": "category"}, root="clips")
    rows, said = noted(COMMON_VOICE, wishes, Folder("train.tsv", clips))
    assert rows == [
        ChunkRow("clips/cv_en_1.mp3", "male", duration_s=1.25),
        ChunkRow("clips/cv_en_2.mp3", "unknown", duration_s=4.536),
    ]
    assert said[0] == "read as Common Voice, with clip_durations.tsv beside it"
    assert [row.duration_s for row in read(COMMON_VOICE)] == [None, None]


@pytest.mark.parametrize(
    "content",
    [
        'file_name,label,transcription\nclips/a.wav,Dog Bark,"one\ntwo"\nclips/b.wav,cat,\n',
        '\ufefffile_name;label;transcription\r\nclips/a.wav;Dog Bark;"one\r\ntwo"\r\nclips/b.wav;cat;\r\n',
        lines([{"file_name": "clips/a.wav", "label": "Dog Bark"}, {"file_name": "clips/b.wav", "label": "cat"}]),
    ],
    ids=["csv", "semicolons", "jsonl"],
)
def test_audio_folder_metadata(content: str) -> None:
    rows, said = noted(content, Wishes(columns={"label": "category"}))
    assert rows == [ChunkRow("clips/a.wav", "dog-bark"), ChunkRow("clips/b.wav", "cat")]
    assert said[0] == "read as Hugging Face AudioFolder metadata: file_name as path"


def table(names: list[str], *rows: tuple[object, ...]) -> Table:
    def select(wanted: Iterable[int]) -> Iterator[list[object]]:
        places = list(wanted)
        yield from ([row[at] for at in places] for row in rows)

    return Table(names, select)


def test_table() -> None:
    names = ["text", "duration_s", "path", "category", "start_s", "split"]
    rows, said = noted(
        table(names, ("x", 1.5, "a", "voice", None, "val"), ("y", None, "b", "music", 2, None)), Wishes()
    )
    assert rows == [ChunkRow("a", "voice", duration_s=1.5, split="val"), ChunkRow("b", "music", start_s=2.0)]
    assert [row.line for row in rows] == [1, 2]
    assert said == ["ignored column: 'text'; read: path, category, status, duration_s, start_s, split"]
    assert read(table(["file_name", "label"], ("a", 3)), Wishes(columns={"label": "category"})) == [ChunkRow("a", "3")]


def test_tables_count_rows_and_say_what_was_decided() -> None:
    rows, said = noted(table(["path", "category", "status"], (" a", "voice", None)), Wishes())
    assert rows == [ChunkRow(" a", "voice")]
    assert said == ["1 path with a blank at an end, kept", "1 row with an empty status, taken as READY"]
    for names, row, sentence in (
        (["path", "category"], ("a", "Voice"), "theirs, row 1: category 'Voice' is not 1 to 64 of a-z, 0-9, _ and -"),
        (["path", "label"], ("a", "x"), "theirs, row 1: it has no category; rename label to category, or say --map"),
    ):
        with pytest.raises(ManifestError) as caught:
            noted(table(names, row), Wishes())
        assert caught.value.sentences[0].startswith(sentence)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_delimiters_are_told_by_the_header(separator: str) -> None:
    text = (
        separator.join(["path", "category", "duration_s"]) + "\n" + separator.join(['"a,;\tb"', "voice", "1.5"]) + "\n"
    )
    content = text.replace("\t", " ") if separator != "\t" else text.replace(";\tb", "; b")
    (row,) = read(content, Wishes())
    assert (row.category, row.duration_s) == ("voice", 1.5)
    assert row.path == "a,; b"


def test_other_names_of_columns_are_mapped_and_ignored() -> None:
    content = "file;Kind;secs;state\na.wav;R&B;2;x\nb.wav;;3;y\n"
    columns = {"file": "path", "kind": "category", "secs": "duration_s", "state": ""}
    rows, said = noted(content, Wishes(category="custom", columns=columns))
    assert rows == [ChunkRow("a.wav", "r-b", duration_s=2.0), ChunkRow("b.wav", "custom", duration_s=3.0)]
    assert said == [
        "ignored column: 'state'; read: path, category, status, duration_s, start_s, split",
        "categories made out of other names: 'R&B' is r-b",
    ]


def test_one_category_for_all_is_stronger_than_a_column() -> None:
    rows, said = noted("path,category\na,Music\n", VOICE)
    assert rows == [ChunkRow("a", "voice")]
    assert said == ["ignored column: 'category'; read: path, category, status, duration_s, start_s, split"]


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16-LE", "Latin-1", "Windows-1252"])
def test_other_encodings_are_read_when_they_are_named(encoding: str) -> None:
    mark = "\ufeff" if encoding == "UTF-16-LE" else ""
    content = f"{mark}path,category\r\nJännér/a.wav,voice\r\n".encode(encoding)
    assert read(content, Wishes(encoding=encoding)) == [ChunkRow("Jännér/a.wav", "voice")]


def test_blanks_of_a_path_in_quotes_are_kept() -> None:
    rows, said = noted('path,category\n" a ",voice\n b ,voice\n', Wishes())
    assert [row.path for row in rows] == [" a ", "b"]
    assert said == [
        "blanks around 1 path left out; JSON Lines keeps them",
        "1 path with a blank at an end, kept",
    ]


NO_CATEGORY = "which has no category: --category NAME, --category-column {0}, or --map {0}=category"
PIPE = "its recording is the output of a command (it ends with a bar); write that into a file, and name the file"
MIXED = {"id": "m", "tracks": [{"cut": CUT, "offset": 0}], "type": "MixedCut"}


@pytest.mark.parametrize(
    ("content", "wishes", "sentence"),
    [
        (NEMO, Wishes(), f"line 1: it looks like a NeMo manifest, {NO_CATEGORY.format('COLUMN')}"),
        (
            '{"audio_filepath": "a", "duration": 1, "label": "x"}',
            Wishes(),
            f"line 1: it looks like a NeMo manifest, {NO_CATEGORY.format('label')}",
        ),
        (
            lines([CUT]),
            Wishes(),
            f"line 1: it looks like a Lhotse manifest, {NO_CATEGORY.format('domain')}",
        ),
        (
            AUDIOSET,
            Wishes(),
            f"line 1: it looks like an AudioSet segment list, {NO_CATEGORY.format('positive_labels')}",
        ),
        (
            KALDI["wav.scp"],
            Wishes(),
            f"line 1: it looks like a Kaldi folder, {NO_CATEGORY.format('utt2spk')}",
        ),
        (
            "file_name,label\na.wav,x\n",
            Wishes(),
            (
                "line 1: the header 'file_name,label' is not accepted: it looks like Hugging Face AudioFolder "
                f"metadata, {NO_CATEGORY.format('label')}"
            ),
        ),
        (
            "path\tlabel\n",
            Wishes(columns={"speaker": "category"}),
            "line 1: the header 'path\\tlabel' is not accepted: it has no column 'speaker'; it has path, label",
        ),
        (NEMO, Wishes(columns={"speaker": "category"}), "line 1: it has no 'speaker', which is to be its category"),
        (
            NEMO,
            Wishes(category="voice", columns={"part": "split"}),
            "line 1: no object has 'part', which was asked for",
        ),
        (
            "path,label\na,\n",
            Wishes(columns={"label": "category"}),
            "line 2: it has no category: its column is empty there; --category NAME gives such rows one",
        ),
        (
            '{"path": "a", "label": {"x": 1}}',
            Wishes(columns={"label": "category"}),
            "line 1: {'x': 1} is no label: accepted are text, whole numbers, and lists of them",
        ),
        (
            '{"audio_filepath": "a", "duration": NaN}',
            VOICE,
            "line 1: duration_s nan is not a finite number of seconds, 0 or more",
        ),
        (
            '{"audio_filepath": "a", "offset": 1e999}',
            VOICE,
            "line 1: start_s inf is not a finite number of seconds, 0 or more",
        ),
        (
            '{"audio_filepath": "a", "x": {"y": 1, "y": 2}}',
            VOICE,
            "line 1: it is not JSON: a name stands in an object more than once",
        ),
        (lines([MIXED]), VOICE, "line 1: it is a mix of several recordings (MixedCut), which is no chunk of a file"),
        (
            lines([{**CUT, "recording": None}]),
            VOICE,
            "line 1: it names no recording: cuts of features alone have no audio",
        ),
        (
            lines([{**STEREO, "sources": [{"type": "command", "channels": [0], "source": "sox a -t wav -"}]}]),
            VOICE,
            "line 1: its recording is of type 'command'; accepted are file and url",
        ),
        (
            "a sox a.sph -t wav - |\n",
            VOICE,
            f"line 1: {PIPE}",
        ),
        (
            "a /data/raw.ark:42\n",
            VOICE,
            "line 1: its recording is within an archive (.ark); write it into a file, and name the file",
        ),
        (
            AUDIOSET + 'x, 30.000, 20.000, "/m/1"\n',
            VOICE,
            "line 7: its end, 20 s, is not after its start, 30 s",
        ),
        (
            AUDIOSET + "x, 30.000, 40.000\n",
            VOICE,
            "line 7: 3 fields where there have to be ytid, start_seconds, end_seconds, positive_labels",
        ),
        (
            AUDIOSET,
            Wishes(labels={"/m/09x0r": "voice", "/m/068hy": "animals"}),
            "line 5: no --label names ['/m/03l9g']; --category NAME gives such rows a category",
        ),
        (
            "path,category,split\na,voice,Train\n",
            Wishes(),
            "line 2: split 'Train' is not 1 to 32 of a-z, 0-9, _ and -; the nearest accepted one is train",
        ),
        (
            "path;category;duration_s\na;voice;1,5\n",
            Wishes(),
            "line 2: duration_s '1,5' is not a finite number of seconds, 0 or more; a point is written before decimals",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(content: str, wishes: Wishes, sentence: str) -> None:
    said = refused(content, wishes)
    assert said[0].partition(" (and ")[0] == f"theirs, {sentence}"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "path,category\nJännér,voice\n".encode("latin-1"),
            (
                "line 2: it is not UTF-8 text, which is accepted (invalid continuation byte); it looks like Latin-1:"
                " --encoding Latin-1 reads it, iconv -f Latin-1 -t UTF-8 makes it"
            ),
        ),
        (
            "path,category\n\u201ca\u201d,voice\n".encode("cp1252"),
            (
                "line 2: it is not UTF-8 text, which is accepted (invalid start byte); it looks like Windows-1252:"
                " --encoding Windows-1252 reads it, iconv -f Windows-1252 -t UTF-8 makes it"
            ),
        ),
    ],
)
def test_other_encodings_are_named(content: bytes, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        list(Manifest("theirs", content.splitlines(keepends=True)).rows())
    assert caught.value.sentences == (f"theirs, {sentence}",)
    assert refused(b"path,category\n\xff\xfe,voice\n", Wishes(encoding="ascii")) == (
        "theirs, line 2: it is not text in the encoding ascii (ordinal not in range(128))",
    )


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"segments": "utt-1 rec-9 0 1\n"}, "theirs, line 1: its recording 'rec-9' is not in wav.scp"),
        (
            {"segments": "utt-1 rec-1 0\n"},
            "theirs, line 1: it has 3 fields; accepted are utterance, recording, start and end",
        ),
        ({"segments": "utt-1 rec-1 2 1\n"}, "theirs, line 1: its end, 1 s, is not after its start, 2 s"),
        (
            {"segments": "utt-1 rec-1 -1 1\n"},
            "theirs, line 1: start '-1' is not a finite number of seconds, 0 or more",
        ),
        (
            {"wav_scp": "rec-1 sph2pipe a.sph |\nrec-2 b.wav\n"},
            f"theirs, line 1: {PIPE}",
        ),
    ],
)
def test_broken_kaldi_folders(files: dict[str, str], sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        kaldi("segments", VOICE, **files)
    assert caught.value.sentences[0] == sentence


def test_recording_without_a_file_is_refused() -> None:
    assert refused("rec-1\n", Wishes("kaldi", category="voice")) == ("theirs, line 1: 'rec-1' is an id without a file",)
    with pytest.raises(ManifestError, match="line 1: path '' is not 1 to 2,000 bytes of text"):
        kaldi("segments", wav_scp="rec-1\nrec-2 a.wav\n")


def test_a_file_that_was_asked_for_has_to_be_there() -> None:
    with pytest.raises(ManifestError, match="theirs: there is no file 'utt2gender' beside it"):
        kaldi("segments", Wishes(columns={"utt2gender": "category"}))


def test_what_a_folder_says_itself_is_not_mapped() -> None:
    accepted = "accepted: --map FILE=NAME, where NAME is category, status, duration_s or split"
    with pytest.raises(ManifestError, match=f"^theirs: path is what wav.scp and segments say; {accepted}$"):
        kaldi("segments", Wishes(category="voice", columns={"utt2lang": "path"}))


def test_broken_durations_of_clips_are_said() -> None:
    clips = Folder("train.tsv", {"clip_durations.tsv": "clip\tduration[ms]\na.mp3\tlong\n"})
    assert refused(COMMON_VOICE, VOICE, clips) == (
        "clip_durations.tsv, line 2: duration[ms] 'long' is not a finite number of milliseconds, 0 or more",
    )


PIECES = [
    *NEMO.split(","),
    *json.dumps(CUT).split(","),
    *AUDIOSET.split(","),
    *COMMON_VOICE.split("\t"),
    *'{}[]",\n\t -1',
]


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.sampled_from([None, *FORMATS]),
    st.sampled_from([VOICE, Wishes(), Wishes(columns={"lang": "category"}), Wishes(labels={"de": "voice"})]),
    st.sampled_from(["", "segments"]),
)
def test_nothing_but_manifest_errors_comes_of_strange_content(
    content: str | bytes, asked: str | None, wishes: Wishes, lead: str
) -> None:
    text = content.encode() if isinstance(content, str) else content
    manifest = Manifest("theirs", [text], replace(wishes, format=asked), Folder(lead, KALDI))
    try:
        rows = list(manifest.rows())
        manifest.problems.raise_any()
    except ManifestError as error:
        assert error.sentences  # noqa: PT017 - most strange content is refused, but not all
    else:
        assert {len(row.path) > 0 for row in rows} == {True}
        assert manifest.notes.sentences() is not None
