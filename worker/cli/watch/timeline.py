"""The last minutes as two lines: the rate of requests, and below it a tick where weights were changed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.cli.printing import Part
from worker.cli.watch.words import clock, number

_STEPS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_STEPS: Final = " .:-=+*#%"
_LABEL: Final = 9
_LEAST_POINTS: Final = 2


def timeline(
    points: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]], width: int, *, is_plain: bool
) -> list[list[Part]]:
    """Draw the rate and the changes; nothing before there are two points.

    Args:
        points: Of the series, the newest last.
        marks: The changes.
        width: Columns of the terminal.
        is_plain: Whether only ASCII can be shown.
    """
    room = min(len(points), width - _LABEL - len(" 9,999/s"))
    if len(points) < _LEAST_POINTS or room < 1:
        return []
    columns = _columns(points, room)
    highest = max(rate for _, rate in columns)
    steps = _PLAIN_STEPS if is_plain else _STEPS
    heights = "".join(steps[round((len(steps) - 1) * rate / highest) if highest else 0] for _, rate in columns)
    lines: list[list[Part]] = [[("requests ", "dim"), (heights, None), (f" {number(columns[-1][1])}/s", None)]]
    ticks = _ticks([at_ms for at_ms, _ in columns], points[0]["at_ms"], marks, "|" if is_plain else "┃")
    if ticks.strip():
        lines.append([("changes  ", "dim"), (ticks, "waits")])
    return [*lines, [(" " * _LABEL + f"{clock(points[0]['at_ms'])} to {clock(points[-1]['at_ms'])}", "dim")]]


def _columns(points: Sequence[Mapping[str, Any]], room: int) -> list[tuple[int, float]]:
    """Put points into columns: when each ends, and the mean rate in it."""
    columns: list[tuple[int, float]] = []
    for number_ in range(room):
        part = points[number_ * len(points) // room : (number_ + 1) * len(points) // room]
        rates = [point["requests_per_s"] or 0.0 for point in part]
        columns.append((part[-1]["at_ms"], sum(rates) / len(rates)))
    return columns


def _ticks(ends_ms: Sequence[int], began_ms: int, marks: Sequence[Mapping[str, Any]], tick: str) -> str:
    """Put a tick into each column in which weights were changed."""
    begins = [began_ms, *ends_ms[:-1]]
    shown = [
        tick if any(begin < mark["at_ms"] <= end for mark in marks) else " "
        for begin, end in zip(begins, ends_ms, strict=True)
    ]
    return "".join(shown)
