"""Draw a log: the mix of each dataset, rates, latencies, workers and events, below each other on one time axis."""

from collections.abc import Sequence
from datetime import UTC

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from worker.report.bins import Floats
from worker.report.changes_list import describe_changes
from worker.report.events_strip import draw_events, strip_rows
from worker.report.mix_panel import draw_mix, fold, mark_changes, palette_of
from worker.report.style import DAY_S, FAINT, MONO, PALE, PALETTE, Sheet, axis_number, styled
from worker.report.summary import describe_span, describe_totals
from worker.report.text_rows import MOST_WORKERS, changes_height, draw_changes, draw_workers
from worker.report.timeline import Timeline

_MOST_MIXES = 4
_WIDTH, _LEFT, _PANEL, _ASIDE = 12.6, 1.75, 7.0, 9.45
_HEAD, _SMALL_HEAD, _GAP, _FOOT = 1.0, 0.4, 0.5, 0.5
_MIX, _SMALL, _ROW = 2.3, 1.2, 0.2
_LOG_FROM = 20.0
_REQUESTS, _CHUNKS, _P50, _P99 = PALETTE[0], PALETTE[6], PALETTE[2], PALETTE[3]


def draw_timeline(timeline: Timeline, ending: str, *, is_alone: bool = True) -> bytes:
    """Draw a log.

    Args:
        timeline: What to draw.
        ending: Ending of the picture's name, such as `.png`.
        is_alone: Whether the picture has a head, and the changes of weights in words; else a page around it has them.
    """
    mixes, rows = [fold(mix) for mix in timeline.mixes[:_MOST_MIXES]], strip_rows(timeline)
    workers = timeline.workers[:MOST_WORKERS]
    heights = [*[_MIX for _ in mixes], _SMALL, _SMALL, _ROW * len(workers), *([_ROW * len(rows)] if rows else [])]
    head = _HEAD if is_alone else _SMALL_HEAD
    body = head + sum(heights) + _GAP * (len(heights) - 1) + _FOOT
    changes = describe_changes(timeline.changes, timeline.workers) if is_alone else []
    with styled():
        sheet = Sheet(_WIDTH, body + changes_height(len(changes)))
        if is_alone:
            _write_head(sheet, timeline)
        panels, colors = _place_panels(sheet, heights, top=head), palette_of(mixes)
        for panel, mix in zip(panels, mixes, strict=False):
            draw_mix(panel, mix, timeline.bins.edges, colors, aside=_aside())
        below = panels[len(mixes) :]
        _draw_rates(below[0], timeline)
        _draw_latencies(below[1], timeline)
        draw_workers(below[2], workers, aside=_aside())
        if rows:
            draw_events(below[3], rows)
        for panel in below:
            mark_changes(panel, timeline.changes)
        if changes:
            draw_changes(sheet, body, changes)
        _share_time(panels, timeline.bins.edges)
        return sheet.render(ending)


def _write_head(sheet: Sheet, timeline: Timeline) -> None:
    hidden = (
        (len(timeline.mixes) - _MOST_MIXES, "more datasets"),
        (len(timeline.workers) - MOST_WORKERS, "more workers"),
    )
    left_out = "".join(f"; not drawn: {count} {noun}" for count, noun in hidden if count > 0)
    sheet.write(0.3, 0.2, "sampling-worker", size=14.0, weight="bold")
    steps = f"steps of {timeline.bins.width_s:,.3g} s, mixed where weights change"
    sheet.write(2.35, 0.255, f"{describe_span(timeline)}, {steps}", size=10.0, color=FAINT)
    sheet.write(0.3, 0.52, describe_totals(timeline) + left_out, size=10.0)


def _place_panels(sheet: Sheet, heights: Sequence[float], *, top: float) -> list[Axes]:
    panels = list[Axes]()
    for height in heights:
        panels.append(sheet.place(_LEFT, top, _PANEL, height))
        top += height + _GAP
    return panels


def _aside() -> float:
    """Return where the column beside the panels begins, as a fraction of a panel's width."""
    return (_ASIDE - _LEFT) / _PANEL


