"""Draw a training under several kinds of weights: shares over its steps, and losses on sounds put aside."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from worker.report.style import FAINT, PALETTE, Sheet, darker, styled

_WIDTH, _HEAD, _PANEL, _BELOW = 12.6, 1.25, 2.1, 0.3
_LEFT, _GAP = 0.65, 0.3


class Course(Protocol):
    """What became of one network, see `learning.Course`."""

    @property
    def steps(self) -> Sequence[int]: ...

    @property
    def weights(self) -> Mapping[str, Sequence[float]]: ...

    @property
    def wanted(self) -> Mapping[str, Sequence[float]]: ...

    @property
    def held_out(self) -> Mapping[str, Sequence[float]]: ...


def draw_learning(courses: Mapping[str, Course], rule: str, ending: str) -> bytes:
    """Draw two panels for each training.

    Args:
        courses: By the name of the training.
        rule: The rule that learns.
        ending: Of the file, such as `.svg`.
    """
    wide = (_WIDTH - _LEFT) / len(courses) - _GAP
    largest = max(max(losses) for course in courses.values() for losses in course.held_out.values())
    most = max(max(one) for course in courses.values() for of in (course.weights, course.wanted) for one in of.values())
    with styled():
        sheet = Sheet(_WIDTH, _HEAD + 2 * (_PANEL + _BELOW) + 0.2)
        sheet.write(
            0.3, 0.15, "A training under weights that stand still, are scheduled, or learn", size=12.0, weight="bold"
        )
        about = (
            f"dashed: what the rule `{rule}` would have set; below: loss on sounds put aside, over the training's steps"
        )
        sheet.write(0.3, 0.42, f"above: share of each category; {about}", color=FAINT)
        for number, (name, course) in enumerate(courses.items()):
            left = _LEFT + number * (wide + _GAP)
            above = sheet.place(left, _HEAD, wide, _PANEL)
            below = sheet.place(left, _HEAD + _PANEL + _BELOW, wide, _PANEL)
            _draw_weights(above, course)
            _draw_losses(below, course)
            above.set_ylim(0, most * 1.08)
            below.set_ylim(0, largest * 1.05)
            above.set_title(name)
            if number == 0:
                handles, labels = below.get_legend_handles_labels()
                sheet.figure.legend(handles, labels, loc="upper left", ncols=len(labels), bbox_to_anchor=(0.015, 0.925))
            else:
                for panel in (above, below):
                    panel.set_yticklabels([])
        return sheet.render(ending)


def _draw_weights(panel: Axes, course: Course) -> None:
    """Draw the shares in force, and dashed those that a shadow would have set."""
    for color, (name, shares) in zip(PALETTE, course.weights.items(), strict=False):
        panel.plot(course.steps, shares, color=darker(color) if course.wanted else color, linewidth=1.4)
        if course.wanted:
            wanted = course.wanted[name]
            panel.plot(course.steps[-len(wanted) :], wanted, "--", color=color, linewidth=1.2)
    _set_steps(panel, course)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.set_xticklabels([])


def _draw_losses(panel: Axes, course: Course) -> None:
    """Draw the losses on what was put aside."""
    for color, (name, losses) in zip(PALETTE, course.held_out.items(), strict=False):
        panel.plot(course.steps, losses, color=color, linewidth=1.4, label=name)
    _set_steps(panel, course)


def _set_steps(panel: Axes, course: Course) -> None:
    """Number the steps, but for the last ones: they would touch the next panel's first."""
    whole = course.steps[-1]
    panel.set_xlim(0, whole)
    panel.set_xticks([0, whole // 4, whole // 2, 3 * whole // 4])
