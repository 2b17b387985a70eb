"""Draw the events of a log: a row for each kind, a tick for each occurrence, a bar while a server was away."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from worker.core.events import EVENTS, PostgresRestored, RedisRestored, WorkerReady
from worker.report.style import DAY_S, FAINT, PALE, PALETTE
from worker.report.summary import count_events
from worker.report.timeline import Outage, Timeline

_DRAWN_OTHERWISE = {WorkerReady.event, RedisRestored.event, PostgresRestored.event}
_COLORS = {"debug": FAINT, "info": PALETTE[0], "warning": PALETTE[1], "error": PALETTE[3]}


@dataclass(frozen=True, slots=True)
class StripRow:
    """The row of one kind of event.

    Attributes:
        event: Name of the log event.
        times: Unix times in s.
        count: How many times it happened, or how many requests it stands for.
        outages: The outages that it began.
    """

    event: str
    times: tuple[float, ...]
    count: int
    outages: tuple[Outage, ...]


def strip_rows(timeline: Timeline) -> list[StripRow]:
    """List the rows of a timeline, in the order of the catalogue of events."""
    counts, rows = count_events(timeline), []
    for event in EVENTS:
        times = tuple(occurrence.at for occurrence in timeline.occurrences if occurrence.event == event)
        outages = tuple(outage for outage in timeline.outages if outage.event == event)
        if (times or outages) and event not in _DRAWN_OTHERWISE:
            rows.append(StripRow(event, times, counts.get(event, 0), outages))
    return rows


def draw_events(panel: Axes, rows: Sequence[StripRow]) -> None:
    """Draw rows, the first on top."""
    right = panel.twinx()
    for axes in (panel, right):
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)))
        axes.tick_params(axis="y", length=0)
    panel.set_yticklabels([row.event.replace(".", " ").replace("_", " ") for row in rows], size=8.0)
    right.set_yticklabels([f"{row.count:,}" for row in rows], size=8.0)
    right.grid(visible=False)
    panel.set_title("events")
    for y, row in enumerate(rows):
        color = _COLORS[EVENTS[row.event].level]
        bars = [(outage.start / DAY_S, (outage.end - outage.start) / DAY_S) for outage in row.outages]
        panel.broken_barh(bars, (y - 0.3, 0.6), color=color, alpha=PALE, linewidth=0)
        panel.plot(
            [at / DAY_S for at in row.times], [y] * len(row.times), "|", color=color, markersize=8, markeredgewidth=1.4
        )
