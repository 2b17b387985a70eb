"""Write the tables of tests/bench/README.md from the figures that the benchmarks printed.

python tests/bench/readme.py
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.printed import FIGURES, Row, read_benches

README = Path(__file__).parent / "README.md"
_BEGIN, _END = "<!-- figures: {} -->\n", "<!-- end of figures -->\n"


@dataclass(frozen=True, slots=True)
class Table:
    """Which rows and columns of a benchmark are shown.

    Attributes:
        columns: Name in the figures -> name in the table.
        is_shown: Whether a row is shown.
    """

    columns: Mapping[str, str]
    is_shown: Callable[[Row], bool] = lambda _row: True


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split(", ")}


TABLES = {
    "throughput": Table(
        _same(
            "size, encoding, workers, requests/s, chunk ids/s, ceiling requests/s, ratio, worker us/request, "
            "server us/request"
        )
    ),
    "latency": Table(
        {
            **_same("size, percentile"),
            "ours us": "ours (us)",
            "echo us": "echo in C (us)",
            "ratio": "ratio",
            "script us": "settling script (us)",
        },
        lambda row: row["load"] == "closed",
    ),
    "weights": Table(
        {
            "what": "what",
            "p50 ms": "p50 (ms)",
            "p99 ms": "p99 (ms)",
            **_same("reference, its p50, its p99"),
            "requests/s": "load (requests/s)",
            "checked": "results checked",
            "broken": "broken",
        }
    ),
    "draw": Table(
        {
            **_same("method, replace, seeded"),
            "ns/id": "ns an id",
            "us/request": "us a request on top",
            "plain ns/id": "plain ns an id",
        },
        lambda row: row["way"] == "draw",
    ),
    "client": Table(
        {
            **_same("step, loop, steps/s, waited %"),
            "wait p50 us": "p50 (us)",
            "wait p99 us": "p99 (us)",
            "wait mean us": "mean (us)",
        }
    ),
    "catalog": Table({"rows": "chunks", **_same("what, value, plain")}),
    "peers": Table(
        {
            **_same("peer, version, requests/s"),
            "ours/this": "ours / this",
            "CPU us/request": "CPU us/request",
            "round trip p50 ms": "round trip p50 (ms)",
        }
    ),
    "sql": Table(
        {
            **_same("what, size, chunk ids/s"),
            "ours/this, one by one": "ours one by one / this",
            "ours/this, backlog": "ours with a backlog / this",
            "biased": "biased",
        }
    ),
    "growth": Table(_same("what, value, requests/s, ratio, worker us/request, server us/request, still ms")),
}


def write_table(name: str) -> str:
    """Write the table of a benchmark, out of its figures."""
    lines = (FIGURES / f"{name}.json").read_text(encoding="utf-8").splitlines()
    bench, table = next(read_benches(lines)), TABLES[name]
    rows = [row for row in bench.rows if table.is_shown(row)]
    right = [all(_is_right(row[column]) for row in rows) for column in table.columns]
    head = [_line(table.columns.values()), "|" + "|".join("---:" if side else "---" for side in right) + "|\n"]
    measured = f"\nMeasured on {bench.date}, {bench.machine}, Python {bench.python}.\n"
    return "".join([*head, *(_line(_shown(row[column]) for column in table.columns) for row in rows), measured])


def put_tables(text: str) -> str:
    """Put each table in its place in a text.

    Raises:
        ValueError: A table has no place.
    """
    for name in TABLES:
        before, begin, rest = text.partition(_BEGIN.format(name))
        if not begin:
            raise ValueError(f"there is no place for {name}; accepted: a line {_BEGIN.format(name).strip()}")
        text = f"{before}{begin}{write_table(name)}{_END}{rest.partition(_END)[2]}"
    return text


def _line(cells: Iterator[str] | Any) -> str:
    return f"| {' | '.join(cells)} |\n"


def _is_right(value: Any) -> bool:
    return isinstance(value, int | float) or value == "-"


def _shown(value: Any) -> str:
    """Write a value with three or four digits."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def main() -> int:
    """Run the program."""
    README.write_text(put_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
