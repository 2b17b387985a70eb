"""Draw how far each mix ends above the best one that never moves: a panel for each scenario."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes

from worker.report.style import FAINT, INK, PALETTE, Sheet, styled

_COLUMNS: Final = 4
_WIDTH, _PANEL, _HEAD = 12.6, 2.35, 0.95
_LEFT, _GAP, _BELOW = 1.15, 0.25, 0.55
_STILL, _MOVING = PALETTE[0], PALETTE[1]
_ROOM: Final = 1.12


def draw_adjust(rows: Sequence[Mapping[str, Any]], ending: str) -> bytes:
    """Draw the gaps as dots with 95 % intervals; rules without guards are rings.

    Args:
        rows: What the benchmark prints.
        ending: Of the file, such as `.svg`.
    """
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    mixes = [mix for mix in dict.fromkeys(row["mix"] for row in rows) if mix != "best fixed"]
    deep = -(-len(scenarios) // _COLUMNS)
    with styled():
        sheet = Sheet(_WIDTH, _HEAD + deep * (_PANEL + _BELOW))
        sheet.write(0.3, 0.15, "How far a mix ends above the best that never moves", size=12.0, weight="bold")
        about = "mean loss of all categories, simulated; dots: mean and 95 % interval over learners"
        sheet.write(0.3, 0.42, f"{about}; blue: never moves; orange: a rule; rings: without guards", color=FAINT)
        wide = (_WIDTH - _LEFT - _GAP * _COLUMNS) / _COLUMNS
        for number, scenario in enumerate(scenarios):
            down, right = divmod(number, _COLUMNS)
            left, top = _LEFT + right * (wide + _GAP), _HEAD + down * (_PANEL + _BELOW)
            panel = sheet.place(left, top, wide, _PANEL)
            _draw_panel(panel, [row for row in rows if row["scenario"] == scenario], mixes, first=right == 0)
            panel.set_title(scenario)
        return sheet.render(ending)


def _draw_panel(panel: Axes, rows: Sequence[Mapping[str, Any]], mixes: Sequence[str], *, first: bool) -> None:
    """Draw one scenario."""
    moving = {row["mix"] for row in rows if row["guards"] == "bare"}
    largest = 0.0
    for row in rows:
        if row["mix"] not in mixes:
            continue
        bare = row["guards"] == "bare"
        y = mixes.index(row["mix"]) + (0.25 if bare else 0.0)
        color = _MOVING if row["mix"] in moving else _STILL
        fill = "white" if bare else color
        panel.errorbar(
            row["gap"], y, xerr=row["gap ±"], fmt="o", color=color, markerfacecolor=fill, markersize=4, elinewidth=1.1
        )
        largest = max(largest, row["gap"] + row["gap ±"])
    panel.axvline(0.0, color=FAINT, linewidth=0.8)
    panel.set_xlim(-0.03 * largest, largest * _ROOM)
    panel.set_ylim(len(mixes) - 0.4, -0.6)
    panel.set_yticks(range(len(mixes)), mixes if first else [""] * len(mixes))
    panel.tick_params(axis="y", length=0, labelcolor=INK)
    panel.grid(visible=False, axis="y")
