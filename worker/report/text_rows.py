"""Draw what is told in rows: the runs of each worker on the time axis, and the changes of weights in words."""

from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.axes import Axes

from worker.report.changes_list import ChangeText
from worker.report.style import DAY_S, FAINT, INK, MONO, PALETTE, Sheet, axis_number, shorten
from worker.report.summary import GLOBAL
from worker.report.workers import Run, WorkerLog

MOST_WORKERS = 10
MOST_CHANGES = 12
_NAME_CHARS = 20
_COLUMNS = ((0.3, 4), (0.62, 10), (1.45, 13), (2.4, 61), (6.6, 55), (10.35, 33))
_ROW = 0.2
_FULL_COLOR, _TROUBLE_COLOR = PALETTE[2], PALETTE[3]
_TROUBLE = {"failed", "lost", "silent"}


def draw_workers(panel: Axes, workers: Sequence[WorkerLog], *, aside: float) -> None:
    """Draw a row for each worker: a bar while it ran, a red end where it ended without having been told to.

    Args:
        panel: Where to draw.
        workers: Those to draw, the first on top.
        aside: Where the column beside it begins, as a fraction of the panel's width.
    """
    panel.set_ylim(len(workers) - 0.5, -0.5)
    panel.set_yticks(range(len(workers)))
    panel.tick_params(axis="y", length=0)
    panel.set_yticklabels([shorten(worker.worker, _NAME_CHARS) for worker in workers], size=8.0)
    panel.set_title("workers")
    panel.set_title("bars: running; red: ended unasked", loc="right", color=FAINT, size=8.0, weight="normal")
    style = {"transform": panel.get_yaxis_transform(), "va": "center", "family": MONO, "size": 8.0, "color": FAINT}
    head = f"{'requests':>10}{'p99 ms':>10}{'starts':>7}  at the end"
    panel.text(aside, -0.75, head, **style)  # type: ignore[arg-type]
    for y, worker in enumerate(workers):
        for run in worker.runs:
            _draw_run(panel, y, run)
        p99 = "-" if worker.p99_ms is None else axis_number(worker.p99_ms)
        row = f"{worker.requests:>10,.0f}{p99:>10}{len(worker.runs):>7}  {worker.runs[-1].ending}"
        panel.text(aside, y, row, **style)  # type: ignore[arg-type]


def draw_changes(sheet: Sheet, top: float, changes: Sequence[ChangeText]) -> None:
    """Write changes below each other, the latest last; of many, only the latest.

    Args:
        sheet: Where to write.
        top: Inches from the top.
        changes: Oldest first.
    """
    shown = changes[-MOST_CHANGES:]
    hidden = len(changes) - len(shown)
    earlier = f": the last {len(shown)} of {len(changes)}" if hidden else ""
    sheet.write(_COLUMNS[0][0], top, f"changes of weights{earlier}", weight="bold", size=9.5)
    for i, change in enumerate(shown, 1):
        told = (
            str(change.number),
            f"{datetime.fromtimestamp(change.at, UTC):%T}",
            change.dataset or GLOBAL,
            change.moves,
            change.who,
            change.applied,
        )
        for (left, most), text in zip(_COLUMNS, told, strict=True):
            color = INK if text in (change.moves, change.who) else FAINT
            sheet.write(left, top + 0.05 + i * _ROW, shorten(text, most), family=MONO, size=8.0, color=color)


def changes_height(count: int) -> float:
    """Return how much room changes take, in inches."""
    return (min(count, MOST_CHANGES) + 1) * _ROW + 0.1 if count else 0.0


def _draw_run(panel: Axes, y: int, run: Run) -> None:
    start, end = run.start / DAY_S, run.end / DAY_S
    panel.broken_barh([(start, end - start)], (y - 0.3, 0.6), color=_FULL_COLOR, alpha=0.35, linewidth=0)
    panel.plot([start], [y], "|", color=_FULL_COLOR, markersize=8, markeredgewidth=1.4)
    if run.ending in _TROUBLE:
        panel.plot([end], [y], "|", color=_TROUBLE_COLOR, markersize=9, markeredgewidth=2.0)
