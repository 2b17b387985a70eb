"""How a live view is written: times of the day, weights and who set them, workers, rates."""

import time
from collections.abc import Mapping
from typing import Any, Final

from worker.cli.printing import State
from worker.cli.words import ago_text, counted, listed, span_text

_WRONG_Z: Final = 5.0
_TELLING_Z: Final = 3.0
_MEBIBYTE: Final = 1 << 20
_MOVES: Final = 3
_WIDE: Final = 72  # columns of a terminal
_LEVELS: Final[Mapping[str, State]] = {"warning": "waits", "error": "wrong"}


def clock(at_ms: int) -> str:
    """Write a time of the day in the own time zone; one that no calendar has as dashes.

    Args:
        at_ms: Unix time in ms.
    """
    try:
        return time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def number(value: float | None, unit: str = "") -> str:
    """Write a number in short form; `-` if it is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}{unit}" if value >= 10 else f"{value:.2g}{unit}"  # noqa: PLR2004 - two digits are enough


def set_by(view: Mapping[str, Any]) -> str:
    """Write who set the weights, how long ago and why."""
    setter = view["weights"]["set_by"]
    if setter is None:
        return "by somebody who is not in the history" if view["weights"]["source"] != "default" else "the defaults"
    why = f" ({setter['reason']})" if setter["reason"] else ""
    return f"set by {setter['who']} {ago_text(setter['at_ms'], view['at_ms'])}{why}"


def applied(view: Mapping[str, Any]) -> tuple[str, State]:
    """Write which workers have applied the weights."""
    found = view["applied"]
    if not found["of"]:
        return ("no worker runs" if not view["workers"] else "no worker was asked for it lately"), "waits"
    took = "" if found["took_ms"] is None else f" in {span_text(found['took_ms'] / 1000)}"
    text = f"applied by {found['workers']} of {counted(found['of'], 'worker')}"
    if not found["missing"]:
        return f"{text}{took}", "fits"
    return f"{text}, not by {listed(found['missing'])}", "waits"


def rate(view: Mapping[str, Any]) -> str:
    """Write how much is served."""
    rates = view["rate"]
    told = f"{number(rates['requests_per_s'])} requests/s  {number(rates['chunks_per_s'])} chunks/s"
    return f"{told}  {number(rates['errors_per_s'])} errors/s"


def backlog(view: Mapping[str, Any]) -> str:
    """Write what waits."""
    found = view["backlog"]
    oldest = "" if found["oldest_ms"] is None else f" (oldest {span_text(found['oldest_ms'] / 1000)})"
    return f"lag {number(found['lag'])}  pending {number(found['pending'])}{oldest}"


def moved(mark: Mapping[str, Any]) -> str:
    """Write a change: who made it, what moved by how many percentage points, and why."""
    moves = [f"{name} {points:+g}" for name, points in list(mark["points"].items())[:_MOVES]]
    more = len(mark["points"]) - _MOVES
    text = ", ".join([*moves, *([f"{more} more"] if more > 0 else [])]) or "nothing moved"
    why = f" ({mark['reason']})" if mark["reason"] else ""
    return f"{mark['who'] or 'not in the history'}: {text}{why}"


def worker(row: Mapping[str, Any], width: int = 80) -> tuple[str, State | None]:
    """Write how a worker is; on a narrow terminal only what matters most.

    Args:
        row: Of the view document.
        width: Columns of the terminal.
    """
    if row["problem"]:
        return f"{row['name']}  unreadable: {row['problem']}", "wrong"
    text = f"{row['name']}  {row['state']}  {number(row['requests_per_s'])}/s"
    if width < _WIDE:
        text += f"  p99 {number(row['latency_p99_ms'], ' ms')}  loop {number(row['loop_lag_ms'], ' ms')}"
    else:
        memory = "" if row["memory_bytes"] is None else f"  {row['memory_bytes'] / _MEBIBYTE:,.0f} MiB"
        text += f"  p50 {number(row['latency_p50_ms'])}  p99 {number(row['latency_p99_ms'])}"
        text += f"  max {number(row['latency_max_ms'])} ms  loop {number(row['loop_lag_ms'], ' ms')}{memory}"
    if row["has_applied"] is False:
        return f"{text}  under {row['version']}", "waits"
    return text, None if row["state"] == "serving" else "waits"


def event(one: Mapping[str, Any]) -> tuple[str, State | None]:
    """Write a notable event of a worker."""
    return f"{clock(one['at_ms'])} {one['worker']}  {one['event']}  {one['text']}", _LEVELS.get(one["level"])


def verdict(drawn: Mapping[str, Any] | None) -> tuple[str, State | None]:
    """Write a z score, and its verdict; below 100 expected draws there is none."""
    if drawn is None or not drawn["is_enough"]:
        return "·", None
    distance = abs(drawn["z"])
    return f"{drawn['z']:+.1f}", "fits" if distance < _TELLING_Z else "waits" if distance < _WRONG_Z else "wrong"