def _share_time(panels: Sequence[Axes], edges: Floats) -> None:
    """Give all panels the same time axis, labelled under the last one only."""
    for panel in panels:
        panel.set_xlim(edges[0] / DAY_S, edges[-1] / DAY_S)
        locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        panel.tick_params(axis="x", labelbottom=panel is panels[-1])
    for panel in panels[:-1]:
        panel.xaxis.get_offset_text().set_visible(False)
    panels[-1].xaxis.get_offset_text().set_color(FAINT)
    panels[-1].set_xlabel("UTC", loc="left")


def _draw_rates(panel: Axes, timeline: Timeline) -> None:
    days, right = timeline.bins.edges / DAY_S, panel.twinx()
    right.stairs(timeline.chunks_per_s, days, fill=True, color=_CHUNKS, alpha=PALE, linewidth=0)
    panel.stairs(timeline.requests_per_s, days, baseline=None, color=_REQUESTS, linewidth=1.5)
    panel.set_zorder(right.get_zorder() + 1)
    panel.patch.set_visible(False)
    right.grid(visible=False)
    for axes, values in ((panel, timeline.requests_per_s), (right, timeline.chunks_per_s)):
        axes.set_ylim(0.0, max(float(values.max()) * 1.15, 1.0))
        axes.yaxis.set_major_formatter(FuncFormatter(axis_number))
        axes.locator_params(axis="y", nbins=4)
    panel.set_title("requests/s", color=_REQUESTS)
    panel.set_title("chunks/s, right scale", loc="right", color=_CHUNKS)
    notes = [("requests/s", timeline.requests_per_s), ("chunks/s", timeline.chunks_per_s)]
    lines = [f"{name:10}{axis_number(values.mean()):>10}{axis_number(values.max()):>11}" for name, values in notes]
    _write_aside(panel, [f"{'':10}{'mean':>10}{'highest':>11}", *lines])


def _draw_latencies(panel: Axes, timeline: Timeline) -> None:
    days = timeline.bins.edges / DAY_S
    lines = (("p50", timeline.p50_ms, _P50), ("p99", timeline.p99_ms, _P99))
    for _, values, color in lines:
        panel.stairs(values, days, baseline=None, color=color, linewidth=1.5)
    known = np.concatenate([values[np.isfinite(values)] for _, values, _ in lines])
    _scale_latencies(panel, known)
    panel.set_title("latency, ms")
    for (name, _, color), place in zip(lines, (0.85, 0.93), strict=True):
        panel.text(place, 1.06, name, color=color, weight="bold", transform=panel.transAxes)
    if len(known):
        figures = [(f"{name} ms", axis_number(np.nanmedian(v)), axis_number(np.nanmax(v))) for name, v, _ in lines]
        told = [f"{name:10}{middle:>10}{highest:>11}" for name, middle, highest in figures]
        joined = ["p50: mean of workers, by requests", "p99: that of the slowest worker"]
        _write_aside(panel, [f"{'':10}{'median':>10}{'highest':>11}", *told, *joined])


def _scale_latencies(panel: Axes, known: Floats) -> None:
    low, high = float(known.min(initial=np.inf)), float(known.max(initial=0.0))
    if high > _LOG_FROM * low > 0:
        panel.set_yscale("log")
        panel.set_ylim(low / 1.5, high * 1.5)
        panel.yaxis.set_major_locator(LogLocator(numticks=5))
        panel.yaxis.set_minor_locator(NullLocator())
    else:
        panel.set_ylim(0.0, high * 1.15 or 1.0)
        panel.locator_params(axis="y", nbins=4)
    panel.yaxis.set_major_formatter(FuncFormatter(axis_number))


def _write_aside(panel: Axes, lines: Sequence[str]) -> None:
    """Write lines of text in the column beside a panel."""
    for i, line in enumerate(lines):
        place = (_aside(), 1.0 - i * 0.19 / _SMALL)
        panel.text(*place, line, transform=panel.transAxes, va="top", family=MONO, size=8.0, color=FAINT)
