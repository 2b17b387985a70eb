"""Draw a mix: the share of each category over time, against the weights in force."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from worker.report.bins import Floats
from worker.report.changes import WeightsChange
from worker.report.fit import Fit
from worker.report.style import DAY_S, FAINT, INK, MONO, OTHERS, PALETTE, darker, shorten
from worker.report.summary import shares, title_of
from worker.report.timeline import Mix

_MOST = len(PALETTE)
_NAME_CHARS, _TITLE_CHARS, _ROW_CHARS = 16, 32, 40
_MOST_LINES = 10  # of the table beside a panel
_STRANGE_Z = 4.0
_LINE = 0.085
_NUMBER_ROOM = 0.018
"""Room of a number, as a fraction of the panel's width."""


def fold(mix: Mix) -> Mix:
    """Keep the most frequent categories, and join all others into one."""
    if len(mix.fits) <= _MOST:
        return mix
    kept, rest = mix.fits[: _MOST - 1], mix.fits[_MOST - 1 :]
    name = f"{len(rest)} others"
    names = {fit.category for fit in rest}
    steps = []
    for step in mix.steps:
        weights = {category: weight for category, weight in step.weights.items() if category not in names}
        steps.append(replace(step, weights={**weights, name: sum(step.weights.get(other, 0.0) for other in names)}))
    other = Fit(mix.dataset, name, sum(fit.count for fit in rest), sum(fit.expected for fit in rest), None)
    counts = np.vstack([mix.counts[: _MOST - 1], mix.counts[_MOST - 1 :].sum(axis=0)])
    return replace(mix, fits=(*kept, other), counts=counts, steps=tuple(steps))


def palette_of(mixes: Sequence[Mix]) -> dict[str, str]:
    """Give each category one colour in all mixes."""
    colors: dict[str, str] = {}
    for fit in (fit for mix in mixes for fit in mix.fits):
        if fit.category not in colors:
            colors[fit.category] = OTHERS if " " in fit.category else PALETTE[len(colors) % len(PALETTE)]
    return colors


def draw_mix(panel: Axes, mix: Mix, edges: Floats, colors: Mapping[str, str], *, aside: float) -> None:
    """Draw shares as bands, the most frequent category on top, and weights as dashed lines.

    Args:
        panel: Where to draw.
        mix: What to draw.
        edges: Edges of the bins, Unix time in s, shape (bins + 1,).
        colors: Category -> colour.
        aside: Where the table beside it begins, as a fraction of the panel's width.
    """
    _draw_bands(panel, mix, edges, colors)
    _draw_weights(panel, mix, edges, colors)
    mark_changes(panel, mix.changes)
    _number_changes(panel, mix.changes, edges)
    panel.set_ylim(0.0, 1.0)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.set_title(f"{shorten(title_of(mix.dataset), _TITLE_CHARS)}: share of each category")
    panel.set_title("dashed: weights; numbers: changes", loc="right", color=FAINT, size=8.0, weight="normal")
    _write_table(panel, mix, colors, aside)


def mark_changes(panel: Axes, changes: Sequence[WeightsChange]) -> None:
    """Draw an upright line where weights changed, below ticks and above areas."""
    for change in changes:
        panel.axvline(change.new.at / DAY_S, color=INK, linewidth=0.9, alpha=0.7, zorder=1.5)


def _number_changes(panel: Axes, changes: Sequence[WeightsChange], edges: Floats) -> None:
    """Write the number of each change below its line, as far as there is room."""
    room, free_from = _NUMBER_ROOM * (edges[-1] - edges[0]), float("-inf")
    for change in changes:
        if change.new.at >= free_from:
            place, style = (change.new.at / DAY_S, -0.02), {"ha": "center", "va": "top", "weight": "bold", "size": 7.5}
            panel.text(*place, str(change.number), transform=panel.get_xaxis_transform(), **style)  # type: ignore[arg-type]
            free_from = change.new.at + room


def _draw_bands(panel: Axes, mix: Mix, edges: Floats, colors: Mapping[str, str]) -> None:
    totals = mix.counts.sum(axis=0)
    share = np.divide(mix.counts, totals, out=np.full_like(mix.counts, np.nan), where=totals > 0)
    tops = np.cumsum(share[::-1], axis=0)[::-1]
    for fit, top, part in zip(mix.fits, tops, share, strict=True):
        panel.stairs(top, edges / DAY_S, baseline=top - part, fill=True, color=colors[fit.category], alpha=0.8)


def _draw_weights(panel: Axes, mix: Mix, edges: Floats, colors: Mapping[str, str]) -> None:
    """Draw where the upper end of each band should be; the first always ends at 100 %."""
    times = np.clip([step.at for step in mix.steps] + [edges[-1]], edges[0], edges[-1]) / DAY_S
    names = [fit.category for fit in mix.fits]
    weights = np.array([[step.weights.get(name, 0.0) for step in mix.steps] for name in names])
    tops = np.cumsum(weights[::-1], axis=0)[::-1]
    for name, top in zip(names[1:], tops[1:], strict=True):
        values = [*top, top[-1]]
        panel.step(times, values, where="post", color="white", linewidth=2.6, alpha=0.55)
        panel.step(times, values, where="post", color=darker(colors[name]), linewidth=1.4, linestyle=(0, (4, 2)))


def _write_table(panel: Axes, mix: Mix, colors: Mapping[str, str], aside: float) -> None:
    """Write overall figures beside the panel, in the order of the bands."""
    style: dict[str, Any] = {"transform": panel.transAxes, "va": "center", "family": MONO, "size": 8.0}
    head = f"{'':{_NAME_CHARS}}{'share':>8}{'expected':>9}{'z':>7}"
    panel.text(aside + 0.02, 0.97, head, color=FAINT, **style)
    line = 0
    for (fit, share, expected), names in zip(
        shares(mix.fits), name_lines([fit.category for fit in mix.fits]), strict=True
    ):
        strange = fit.z is not None and abs(fit.z) > _STRANGE_Z
        z = "-" if fit.z is None else f"{fit.z:+.2f}"
        swatch = Rectangle(
            (aside, 0.97 - (line + 1) * _LINE - 0.025),
            *(0.012, 0.05),
            color=colors[fit.category],
            transform=panel.transAxes,
            clip_on=False,
        )
        panel.add_patch(swatch)
        rows = [*names[:-1], f"{names[-1]:{_NAME_CHARS}}{share:>8.2%}{expected:>9.2%}{z:>7}"]
        for row in rows:
            line += 1
            panel.text(aside + 0.02, 0.97 - line * _LINE, row, color=PALETTE[3] if strange else INK, **style)


def name_lines(names: Sequence[str]) -> list[list[str]]:
    """Lay out names beside figures: a long one has a line of its own, as long as there is room for such lines.

    Args:
        names: Of categories.

    Returns:
        The lines of each; the figures stand behind the last one.
    """
    room = _MOST_LINES - len(names)
    laid: list[list[str]] = []
    for name in names:
        is_long = len(name) > _NAME_CHARS and room > 0
        room -= is_long
        laid.append([shorten(name, _ROW_CHARS), ""] if is_long else [shorten(name, _NAME_CHARS)])
    return laid
