"""Tables are read at any width, by people and by programs: no cell is cut, and colours are for terminals alone."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from worker.cli.printing import print_table, print_text
from worker.cli.words import Clock, Score, Share
from worker.settings.environment import environment_with

COLUMNS = ("category", "count", "share", "h:min:s", "z")
ROWS = [("voice", 11_442, Share(0.5163), Clock(3661), Score(0.204)), ("документ", 7, Share(1e-6), "", Score(-12.0))]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table("global weights", COLUMNS, ROWS)
    return capsys.readouterr().out.splitlines()


def test_text_stands_to_the_left_and_numbers_to_the_right(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 80) == [
        "global weights",
        "category   count  share  h:min:s       z",
        "─" * 40,
        "voice     11,442  51.6%  1:01:01   +0.20",
        "документ       7  <0.1%           -12.00",
    ]


@pytest.mark.parametrize("width", [20, 39])
def test_where_a_table_has_no_room_each_row_is_a_block(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    assert printed(capsys, monkeypatch, width) == [
        "global weights",
        "voice",
        "  count: 11,442",
        "  share: 51.6%",
        "  h:min:s: 1:01:01",
        "  z: +0.20",
        "документ",
        "  count: 7",
        "  share: <0.1%",
        "  z: -12.00",
    ]


def test_letters_of_double_width_stay_in_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table("t", ("session", "requests"), [("日本", 1), ("e\u0301te", 12)])
    assert capsys.readouterr().out.splitlines()[3:] == ["日本            1", "e\u0301te            12"]


def test_what_strangers_wrote_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_text("a\x1b[2Jb")
    print_table("t\x1b[0m", ("name",), [("c\nd",)])
    assert "\x1b" not in (out := capsys.readouterr().out)
    assert len(out.splitlines()) == 5


PROGRAM = """
from worker.cli.printing import print_table, print_text
from worker.cli.words import Score
print_text("done", "fits")
print_table("t", ("z",), [(Score(1),), (Score(-4),), (Score(9),)])
"""


def on_a_terminal(tmp_path: Path, **more: str) -> str:
    ours, theirs = pty.openpty()
    environ = environment_with({"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", **more})
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environ, cwd=tmp_path, stdout=theirs) as process:
        os.close(theirs)
        seen = bytearray()
        try:
            while block := os.read(ours, 4096):
                seen += block
        except OSError:  # what a terminal says once nobody has its other end
            os.close(ours)
    assert process.returncode == 0
    return seen.decode()


def test_a_terminal_sees_what_fits_waits_and_is_wrong_in_colours(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path)
    for text, colour in (("done", 32), ("+1.00", 32), ("-4.00", 33), ("+9.00", 31)):
        assert f"\x1b[{colour}m{text}\x1b[0m" in shown


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_who_wants_no_colours_gets_none(tmp_path: Path, more: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(tmp_path, **more)
