"""Draw the figures of benchmarks as one picture, a panel for each benchmark.

    python tests/bench/picture.py [FILE ...] [--output PICTURE]

Files hold what benchmarks print with --json; `-` is standard input. Without files it draws figures/performance.svg.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.charts import Chart, chart_of, columns, hidden_columns, label_columns, shown, value_of
from tests.bench.printed import FIGURES, Bench, Row, read_benches
from worker.core.wording import plural
from worker.report.style import FAINT, INK, MONO, PALETTE, Sheet, axis_number, styled

_WIDTH, _MARGIN = 12.6, 0.35
_HEAD, _TITLE, _GAP = 0.75, 0.62, 0.4
_BAR, _LINES, _LINE = 0.19, 3.0, 0.22
_COLUMN_GAP = 0.3
_LABEL_CHARS = 48
_LINE_CHARS = 70
_LEAST_CHARS = 20
_MOST_ROWS, _MOST_BENCHES = 60, 12
_LOG_FROM = 20.0
_CHAR = 0.07
"""Width of a letter in inches, roughly."""

_PERFORMANCE = ("throughput", "peers")

_Draw = Callable[[Sheet, float, Bench, Chart], None]


def draw_benches(benches: Sequence[Bench], ending: str) -> bytes:
    """Draw benchmarks.

    Args:
        benches: At least one.
        ending: Ending of the picture's name, such as `.png`.
    """
    drawn = [replace(bench, rows=bench.rows[:_MOST_ROWS]) for bench in benches[-_MOST_BENCHES:]]
    charts = [chart_of(bench) for bench in drawn]
    heights = [_height(bench, chart) for bench, chart in zip(drawn, charts, strict=True)]
    with styled():
        sheet, top = Sheet(_WIDTH, _HEAD + sum(heights) + (_TITLE + _GAP) * len(drawn)), _HEAD
        hidden = len(benches) - len(drawn)
        title = f"sampling-worker: benchmarks{f'; not drawn: {hidden} before these' if hidden else ''}"
        sheet.write(_MARGIN, 0.2, title, size=14.0, weight="bold")
        for bench, chart, height in zip(drawn, charts, heights, strict=True):
            sheet.write(_MARGIN, top, bench.name, size=11.0, weight="bold")
            sheet.write(_MARGIN + 0.3 + 0.11 * len(bench.name), top + 0.03, _describe(bench, chart), color=FAINT)
            _DRAW[chart.kind](sheet, top + _TITLE, bench, chart)
            top += _TITLE + height + _GAP
        return sheet.render(ending)


def _describe(bench: Bench, chart: Chart) -> str:
    """Describe where and when it was measured, and what is not drawn of it."""
    python = f"Python {bench.python}" if bench.python else ""
    rows = f"the first {_MOST_ROWS} rows" if len(bench.rows) == _MOST_ROWS else ""
    hidden = len(hidden_columns(bench, chart))
    more = f"not drawn: {plural(hidden, 'column')}" if hidden else ""
    return "   ".join(part for part in (bench.machine, python, bench.date, rows, more) if part)


def _height(bench: Bench, chart: Chart) -> float:
    if chart.kind == "lines":
        return _LINES
    if chart.kind == "table":
        return _LINE * (len(bench.rows) + 1)
    return _row_height(chart) * len(bench.rows)


def _row_height(chart: Chart) -> float:
    return _BAR * max(len(group) for group in chart.groups) + 0.1


def _draw_bars(sheet: Sheet, top: float, bench: Bench, chart: Chart) -> None:
    """Draw a column of bars for each group, beside the labels of the rows."""
    head, *labels = _labels(bench, chart)
    left = _MARGIN + 0.1 + _CHAR * len(head)
    sheet.write(left - 0.07, top - 0.2, head, family=MONO, size=8.0, color=FAINT, ha="right")
    most = max(len(group) for group in chart.groups)
    for i, panel in enumerate(_columns(sheet, left, top, chart, _height(bench, chart))):
        _draw_column(panel, bench.rows, chart.groups[i], thick=0.8 / most, log=chart.log)
        panel.set_yticks(range(len(labels)), labels if i == 0 else [""] * len(labels), family=MONO, size=8.0)
        panel.tick_params(axis="y", length=0, labelcolor=INK)


def _labels(bench: Bench, chart: Chart) -> list[str]:
    """Write a line of names and one for each row, all of one length."""
    names = label_columns(bench, chart)
    cells = [names, *([shown(row.get(name))[:_LABEL_CHARS] for name in names] for row in bench.rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return [line[:_LINE_CHARS] for line in lines]


def _columns(sheet: Sheet, left: float, top: float, chart: Chart, height: float) -> list[Axes]:
    """Place axes side by side up to the right margin. A group with long names gets a wide one."""
    room = [max(sum(len(name) + 6 for name in group), _LEAST_CHARS) for group in chart.groups]
    unit = (_WIDTH - _MARGIN - left - _COLUMN_GAP * (len(room) - 1)) / sum(room)
    panels = []
    for chars in room:
        panels.append(sheet.place(left, top, chars * unit, height))
        left += chars * unit + _COLUMN_GAP
    return panels


def _draw_column(panel: Axes, rows: Sequence[Row], group: Sequence[str], *, thick: float, log: bool) -> None:
    """Draw the bars of one axis, the first row on top, with their values beside them."""
    known = list[float]()
    for i, name in enumerate(group):
        bars = [(y + thick * (i + 0.5 - len(group) / 2), value_of(row, name)) for y, row in enumerate(rows)]
        present = [(y, value) for y, value in bars if value is not None]
        known += [value for _, value in present]
        ys, values = [y for y, _ in present], [value for _, value in present]
        panel.barh(ys, values, thick * 0.9, color=PALETTE[i % len(PALETTE)], label=name)
        for y, value in present:
            panel.annotate(
                shown(value), (max(value, 0.0), y), (3, 0), textcoords="offset points", va="center", size=7.5
            )
    _scale_bars(panel, min(known), max(known), log=log)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.grid(visible=False)
    panel.xaxis.set_visible(False)
    panel.spines["bottom"].set_visible(False)
    _name_columns(panel)


def _scale_bars(panel: Axes, low: float, high: float, *, log: bool) -> None:
    """Leave room for the values. Use a logarithmic scale for bars that differ much, if the chart allows it."""
    if log and high > _LOG_FROM * low > 0:
        panel.set_xscale("log")
        panel.set_xlim(low / 3, high * (high / low) ** 0.5)
        panel.text(1.0, 0.0, "log scale", color=FAINT, size=7.5, transform=panel.transAxes, ha="right", va="top")
    else:
        panel.set_xlim(min(0.0, low * 1.1), max(high, 0.0) * 1.45 or 1.0)


def _draw_lines(sheet: Sheet, top: float, bench: Bench, chart: Chart) -> None:
    """Draw a panel for each group, with a line for each thing that grows."""
    kinds = list(dict.fromkeys(shown(row.get(chart.by)) for row in bench.rows))
    for panel, group in zip(_columns(sheet, 1.0, top, chart, _LINES - 0.4), chart.groups, strict=True):
        for i, (kind, name) in enumerate((kind, name) for kind in kinds for name in group):
            rows = [row for row in bench.rows if shown(row.get(chart.by)) == kind]
            points = [(value_of(row, chart.x), value_of(row, name)) for row in rows]
            present = sorted((x, y) for x, y in points if x is not None and y is not None)
            label = kind if len(group) == 1 else f"{kind} {name}"
            color = PALETTE[i % len(PALETTE)]
            panel.plot([x for x, _ in present], [y for _, y in present], "o-", color=color, label=label, markersize=4)
        _scale_lines(panel, log=chart.log)
        panel.set_title(group[0], loc="right", color=FAINT)
        panel.set_xlabel(chart.x)
        _name_columns(panel)


def _scale_lines(panel: Axes, *, log: bool) -> None:
    for axis, (low, high) in ((panel.xaxis, panel.dataLim.intervalx), (panel.yaxis, panel.dataLim.intervaly)):
        if log and high > _LOG_FROM * low > 0:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            axis.set_minor_formatter(NullFormatter())
        elif log and axis is panel.xaxis and low == 0 and high > _LOG_FROM:
            panel.set_xscale("symlog", linthresh=1.0)  # a line may begin with none at all
            axis.set_minor_formatter(NullFormatter())
        elif axis is panel.yaxis:
            panel.set_ylim(min(0.0, low), high * 1.15 or 1.0)
        axis.set_major_formatter(FuncFormatter(axis_number))


def _name_columns(panel: Axes) -> None:
    """Write titles above a chart and to its left."""
    panel.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=8,
        handlelength=0.9,
        handleheight=0.8,
        columnspacing=1.0,
        borderpad=0.2,
        borderaxespad=0.1,
        fontsize=8.5,
    )


def _draw_table(sheet: Sheet, top: float, bench: Bench, _chart: Chart) -> None:
    """Write the rows as a table."""
    names = columns(bench.rows)
    cells = [[shown(row.get(name)) for name in names] for row in bench.rows]
    left = _MARGIN + 0.1
    for i, name in enumerate(names):
        column = [name, *(row[i][:_LABEL_CHARS] for row in cells)]
        width = _CHAR * max(len(cell) for cell in column) + 0.1
        to_right = all(isinstance(row.get(name), int | float) for row in bench.rows)
        for line, cell in enumerate(column):
            color = FAINT if line == 0 else INK
            place = left + width if to_right else left
            sheet.write(place, top - 0.3 + line * _LINE, cell, color=color, ha="right" if to_right else "left")
        left += width + _COLUMN_GAP


_DRAW: dict[str, _Draw] = {"bars": _draw_bars, "lines": _draw_lines, "table": _draw_table}


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="what benchmarks print with --json; - is stdin")
    parser.add_argument("--output", type=Path, default=FIGURES / "performance.svg", help=".png or .svg")
    options = parser.parse_args()
    files = options.files or [str(FIGURES / f"{name}.json") for name in _PERFORMANCE]
    texts = (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8") for file in files)
    benches = [bench for text in texts for bench in read_benches(text.splitlines())]
    options.output.write_bytes(draw_benches(benches, options.output.suffix))
    return 0


if __name__ == "__main__":
    sys.exit(main())
