"""What `up` prints on a terminal, and which verb brings a library in."""

from pathlib import Path

import click
import pytest

from worker.cli.commands import app
from worker.cli.up import _library_text, _status_text, _verb, _weights_text
from worker.cli.verbs.start import _words
from worker.run_dir.announcement import Announcement
from worker.up import Shown, Status

_WHERE = Announcement(1, "", 0.0, "/data", "/log", {})


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (Status(None, 1, None), "1 chunk READY"),
        (Status(12.34, 2000, {"voice": 0.7, "music": 0.3}), "12.3 requests/s  2,000 chunks READY  weights voice 70.0%"),
        (Status(None, 0, None, "Redis does not answer"), "Redis does not answer"),
    ],
)
def test_the_status_is_a_line(status: Status, line: str) -> None:
    assert line in _status_text(status)
    assert "\n" not in _status_text(status)


@pytest.mark.parametrize(
    ("ready", "by_query", "words"),
    [
        ({"voice": 1000, "music": 1}, False, "1,001 chunks READY in 2 categories"),
        ({"voice": 1}, False, "1 chunk READY in 1 category"),
        ({}, False, "no chunk is READY yet; sampling-worker catalog scan DIR"),
        ({}, True, "chunks are those of WORKER_CHUNKS_QUERY"),
    ],
)
def test_what_there_is_to_draw_is_said(ready: dict[str, int], by_query: bool, words: str) -> None:  # noqa: FBT001 - a case
    assert _library_text(Shown(_WHERE, 1.0, ready, by_query)).startswith(words)


def test_weights_are_an_example_of_the_largest_categories() -> None:
    assert _weights_text({"a": 1, "b": 9, "c": 5, "d": 7}) == "b=0.7 d=0.2 c=0.1"
    assert _weights_text({"a": 1, "b": 9}) == "b=0.7 a=0.3"
    assert _weights_text({"a": 1}) == "a=1"
    assert _weights_text({}) == "voice=0.7 music=0.2 documentary=0.1"


def test_a_folder_is_scanned_and_a_manifest_imported(tmp_path: Path) -> None:
    manifest = tmp_path / "a b.csv"
    manifest.touch()
    assert _verb(None, []) == []
    assert _verb(tmp_path, ["--segment", "3.0"]) == ["catalog", "scan", "--segment", "3.0", "--", str(tmp_path)]
    assert _verb(manifest, ["--category", "--a"]) == ["catalog", "import", "--category", "--a", "--", str(manifest)]
    (tmp_path / "wav.scp").touch()
    assert _verb(tmp_path, []) == ["catalog", "import", "--", str(tmp_path)]


@pytest.mark.parametrize(
    ("library", "options", "words"),
    [
        (None, ["--segment", "3"], "--segment is for a LIBRARY"),
        ("nothing", [], "there is no file or folder '.*nothing'"),
        ("a.csv", ["--category", "a", "--segment", "3"], "--segment is for a folder of audio, and '.*' is a manifest"),
    ],
)
def test_a_library_that_cannot_be_is_refused(
    tmp_path: Path, library: str | None, options: list[str], words: str
) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(click.BadParameter, match=words):
        _verb(tmp_path / library if library else None, options)


def test_options_of_a_scan_are_passed_on_as_they_were_given() -> None:
    up = app.commands["up"]
    words = ["--split", "val=0.1", "--split", "test=0.1", "--segment", "3", "--by", "folder", "--shortest", "0"]
    given = up.make_context("up", ["lib", *words]).params
    scanning = {name: given[name] for name in given.keys() - {"library", "data", "port", "database_port", "desk"}}
    again = app.commands["catalog"].commands["scan"].make_context("scan", [*_words(scanning), "lib"]).params  # type: ignore[attr-defined]
    assert {name: again[name] for name in scanning} == scanning
