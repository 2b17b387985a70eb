"""Ids of chunks as words, and in files as editors and spreadsheets write them."""

from pathlib import Path
from uuid import UUID

import pytest

from worker.cli.typed_ids import read_ids
from worker.errors import SettingsError

_UUID = "018f3f3e-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    "text",
    [
        b"1\n2\n3\n",
        b"\xef\xbb\xbf1\r\n2\r\n\r\n  3  \r\n",
        b"1 2\t3",
        b"3\n2\n1\n1\n",
        b"1\r2\r3",
    ],
)
def test_a_file_of_ids_may_come_from_any_editor(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "ids").write_bytes(text)
    assert read_ids((), tmp_path / "ids") == {1, 2, 3}
    assert read_ids(("4", "1"), tmp_path / "ids") == {1, 2, 3, 4}


def test_uuids_are_ids() -> None:
    assert read_ids((_UUID, _UUID.upper()), None) == {UUID(_UUID)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"id\n1\n", "line 1: 'id' is no chunk id"),
        (b"1\n\n2\n3,voice\n", "line 4: '3,voice' is no chunk id"),
        (b"# held out\n1\n", "line 1: '#' is no chunk id"),
        (b'"1"\n', "line 1: '\"1\"' is no chunk id"),
        (b"1\n99999999999999999999\n", "line 2: '99999999999999999999' is no chunk id"),
        (b"", "holds no id"),
        (b"\r\n \n", "holds no id"),
        ("1\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_line(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "ids").write_bytes(text)
    with pytest.raises(SettingsError) as refused:
        read_ids((), tmp_path / "ids")
    assert said in str(refused.value)
    assert "accepted: a text in UTF-8 with one id a line" in str(refused.value)


@pytest.mark.parametrize("file", ["none", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_ids((), tmp_path / file)


def test_no_ids_at_all_are_refused() -> None:
    with pytest.raises(SettingsError, match="it is not said which chunks"):
        read_ids((), None)
