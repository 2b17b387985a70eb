"""A manifest's bytes come as they are, out of a file or out of what packs it, or it is said why not."""

import bz2
import gzip
import lzma
import re
from pathlib import Path

import pytest

from worker.adapters.manifest_file import manifest_name, manifest_portions
from worker.errors import ManifestError

CONTENT = b"path,category\n" + b"".join(b"a/%d.flac,voice\n" % number for number in range(50_000))
PACKED = {"csv": CONTENT, "gz": gzip.compress(CONTENT), "bz2": bz2.compress(CONTENT), "xz": lzma.compress(CONTENT)}


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
