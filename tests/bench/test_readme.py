"""The tables of tests/bench/README.md, held against the figures."""

import pytest

from tests.bench.printed import FIGURES
from tests.bench.readme import README, TABLES, put_tables, write_table


def test_the_tables_show_the_figures() -> None:
    text = README.read_text(encoding="utf-8")
    assert put_tables(text) == text, "run `python tests/bench/readme.py`"


def test_every_file_of_figures_has_a_table() -> None:
    assert {path.stem for path in FIGURES.glob("*.json")} == TABLES.keys()


def test_every_benchmark_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    files = [path for path in FIGURES.parent.glob("*.py") if not path.name.startswith("test_")]
    programs = [path.name for path in files if "parser = arguments(__doc__)" in path.read_text(encoding="utf-8")]
    assert len(programs) >= len(TABLES)
    assert [name for name in programs if f"python tests/bench/{name}" not in text] == []


def test_a_readme_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no place for throughput"):
        put_tables("# Benchmarks\n")


def test_values_have_three_or_four_digits() -> None:
    assert "| 115,578 |" in write_table("throughput")
    assert "| 0.818 | 5.825 |" in write_table("throughput")
    assert "| 27.0 |" in write_table("throughput")
