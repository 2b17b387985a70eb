"""Draw what a training heard: the mix of each 1,000 samples, and the weights in force meanwhile."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.ticker import PercentFormatter

from worker.report.style import FAINT, PALETTE, RULE, Sheet, darker, styled

SAMPLES = 1_000
_WIDTH, _HEIGHT = 10.5, 4.0


class Change(Protocol):
    """Other weights, and since when (Unix time, s)."""

    @property
    def at(self) -> float: ...

    @property
    def weights(self) -> Mapping[str, float]: ...


def draw_training(
    batches: Sequence[Mapping[str, Any]], moves: Sequence[Change], away: tuple[float, float], ending: str
) -> bytes:
    """Draw the weights in force as lines, and each category's share of each 1,000 samples as a dot.

    Args:
        batches: What was heard, in the order of time: `at` (Unix time, s) and `counts`.
        moves: The changes of weights.
        away: From when to when one of the ranks was not there (Unix time, s).
        ending: Of the file, such as `.svg`.
    """
    began, ended = float(batches[0]["at"]), float(batches[-1]["at"])
    times, shares = _shares(batches, list(moves[0].weights))
    with styled():
        sheet = Sheet(_WIDTH, _HEIGHT)
        panel = sheet.place(0.7, 0.95, _WIDTH - 1.0, _HEIGHT - 1.5)
        panel.axvspan(away[0] - began, away[1] - began, color=RULE, alpha=0.5, linewidth=0)
        note = "a rank is killed, and goes on\nwith what was drawn for it before"
        panel.text(away[0] - began + 0.1, 0.79, note, color=FAINT, size=8.0, va="top")
        steps = np.clip([move.at for move in moves] + [ended], began, ended) - began
        for color, (name, dots) in zip(PALETTE, shares.items(), strict=False):
            values = [move.weights.get(name, 0.0) for move in moves]
            panel.step(steps, [*values, values[-1]], where="post", color=darker(color), linewidth=1.2)
            panel.plot(times - began, dots, "o", color=color, markersize=3.2, alpha=0.75, markeredgewidth=0)
            panel.plot([], [], "o-", color=color, markersize=4, label=name)
        panel.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(shares), borderaxespad=0.1, fontsize=9)
        panel.set_xlim(0, ended - began)
        panel.set_ylim(0, 0.8)
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_xlabel("seconds of training", loc="left")
        sheet.write(0.3, 0.15, "The mix that a training heard, while the sliders moved", size=12.0, weight="bold")
        about = f"dots: share of each category in {SAMPLES:,} samples, 2 ranks x 4 DataLoader workers; lines: weights"
        sheet.write(0.3, 0.42, about, color=FAINT, size=9.0)
        return sheet.render(ending)


def _shares(batches: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Compute the middle of each 1,000 samples in time, and the share of each category in them."""
    times: list[float] = []
    shares: dict[str, list[float]] = {name: [] for name in names}
    counts, there, first = dict.fromkeys(names, 0), 0, 0
    for number, batch in enumerate(batches):
        for name, count in batch["counts"].items():
            counts[name] += count
            there += count
        if there >= SAMPLES:
            times.append((float(batches[first]["at"]) + float(batch["at"])) / 2)
            for name in names:
                shares[name].append(counts[name] / there)
            counts, there, first = dict.fromkeys(names, 0), 0, number + 1
    return np.array(times), shares
