"""What a benchmark prints with --json, as its figures are kept in tests/bench/figures."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parent / "figures"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """The figures of one benchmark.

    Attributes:
        name: Such as `throughput`.
        machine: Number and name of its processors.
        python: Version.
        date: Day of the run, ISO 8601.
        rows: Flat rows, at least one.
    """

    name: str
    machine: str
    python: str
    date: str
    rows: tuple[Row, ...]


def read_benches(lines: Iterable[str]) -> Iterator[Bench]:
    """Read benchmarks, one from each line.

    Raises:
        ValueError: A line has no rows.
    """
    for line in lines:
        entry = json.loads(line)
        rows = tuple(entry["rows"])
        if not rows:
            raise ValueError(f"{entry['bench']} has no rows; accepted: at least one")
        name, machine, python, date = (str(entry.get(field, "")) for field in ("bench", "machine", "python", "date"))
        yield Bench(name, machine, python, date, rows)
