"""Draw one day under several rules: workers, trainings that ask, and when these wait."""

from collections.abc import Mapping
from typing import Final

from matplotlib.axes import Axes

from tests.bench.autoscale import STEP_S, Day
from worker.report.style import FAINT, INK, PALE, PALETTE, Sheet, styled

_FROM_H, _TO_H = 7, 24
_WIDTH, _HEAD, _PANEL = 12.6, 0.95, 1.15
_LEFT, _GAP, _BELOW = 1.6, 0.3, 0.35
_WORKERS, _WAITS, _TRAININGS = PALETTE[0], PALETTE[3], INK
_MOST: Final = 9


def draw_days(days: Mapping[tuple[str, str], Day], ending: str) -> bytes:
    """Draw a column for each scenario, and a row for each rule.

    Args:
        days: (scenario, rule) -> what came of the day.
        ending: Of the file, such as `.svg`.
    """
    scenarios, rules = (list(dict.fromkeys(names)) for names in zip(*days, strict=True))
    with styled():
        sheet = Sheet(_WIDTH, _HEAD + len(rules) * (_PANEL + _BELOW))
        sheet.write(0.3, 0.15, "A day of trainings, and the workers that a rule gives them", size=12.0, weight="bold")
        about = "simulated; blue: workers that are wanted; line: trainings that ask; red: somebody waits for samples"
        sheet.write(0.3, 0.42, about, color=FAINT)
        wide = (_WIDTH - _LEFT - _GAP * len(scenarios)) / len(scenarios)
        for down, rule in enumerate(rules):
            for right, scenario in enumerate(scenarios):
                left, top = _LEFT + right * (wide + _GAP), _HEAD + down * (_PANEL + _BELOW)
                panel = sheet.place(left, top, wide, _PANEL)
                _draw_panel(panel, days[scenario, rule])
                if down == 0:
                    panel.set_title(scenario)
                if right == 0:
                    sheet.write(0.3, top + _PANEL / 2, rule)
        return sheet.render(ending)


def _draw_panel(panel: Axes, day: Day) -> None:
    """Draw one day."""
    first, last = (hour * 3600 // STEP_S for hour in (_FROM_H, _TO_H))
    waits = [asking > 0 and served < 1 for asking, served in zip(day.asking, day.served, strict=True)]
    seen = list(zip(day.replicas, day.asking, waits, strict=True))
    shown = [step for step in range(first, last) if step in (first, last - 1) or seen[step] != seen[step - 1]]
    hours = [step * STEP_S / 3600 for step in shown]
    replicas, asking, waiting = zip(*(seen[step] for step in shown), strict=True)
    panel.fill_between(hours, replicas, step="post", color=_WORKERS, alpha=PALE, linewidth=0)
    panel.step(hours, replicas, where="post", color=_WORKERS, linewidth=0.9)
    panel.step(hours, asking, where="post", color=_TRAININGS, linewidth=0.7)
    starts = [hour for hour, step in zip(hours, shown, strict=True) if waits[step] and not waits[step - 1]]
    panel.vlines(starts, _MOST - 1, _MOST, color=_WAITS, linewidth=0.7)  # a wait of seconds is too thin to be seen
    panel.fill_between(hours, _MOST - 1, _MOST, where=waiting, step="post", color=_WAITS, linewidth=0)
    panel.set_xlim(_FROM_H, _TO_H)
    panel.set_ylim(0, _MOST)
    panel.set_yticks([0, 4, 8])
    panel.set_xticks(range(8, 25, 4), [f"{hour}:00" for hour in range(8, 25, 4)])
