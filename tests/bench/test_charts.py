"""The picture of benchmarks: which chart shows which rows, and what is written in it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.charts import chart_of, hidden_columns, label_columns, shown
from tests.bench.printed import FIGURES, Bench, read_benches

BENCHES: list[dict[str, Any]] = [
    {
        "bench": "throughput",
        "machine": "2 x Fast CPU",
        "python": "3.11.7",
        "date": "2026-11-24",
        "rows": [
            {"size": 64, "encoding": "json", "workers": 1, "requests/s": 20_000.0, "ceiling requests/s": 30_000.0}
        ],
    },
    {
        "bench": "latency",
        "rows": [
            {"load": "closed", "size": 1, "percentile": "p50", "ours us": 90, "echo us": 50.0, "ratio": 1.8},
            {"load": "closed", "size": 1, "percentile": "p99.9", "ours us": 9000, "echo us": 70.0, "ratio": "-"},
        ],
    },
    {
        "bench": "growth",
        "rows": [
            {"what": what, "value": value, "requests/s": 1e6 / value}
            for what in ("size", "categories")
            for value in (1, 1000)
        ],
    },
    {"bench": "growth", "rows": [{"what": "size", "value": 5, "requests/s": -1.0}]},
    {"bench": "growth", "rows": [{"what": "datasets", "value": n, "requests/s": 9.0 + n} for n in (0, 1, 1000)]},
    {"bench": "catalog", "rows": [{"what": "load (s)", "value": 0.7, "note": "$x$"}]},
    {
        "bench": "unheard of",
        "rows": [{"name": f"n{i}", "change": -i, **{f"c{j}": j for j in range(12)}} for i in range(70)],
    },
]


def bench(name: str, *rows: dict[str, object]) -> Bench:
    return Bench(name, "2 x cpu", "3.11", "2026-11-24", rows)


def test_a_known_benchmark_has_its_chart() -> None:
    throughput = bench(
        "throughput",
        {"size": 1, "encoding": "json", "workers": 1, "requests/s": 2.0, "ceiling requests/s": 3.0, "other": 9},
    )
    chart = chart_of(throughput)
    assert (chart.kind, chart.groups) == ("bars", (("requests/s", "ceiling requests/s"),))
    assert label_columns(throughput, chart) == ["size", "encoding", "workers"]
    assert hidden_columns(throughput, chart) == ["other"]
    assert chart_of(bench("growth", {"what": "size", "value": 8, "requests/s": 1.0})).kind == "lines"
    assert chart_of(bench("catalog", {"what": "load (s)", "value": 8})).kind == "table"


def test_rows_that_are_not_as_expected_have_the_chart_for_any_rows() -> None:
    renamed = bench("growth", {"what": "size", "at": 8, "requests/s": 1.0})
    assert chart_of(renamed).groups == (("at",), ("requests/s",))
    unknown = bench("new", {"who": "a", "ms": 1.5, "is_good": True, "gaps": "-"}, {"who": "b", "mb": 2, "gaps": None})
    assert chart_of(unknown).groups == (("ms",), ("mb",))
    assert label_columns(unknown, chart_of(unknown)) == ["who"]
    assert hidden_columns(unknown, chart_of(unknown)) == ["is_good"]
    turned = bench("turned", {"ms": 1.5, "gap": "-", "who": "a"})
    assert label_columns(turned, chart_of(turned)) == ["who"]
    assert chart_of(bench("throughput", {"who": "a"})).kind == "table"
    many = bench("wide", {f"n{i}": i for i in range(12)})
    assert hidden_columns(many, chart_of(many)) == ["n8", "n9", "n10", "n11"]


def test_values_are_written_for_people() -> None:
    assert [shown(value) for value in (12345, 12345.6, 0.12345, True, None, "x")] == [
        "12,345",
        "12,346",
        "0.123",
        "True",
        "",
        "x",
    ]


@cache
def drawn(lines: str) -> bytes:
    """Draw an SVG picture of benchmarks."""
    from tests.bench.picture import draw_benches

    return draw_benches([*read_benches(lines.splitlines())], ".svg")


def texts(*benches: dict[str, Any]) -> str:
    """Collect what is written in a picture of benchmarks."""
    root = ET.fromstring(drawn("".join(json.dumps(one) + "\n" for one in benches)))  # noqa: S314 - our own
    return "\n".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))


def test_each_benchmark_has_a_panel() -> None:
    told = texts(*BENCHES)
    for name in ("throughput", "2 x Fast CPU", "ceiling requests/s", "30,000", "log scale", "categories", "$x$"):
        assert name in told
    assert "the first 60 rows   not drawn: 5 columns" in told
    assert "n59" in told
    assert "n60" not in told


def test_only_the_last_twelve_benchmarks_are_drawn() -> None:
    told = texts(*({**BENCHES[0], "date": f"2026-11-{day:02}"} for day in range(1, 15)))
    assert "not drawn: 2 before these" in told
    assert "2026-11-02" not in told
    assert "2026-11-03" in told


def test_a_benchmark_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="throughput has no rows"):
        list(read_benches([json.dumps({"bench": "throughput", "rows": []})]))


def test_the_program_draws_what_benchmarks_print(tmp_path: Path) -> None:
    program = [sys.executable, str(FIGURES.parent / "picture.py"), "-", "--output", str(tmp_path / "bench.svg")]
    lines = "".join(json.dumps(one) + "\n" for one in BENCHES)
    subprocess.run(program, input=lines, text=True, check=True)
    assert (tmp_path / "bench.svg").read_bytes() == drawn(lines)
