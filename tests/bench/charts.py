"""The chart that shows a benchmark: one for each known benchmark, and one that suits any rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.printed import Bench, Row

Kind = Literal["bars", "lines", "table"]
_MOST_COLUMNS = 8
_MISSING = (None, "", "-")


@dataclass(frozen=True, slots=True)
class Chart:
    """How rows are drawn.

    Attributes:
        kind: Bars for each row, lines over a column, or a table of the rows.
        groups: Columns that are drawn. Those of one group have the same unit and share an axis.
        x: Column that lines are drawn over.
        by: Column that tells lines apart; "" for one line for each column.
        log: Whether values are shown on a logarithmic scale.
    """

    kind: Kind
    groups: tuple[tuple[str, ...], ...] = ()
    x: str = ""
    by: str = ""
    log: bool = False


_KNOWN = {
    "throughput": Chart(
        "bars",
        (
            ("requests/s", "ceiling requests/s"),
            ("chunk ids/s",),
            ("ratio",),
            ("worker us/request", "server us/request", "ceiling server us/request"),
        ),
    ),
    "latency": Chart("bars", (("ours us", "echo us", "ping us"), ("ratio",)), log=True),
    "ordinary": Chart("table"),
    "weights": Chart("bars", (("p50 ms", "its p50"), ("p99 ms", "its p99"), ("ratio p99",)), log=True),
    "peers": Chart(
        "bars", (("requests/s", "ours requests/s"), ("CPU us/request", "ours CPU us/request"), ("ours/this",)), log=True
    ),
    "growth": Chart("lines", (("requests/s",), ("ratio",)), x="value", by="what", log=True),
    "catalog": Chart("table"),
}


def chart_of(bench: Bench) -> Chart:
    """Choose the chart of a benchmark. One whose columns are not as expected gets the chart for any rows."""
    known, numeric = _KNOWN.get(bench.name), numeric_columns(bench.rows)
    if known is not None:
        groups = tuple(
            present for group in known.groups if (present := tuple(name for name in group if name in numeric))
        )
        has_axis = known.kind != "lines" or known.x in numeric
        if (groups or known.kind == "table") and has_axis:
            return Chart(known.kind, groups, known.x, known.by, known.log)
    return Chart("bars", tuple((name,) for name in numeric[:_MOST_COLUMNS])) if numeric else Chart("table")


def numeric_columns(rows: Sequence[Row]) -> list[str]:
    """List the columns that hold only numbers and gaps, in their order."""
    return [name for name in columns(rows) if _is_numeric(rows, name)]


def columns(rows: Sequence[Row]) -> list[str]:
    """List all columns, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def label_columns(bench: Bench, chart: Chart) -> list[str]:
    """List the columns that tell rows apart: those before the first that is drawn, or else all that hold words."""
    names, numeric = columns(bench.rows), numeric_columns(bench.rows)
    before = names[: min(names.index(name) for group in chart.groups for name in group)]
    return before or [name for name in names if name not in numeric and not _is_empty(bench.rows, name)]


def hidden_columns(bench: Bench, chart: Chart) -> list[str]:
    """List the columns with values that the chart leaves out."""
    if chart.kind == "table":
        return []
    told = {chart.x, chart.by, *label_columns(bench, chart), *(name for group in chart.groups for name in group)}
    return [name for name in columns(bench.rows) if name not in told and not _is_empty(bench.rows, name)]


def _is_empty(rows: Sequence[Row], column: str) -> bool:
    return all(row.get(column) in _MISSING for row in rows)


def value_of(row: Row, column: str) -> float | None:
    """Read a number of a row; None where there is none."""
    value = row.get(column)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def shown(value: Any) -> str:
    """Write a value for people."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _is_numeric(rows: Sequence[Row], column: str) -> bool:
    others = [row.get(column) for row in rows if value_of(row, column) is None]
    return len(others) < len(rows) and all(value in _MISSING for value in others)
