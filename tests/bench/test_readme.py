"""README.md of the benchmarks: its tables are those of the figures, and each program is named."""

import re
from pathlib import Path

from tests.bench.printed import FIGURES
from tests.bench.readme import README, TABLES, write_tables

TEXT = README.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_figures() -> None:
    assert write_tables(TEXT) == TEXT


def test_every_figure_has_a_table() -> None:
    shown = re.findall(r"<!-- figures: (\w+) -->", TEXT)
    assert sorted(shown) == sorted(TABLES) == sorted(path.stem for path in FIGURES.glob("*.json"))


def test_every_program_is_named() -> None:
    modules = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
    programs = {name for name, text in modules.items() if "arguments(__doc__)" in text and not name.startswith("test_")}
    assert {name for name in programs if f"tests/bench/{name}" not in TEXT} == set()
