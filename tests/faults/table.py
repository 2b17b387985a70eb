"""Write the table of faults in README.md beside this file, out of what a run of the tests found.

    python -m pytest -m fault --junitxml=faults.xml; python tests/faults/table.py faults.xml [more.xml ...]

Of several files, later ones replace what earlier ones say of the same test.
"""

import argparse
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.cases import UNTESTED

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- tests/faults/table.py writes from here -->\n"
END = "<!-- to here -->\n"
SERVERS = {"valkey": "Valkey", "redis7": "Redis 7"}
_OUTCOMES = {None: "not run", True: "survived", False: "**failed**"}
_HEAD = ["| fault | cases | Valkey | Redis 7 | figure |", "|---|---|---|---|---|"]


@dataclass(slots=True)
class Row:
    """What the tests of one fault found.

    Attributes:
        words: What is broken.
        cases: Ids of the cases.
        passed: Kind of server -> whether all tests on it passed; "" where its kind plays no part.
        figures: What was measured -> (the largest value, unit).
    """

    words: str
    cases: tuple[str, ...]
    passed: dict[str, bool] = field(default_factory=dict)
    figures: dict[str, tuple[float, str]] = field(default_factory=dict)

    def note(self, kind: str, figures: Iterable[str], *, passed: bool) -> None:
        """Add what one of the tests found on a kind of server."""
        self.passed[kind] = self.passed.get(kind, True) and passed
        for text in figures:
            what, value, unit = text.split("|")
            self.figures[what] = max(self.figures.get(what, (0.0, unit)), (float(value), unit))

    @property
    def line(self) -> str:
        """Write it as a row."""
        if "" in self.passed:
            shown = [_OUTCOMES[self.passed[""]], "no difference"]
        else:
            shown = [_OUTCOMES[self.passed.get(kind)] for kind in SERVERS]
        figures = ", ".join(f"{what} {write_figure(value, unit)}" for what, (value, unit) in self.figures.items())
        return f"| {self.words} | {', '.join(self.cases)} | {' | '.join(shown)} | {figures} |"


def read_rows(files: Iterable[Path]) -> list[Row]:
    """Read JUnit files into rows, in the order of their cases.

    Raises:
        ValueError: No test of a fault is in them.
    """
    found = {(one.get("classname"), one.get("name")): one for file in files for one in ET.parse(file).iter("testcase")}
    rows: dict[str, Row] = {}
    for test in found.values():
        properties = [(one.get("name", ""), one.get("value", "")) for one in test.iter("property")]
        about = dict(properties)
        if "fault" in about:
            row = rows.setdefault(about["fault"], Row(about["fault"], tuple(about["cases"].split())))
            row.note(
                about["server"], (value for name, value in properties if name == "figure"), passed=_has_passed(test)
            )
    if not rows:
        raise ValueError("no test of a fault is in these files; run `python -m pytest -m fault --junitxml=FILE`")
    return sorted(rows.values(), key=lambda row: (row.cases or ("Z",), row.words))


def write_figure(value: float, unit: str) -> str:
    """Write a figure for people: times below a second in ms, at most two digits that say something."""
    if unit == "s" and value < 1:
        milliseconds = value * 1000
        return f"{float(f'{milliseconds:.2g}'):.0f} ms" if milliseconds >= 1 else "under 1 ms"
    return (f"{value:,.0f}" if value >= 10 else f"{value:.2g}") + (f" {unit}" if unit else "")


def _has_passed(test: ET.Element) -> bool:
    return not any(test.find(sign) is not None for sign in ("failure", "error", "skipped"))


def table(rows: Sequence[Row]) -> str:
    """Write the count, the table of what tests broke, then the cases that no test breaks, and why."""
    survived = sum(all(row.passed.values()) for row in rows)
    count = f"{len(rows)} faults, {survived} survived. No test breaks {len(UNTESTED)} cases, listed at the end."
    return "\n".join([count, "", *_HEAD, *(row.line for row in rows), "", *_untested()]) + "\n"


def _untested() -> Iterator[str]:
    yield "| case that no test breaks | outcome | why |"
    yield "|---|---|---|"
    for one in UNTESTED:
        yield f"| {one.words} ({', '.join(one.cases)}) | {one.outcome} | {one.why} |"


def put(text: str, shown: str) -> str:
    """Replace the table in a text."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{shown}{END}{rest.partition(END)[2]}"


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="written by pytest's --junitxml")
    rows = read_rows(parser.parse_args().files)
    README.write_text(put(README.read_text(), table(rows)))
    failed = [row.words for row in rows if not all(row.passed.values())]
    print(f"{len(rows)} faults, {len(failed)} not survived", *failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
