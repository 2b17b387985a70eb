"""A manifest's bytes are read unchanged from a plain or packed file, or an error says why not."""

import bz2
import gzip
import lzma
import os
import re
import threading
from pathlib import Path

import pytest

from worker.adapters.manifest_file import manifest_name, manifest_portions, open_manifest
from worker.core.catalog.manifest import ChunkRow, Wishes
from worker.errors import ManifestError

CONTENT = b"path,category\n" + b"".join(b"a/%d.flac,voice\n" % number for number in range(50_000))
PACKED = {
    "csv": CONTENT,
    "gz": gzip.compress(CONTENT),
    "bz2": bz2.compress(CONTENT),
    "xz": lzma.compress(CONTENT, preset=0),
}


@pytest.mark.parametrize("ending", PACKED)
def test_content_is_what_was_packed_whatever_the_name_says(ending: str, tmp_path: Path) -> None:
    manifest = tmp_path / "library"
    manifest.write_bytes(PACKED[ending])
    assert b"".join(manifest_portions(manifest)) == CONTENT
    assert manifest_name(manifest) == "library"


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("between", [b"", b"\0" * 512])
def test_several_packed_one_after_the_other_are_read_on(ending: str, between: bytes, tmp_path: Path) -> None:
    manifest = tmp_path / "library"
    manifest.write_bytes(PACKED[ending] + between + PACKED[ending] + between)
    assert b"".join(manifest_portions(manifest)) == CONTENT * 2


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("damage", ["cut short", "changed", "something behind it"])
def test_damage_is_said(ending: str, damage: str, tmp_path: Path) -> None:
    packed = PACKED[ending]
    middle = len(packed) // 2
    changed = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle : middle + 50]) + packed[middle + 50 :]
    content = {"cut short": packed[:-10], "changed": changed, "something behind it": packed + b"path"}[damage]
    manifest = tmp_path / "library"
    manifest.write_bytes(content)
    with pytest.raises(ManifestError, match=r"^library is damaged: \w"):
        list(manifest_portions(manifest))


def test_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=re.escape("gone.csv cannot be read: No such file or directory")):
        list(manifest_portions(tmp_path / "gone.csv"))
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        list(manifest_portions(tmp_path))


def test_standard_input_is_named() -> None:
    assert manifest_name(Path("-")) == "standard input"


@pytest.mark.parametrize("way", ["file", "packed", "pipe"])
def test_table_is_read_wherever_it_comes_from(way: str, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"path": ["a", "b"], "category": ["voice", "music"]}), tmp_path / "plain")
    content, place = (tmp_path / "plain").read_bytes(), tmp_path / "library"
    if way == "pipe":
        os.mkfifo(place)
        threading.Thread(target=place.write_bytes, args=[content]).start()
    else:
        place.write_bytes(gzip.compress(content) if way == "packed" else content)
    with open_manifest(place) as manifest:
        assert [(row.path, row.category, row.line) for row in manifest.rows()] == [("a", "voice", 1), ("b", "music", 2)]
        assert manifest.problems.unit == "row"


def test_folder_of_kaldi_is_read_by_its_segments(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("r /data/r.wav\n")
    for name in (tmp_path, tmp_path / "wav.scp"):
        with open_manifest(name, Wishes(category="voice")) as manifest:
            assert list(manifest.rows()) == [ChunkRow("/data/r.wav", "voice")]
            assert manifest.problems.name == (f"{tmp_path.name}/wav.scp" if name == tmp_path else "wav.scp")
    (tmp_path / "segments").write_text("u r 1 2\n")
    with open_manifest(tmp_path, Wishes(category="voice")) as manifest:
        assert list(manifest.rows()) == [ChunkRow("/data/r.wav", "voice", duration_s=1.0, start_s=1.0)]
    with open_manifest(tmp_path / "wav.scp", Wishes(category="voice")) as manifest:
        assert len(list(manifest.rows())) == 1
        assert "segments beside it is not read: give the folder" in manifest.notes.sentences()


def test_files_beside_a_manifest_are_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("u voice\n")
    (tmp_path / "kaldi").mkdir()
    (tmp_path / "kaldi/wav.scp").write_text("u a.wav\n")
    wishes = Wishes(columns={"../secret": "category"})
    with (
        open_manifest(tmp_path / "kaldi", wishes) as manifest,
        pytest.raises(ManifestError, match=r"no file '\.\./secret'"),
    ):
        list(manifest.rows())


def test_folder_that_is_none_of_kaldi_is_refused(tmp_path: Path) -> None:
    accepted = "is a folder without wav.scp; accepted are files, Kaldi folders;"
    with pytest.raises(ManifestError, match=accepted), open_manifest(tmp_path):
        pass
