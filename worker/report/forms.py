"""In which form a benchmark is shown: a table of the known ones, and a form that suits any rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from worker.report.records import LARGEST, Bench, Fields

Kind = Literal["bars", "lines", "table"]
_MOST_COLUMNS = 8
_MISSING = (None, "", "-")


@dataclass(frozen=True, slots=True)
class Form:
    """Say how rows are shown.

    Attributes:
        kind: Bars a row, lines over a column, or the rows as they are.
        groups: Columns that are shown; those of one group have the same unit and share an axis.
        x: Column that lines are drawn over.
        by: Column that tells lines apart; "" where there is one line a group and column.
        log: Whether values are shown on a logarithmic scale.
    """

    kind: Kind
    groups: tuple[tuple[str, ...], ...] = ()
    x: str = ""
    by: str = ""
    log: bool = False


_KNOWN = {
    "throughput": Form(
        "bars",
        (
            ("requests/s", "ceiling requests/s"),
            ("chunk ids/s",),
            ("ratio",),
            ("worker us/request", "server us/request", "ceiling server us/request"),
        ),
    ),
    "latency": Form("bars", (("ours us", "echo us", "ping us"), ("ratio",)), log=True),
    "weights": Form("bars", (("p50 ms", "its p50"), ("p99 ms", "its p99"), ("ratio p99",)), log=True),
    "peers": Form(
        "bars", (("requests/s", "ours requests/s"), ("CPU us/request", "ours CPU us/request"), ("ours/this",)), log=True
    ),
    "growth": Form("lines", (("requests/s",), ("ratio",)), x="value", by="what", log=True),
    "catalog": Form("table"),
}


def form_of(bench: Bench) -> Form:
    """Choose the form of a benchmark; one whose columns are not as expected gets the form for any rows."""
    known, numeric = _KNOWN.get(bench.name), numeric_columns(bench.rows)
    if known is not None:
        groups = tuple(
            present for group in known.groups if (present := tuple(name for name in group if name in numeric))
        )
        has_axis = known.kind != "lines" or known.x in numeric
        if (groups or known.kind == "table") and has_axis:
            return Form(known.kind, groups, known.x, known.by, known.log)
    return Form("bars", tuple((name,) for name in numeric[:_MOST_COLUMNS])) if numeric else Form("table")


def numeric_columns(rows: Sequence[Fields]) -> list[str]:
    """List the columns that hold numbers and nothing else but gaps, in their order."""
    return [name for name in columns(rows) if _is_numeric(rows, name)]


def columns(rows: Sequence[Fields]) -> list[str]:
    """List all columns, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def label_columns(bench: Bench, form: Form) -> list[str]:
    """List the columns that tell rows apart: those before the first that is shown, else all that hold words."""
    names, numeric = columns(bench.rows), numeric_columns(bench.rows)
    before = names[: min(names.index(name) for group in form.groups for name in group)]
    return before or [name for name in names if name not in numeric and not _is_empty(bench.rows, name)]


def hidden_columns(bench: Bench, form: Form) -> list[str]:
    """List the columns that the form leaves out, those without any value aside."""
    if form.kind == "table":
        return []
    told = {form.x, form.by, *label_columns(bench, form), *(name for group in form.groups for name in group)}
    return [name for name in columns(bench.rows) if name not in told and not _is_empty(bench.rows, name)]


def _is_empty(rows: Sequence[Fields], column: str) -> bool:
    return all(row.get(column) in _MISSING for row in rows)


def value_of(row: Fields, column: str) -> float | None:
    """Read a number of a row; None where there is none."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
        return None
    return float(value)


def shown(value: Any) -> str:
    """Write a value for people."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 1000:  # noqa: PLR2004 - four digits need no point
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _is_numeric(rows: Sequence[Fields], column: str) -> bool:
    others = [row.get(column) for row in rows if value_of(row, column) is None]
    return len(others) < len(rows) and all(value in _MISSING for value in others)
