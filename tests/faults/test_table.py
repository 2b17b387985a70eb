"""The table of faults is complete: each case has a test or a reason, and each test its row."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.faults.cases import ALL, UNTESTED
from tests.faults.table import BEGIN, END, README, Row, put, read_rows, table, write_figure

_TESTS = Path(__file__).parents[1]
_PAGES = [_TESTS / "README.md", _TESTS.parent / "README.md", _TESTS.parent / "worker" / "PROTOCOL.md", README]
_JUNIT = """<testsuites><testsuite>
<testcase classname="t" name="a[valkey]"><properties>
  <property name="fault" value="it breaks" /><property name="cases" value="A01 A02" />
  <property name="server" value="valkey" /><property name="figure" value="recovered in|1.25|s" />
</properties></testcase>
<testcase classname="t" name="a[redis7]"><properties>
  <property name="fault" value="it breaks" /><property name="cases" value="A01 A02" />
  <property name="server" value="redis7" /><property name="figure" value="recovered in|2.5|s" />
</properties>{failure}</testcase>
<testcase classname="t" name="ordinary" />
</testsuite></testsuites>"""


@cache
def _markers() -> list[tuple[str, ...]]:
    """Find the arguments of every `fault` marker in the tests."""
    texts = [path.read_text() for path in sorted(_TESTS.rglob("test_*.py"))]
    return [
        tuple(ast.literal_eval(argument) for argument in node.args)
        for text in texts
        if "pytest.mark.fault" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"
    ]


def test_every_case_has_a_test_or_a_reason_and_not_both() -> None:
    tested = {case for _, *cases in _markers() for case in cases}
    explained = [case for one in UNTESTED for case in one.cases]
    assert tested | set(explained) == ALL
    assert not tested & set(explained)
    assert len(explained) == len(set(explained))


def test_every_fault_has_its_row_in_the_readme_and_survives() -> None:
    shown = README.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()
    rows = {line.split(" | ")[0].removeprefix("| ") for line in shown}
    assert {words for words, *_ in _markers()} - rows == set()
    assert not [line for line in shown if "**failed**" in line]


@pytest.mark.parametrize("page", _PAGES)
def test_pages_say_how_many_faults_there_are(page: Path) -> None:
    faults = {words for words, *_ in _markers()}
    assert set(re.findall(r"(?<![\d,])(\d+) faults", page.read_text())) == {str(len(faults))}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (2.2e-05, "s", "under 1 ms"),
        (0.0096, "s", "10 ms"),
        (0.861, "s", "860 ms"),
        (1.75, "s", "1.8 s"),
        (30.4, "s", "30 s"),
        (204.3, "MB", "204 MB"),
        (1204.0, "", "1,204"),
    ],
)
def test_figures_are_for_people(value: float, unit: str, shown: str) -> None:
    assert write_figure(value, unit) == shown


@pytest.mark.parametrize(("failure", "told"), [("", "survived"), ("<failure />", "**failed**")])
def test_a_row_says_what_the_tests_of_a_fault_found(tmp_path: Path, failure: str, told: str) -> None:
    file = tmp_path / "faults.xml"
    file.write_text(_JUNIT.format(failure=failure))
    [row] = read_rows([file])
    assert row.line == f"| it breaks | A01, A02 | survived | {told} | recovered in 2.5 s |"


def test_a_later_file_replaces_what_an_earlier_one_says_of_a_test(tmp_path: Path) -> None:
    earlier, later = tmp_path / "1.xml", tmp_path / "2.xml"
    earlier.write_text(_JUNIT.format(failure="<error />"))
    later.write_text(_JUNIT.format(failure=""))
    assert all(read_rows([earlier, later])[0].passed.values())


def test_files_without_a_fault_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.xml"
    file.write_text("<testsuites />")
    with pytest.raises(ValueError, match="no test of a fault"):
        read_rows([file])


def test_the_table_takes_the_place_of_the_one_before() -> None:
    text = f"before\n{BEGIN}old\n{END}after\n"
    shown = table([Row("it breaks", ("A01",), {"": True})])
    assert put(text, shown) == f"before\n{BEGIN}{shown}{END}after\n"
    assert "| it breaks | A01 | survived | no difference |  |" in shown
