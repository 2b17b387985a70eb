"""Write the tables of README.md beside this file, out of the figures.

    python tests/bench/readme.py

The text between the tables is written by hand. A table stands between `<!-- figures: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.printed import FIGURES, Bench, Row, read_benches

README: Final = Path(__file__).with_name("README.md")
_TABLE: Final = re.compile(r"(?<=<!-- figures: )(\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)
_SMALL, _MIDDLE = 10, 100


@dataclass(frozen=True, slots=True)
class Table:
    """A table of README.md.

    Attributes:
        columns: Title of each column -> its name in the figures.
        only: Column -> the value that rows of the table have.
        across: Column whose values become columns; "" for none. Then the others of `columns` name rows.
        cells: What stands in these columns, and half its interval: names in the figures, in thousandths.
    """

    columns: Mapping[str, str]
    only: Mapping[str, str] = field(default_factory=dict)
    across: str = ""
    cells: tuple[str, str] = ("", "")


TABLES: Final[Mapping[str, Table]] = {
    "throughput": Table(
        {
            "size": "size",
            "encoding": "encoding",
            "workers": "workers",
            "requests/s": "requests/s",
            "chunk ids/s": "chunk ids/s",
            "ceiling requests/s": "ceiling requests/s",
            "ratio": "ratio",
            "worker us/request": "worker us/request",
            "server us/request": "server us/request",
        }
    ),
    "latency": Table(
        {
            "size": "size",
            "percentile": "percentile",
            "ours (us)": "ours us",
            "echo in C (us)": "echo us",
            "ratio": "ratio",
            "settling script (us)": "script us",
        },
        {"load": "closed"},
    ),
    "ordinary": Table(
        {
            "load": "load",
            "figure": "figure",
            "ours": "ours",
            "least in Python": "least",
            "ours / least": "ours/least",
            "echo in C": "echo",
            "ours / echo": "ours/echo",
            "FastStream in batches": "faststream-batch",
            "ours / this": "ours/faststream-batch",
            "FastStream": "faststream",
        }
    ),
    "weights": Table(
        {
            "what": "what",
            "p50 (ms)": "p50 ms",
            "p99 (ms)": "p99 ms",
            "reference": "reference",
            "its p50": "its p50",
            "its p99": "its p99",
            "load (requests/s)": "requests/s",
            "results checked": "checked",
            "broken": "broken",
        }
    ),
    "draw": Table(
        {
            "method": "method",
            "replace": "replace",
            "seeded": "seeded",
            "ns an id": "ns/id",
            "us a request on top": "us/request",
            "plain ns an id": "plain ns/id",
        },
        {"way": "draw"},
    ),
    "buckets": Table(
        {
            "library": "library",
            "batches": "batches",
            "padding %": "padding %",
            "real / padded": "real / padded",
            "ids a batch": "ids a batch",
            "fullest (s)": "fullest s",
            "mix off by (points)": "off by",
        }
    ),
    "buckets_cost": Table(
        {
            "library": "library",
            "chunks": "chunks",
            "method": "method",
            "replace": "replace",
            "requests": "requests",
            "plain (us)": "plain us",
            "10 buckets": "buckets 10 us",
            "ratio": "ratio 10",
            "64 buckets": "buckets 64 us",
            "ratio ": "ratio 64",
        }
    ),
    "bucket_training": Table(
        {
            "batches": "batches",
            "steps": "steps",
            "sounds a batch": "sounds a batch",
            "fullest (s)": "fullest s",
            "padding %": "padding %",
            "CPU s an epoch": "CPU s an epoch",
            "of plain": "of plain",
            "mix off by (points)": "off by",
            "z": "z",
            "held-out loss": "held-out loss",
        }
    ),
    "client": Table(
        {
            "step": "step",
            "loop": "loop",
            "steps/s": "steps/s",
            "waited %": "waited %",
            "p50 (us)": "wait p50 us",
            "p99 (us)": "wait p99 us",
            "mean (us)": "wait mean us",
        }
    ),
    "feedback": Table(
        {
            "losses": "losses",
            "chunks": "chunks",
            "us/step": "us/step",
            "slowest round": "us/step max",
            "without a report": "us/step without a report",
            "of (us)": "of us",
        }
    ),
    "catalog": Table({"chunks": "rows", "what": "what", "value": "value", "plain": "plain"}),
    "cold_start": Table(
        {
            "turns": "turns",
            "reading at once": "reading at once",
            "sessions": "sessions",
            "refused": "refused",
            "first ready (s)": "first ready s",
            "median ready (s)": "median ready s",
            "last ready (s)": "last ready s",
        }
    ),
    "scale_out": Table(
        {
            "size": "size",
            "prefixes": "prefixes",
            "workers": "workers",
            "requests/s on two cores": "requests/s",
            "worker us/request": "worker us/request",
            "server us/request": "server us/request",
            "workers' core %": "workers' core %",
            "servers' core %": "servers' core %",
            "with a core each, requests/s": "reckoned requests/s",
            "limit then": "limit",
        }
    ),
    "sizing": Table(
        {
            "requests/s": "requests/s",
            "million chunks": "million chunks",
            "prefixes": "prefixes",
            "workers": "workers",
            "cores": "cores",
            "a worker (MB)": "a worker MB",
            "workers (GB)": "workers GB",
            "Redis at most (GB)": "Redis GB at most",
            "network, each way (MB/s)": "network MB/s a way",
            "core hours, a million requests": "core hours a million",
            "price, a million requests": "price a million",
        }
    ),
    "limits": Table({"part": "part", "carries": "carries", "of": "of", "beyond that": "beyond that"}),
    "peers": Table(
        {
            "peer": "peer",
            "version": "version",
            "requests/s": "requests/s",
            "ours / this": "ours/this",
            "CPU us/request": "CPU us/request",
            "round trip p50 (ms)": "round trip p50 ms",
            "CPU us at 1,000/s": "CPU us at 1,000/s",
            "p50 (ms) at 1,000/s": "p50 ms at 1,000/s",
        }
    ),
    "sql": Table(
        {
            "what": "what",
            "size": "size",
            "chunk ids/s": "chunk ids/s",
            "ours one by one / this": "ours/this, one by one",
            "ours with a backlog / this": "ours/this, backlog",
            "biased": "biased",
        }
    ),
    "drift": Table(
        {
            "what": "what",
            "of": "of",
            "stated rate": "stated rate",
            "runs": "runs",
            "alarms, or mean": "mean",
            "largest": "largest",
        }
    ),
    "growth": Table(
        {
            "what": "what",
            "value": "value",
            "requests/s": "requests/s",
            "ratio": "ratio",
            "worker us/request": "worker us/request",
            "server us/request": "server us/request",
            "still ms": "still ms",
        }
    ),
    "report": Table(
        {
            "log": "log",
            "lines": "lines",
            "MB": "MB",
            "CPU s": "CPU s",
            "json.loads alone (CPU s)": "json.loads CPU s",
            "ratio": "times json.loads",
            "peak MB": "peak MB",
        }
    ),
    "log_cost": Table(
        {
            "size": "size",
            "requests": "requests",
            "level info (us/request)": "info us/request",
            "level error": "error us/request",
            "no statistics": "no statistics us/request",
            "logging %": "logging %",
            "logging and statistics %": "logging and statistics %",
        }
    ),
    "fader": Table({"releases": "releases", "p50 (ms)": "p50 ms", "p99 (ms)": "p99 ms", "max (ms)": "max ms"}),
    "adjust": Table({"scenario": "scenario"}, {"guards": "yes"}, across="mix", cells=("gap", "gap ±")),
    "learning": Table(
        {
            "weights": "weights",
            "what": "what",
            "clean": "clean",
            "noisy": "noisy",
            "gliding": "gliding",
            "double": "double",
            "drowned": "drowned",
            "mean": "mean",
        }
    ),
    "lag": Table(
        {
            "loops": "loops",
            "pause (s)": "pause s",
            "size": "size",
            "requests/s": "requests/s",
            "worker (% of a core)": "worker % of a core",
            "looks": "looks",
            "XLEN, mean": "XLEN",
            "looks above 0 (%)": "XLEN > 0 %",
            "unread, mean": "unread",
            "looks above 0 (%) ": "unread > 0 %",
            "unread / XLEN": "part",
        }
    ),
    "autoscale": Table(
        {
            "scenario": "scenario",
            "rule": "rule",
            "waiting (%)": "waiting %",
            "±": "waiting ±",
            "full stops a day": "stops a day",
            "longest (s)": "longest s",
            "ended in use, a day": "ended a day",
            "worker hours a day": "worker hours",
            "most workers": "most workers",
        }
    ),
    "desk": Table(
        {
            "categories": "categories",
            "browsers": "browsers",
            "worker %": "worker %",
            "watched": "worker % watched",
            "Redis %": "redis %",
            "watched ": "redis % watched",
            "desk %": "desk %",
            "watched  ": "desk % watched",
            "kB/s a browser": "kB/s a browser",
        }
    ),
}


def write_tables(text: str) -> str:
    """Return the text of README.md with each table as the figures have it."""
    return _TABLE.sub(lambda found: f"{found[1]} -->\n{write_table(found[1])}", text)


def write_table(name: str) -> str:
    """Return one table with the machine and the day of its run, in Markdown."""
    table, bench = TABLES[name], read_figures(name)
    rows = [row for row in bench.rows if all(row[column] == value for column, value in table.only.items())]
    titles = dict(table.columns)
    if table.across:
        titles |= {value: value for value in dict.fromkeys(row[table.across] for row in rows)}
        rows = _turned(rows, table)
    cells = [[_cell(row.get(column)) for column in titles.values()] for row in rows]
    marks = ["---:" if _is_number(rows, column) else "---" for column in titles.values()]
    lines = [f"| {' | '.join(line)} |" for line in (list(titles), *cells)]
    lines.insert(1, f"|{'|'.join(marks)}|")
    return "\n".join([f"{bench.machine}, Python {bench.python}, {bench.date}:", "", *lines, ""])


def _turned(rows: list[Row], table: Table) -> list[Row]:
    """Make one row of all those that differ only in the column that goes across."""
    value, half = table.cells
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        names = {column: row[column] for column in table.columns.values()}
        turned = found.setdefault(tuple(names.values()), names)
        turned[row[table.across]] = f"{1000 * row[value]:.0f} ± {1000 * row[half]:.0f}"
    return list(found.values())


def read_figures(name: str) -> Bench:
    """Read the figures of a benchmark."""
    lines = (FIGURES / f"{name}.json").read_text(encoding="utf-8").splitlines()
    return next(bench for bench in read_benches(lines) if bench.name == name)


def _is_number(rows: list[Row], column: str) -> bool:
    return any(isinstance(row.get(column), int | float) for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < _SMALL else f"{value:.1f}" if abs(value) < _MIDDLE else f"{value:,.0f}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    README.write_text(write_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
