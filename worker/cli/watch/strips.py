"""The categories as lines: weight, share, and a bar of what was drawn with a mark where it is expected.

Beside the weights in force stand those that a rule in shadow would have set, if there is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.cli.printing import Part, text_width
from worker.cli.watch.words import number, verdict
from worker.cli.words import share_text
from worker.core.redaction import escape

_SHORTEST_BAR, _LONGEST_BAR = 8, 60
_NUMBER_WIDTH: Final = 7
_NARROW, _WIDE, _WIDER = 40, 72, 96  # columns of the terminal, without those of a shadow
_LONGEST_NAME, _SHORT_NAME = 24, 14
_GAP: Final = 1
_CELL: Final = _NUMBER_WIDTH + _GAP


def strips(view: Mapping[str, Any], width: int, marks: str) -> list[list[Part]]:
    """Draw all categories of a view, a line each, below a line of headings.

    Args:
        view: The view document.
        width: Columns of the terminal.
        marks: Two characters: of a bar, and of the mark on it.
    """
    rows: Sequence[Mapping[str, Any]] = view["categories"]
    if not rows:
        return []
    left, right = _headings(width, has_shadow=any(row["shadow"] is not None for row in rows))
    longest = max(text_width(escape(row["name"])) for row in rows)
    rest = width - len(left + right) * _CELL - _SHORTEST_BAR - 2 * _GAP
    most = _LONGEST_NAME if width >= _WIDE else _SHORT_NAME
    names = max(len("category"), min(longest, most, rest))
    bar = min(_LONGEST_BAR, rest - names + _SHORTEST_BAR)
    drawn = [row["drawn"]["share"] if row["drawn"] else 0.0 for row in rows]
    scale = max([*drawn, *map(_expected, rows)]) or 1.0
    before, after = ("".join(f"{name:>{_CELL}}" for name in side) for side in (left, right))
    legend = f"drawn, {marks[1]} expected"
    title = f"{'category':<{names}}{before} {legend:<{bar}.{bar}}{after}"
    lines: list[list[Part]] = [[(title, "dim")]]
    for row, share in zip(rows, drawn, strict=True):
        cells = _cells(row)
        named = (_fitted(escape(row["name"]), names), None)
        shown = (f" {_bar(share / scale, _expected(row) / scale, bar, marks)}", cells["z"][1])
        lines.append([named, *(cells[name] for name in left), shown, *(cells[name] for name in right)])
    return lines


def _headings(width: int, *, has_shadow: bool) -> tuple[list[str], list[str]]:
    """Return the headings of the columns before the bar, and of those after it."""
    room = width - _CELL if has_shadow else width
    left = ["weight", "shadow", "drawn"] if has_shadow else ["weight", "drawn"]
    right = [name for name, least in (("z", _NARROW), ("READY", _WIDE), ("heard/h", _WIDER)) if room >= least]
    return left, right


def _cells(row: Mapping[str, Any]) -> dict[str, Part]:
    """Write the columns of a category, each with a gap before it."""
    drawn, shadow = row["drawn"], row["shadow"]
    score, state = verdict(drawn)
    is_missing = row["ready"] == 0 and row["share"]
    told: Mapping[str, Part] = {
        "weight": (share_text(row["share"]), None),
        "shadow": ("-" if shadow is None else share_text(shadow), None),
        "drawn": (share_text(drawn["share"]) if drawn else "-", None),
        "z": (score, state),
        "READY": ("-" if row["ready"] is None else f"{row['ready']:,}", "wrong" if is_missing else None),
        "heard/h": (number(row["repeats_per_hour"]), "wrong" if is_missing else None),
    }
    return {name: (f"{text:>{_CELL}}", state) for name, (text, state) in told.items()}


def _expected(row: Mapping[str, Any]) -> float:
    """Return the share that is expected: other than the weight where categories without READY chunks leave theirs."""
    return float(row["drawn"]["expected_share"] if row["drawn"] else row["share"])


def _bar(part: float, target: float, length: int, marks: str) -> str:
    """Draw a share, with a mark where it is expected."""
    filled = round(part * (length - 1))
    drawn = [marks[0] if place < filled else " " for place in range(length)]
    drawn[min(length - 1, round(target * (length - 1)))] = marks[1]
    return "".join(drawn)


def _fitted(text: str, width: int) -> str:
    """Cut a name in its middle, as its end tells as much as its start; or fill it up."""
    while text_width(text) > width:
        middle = len(text) // 2
        text = f"{text[: middle - 1]}…{text[middle + 1 :]}" if "…" not in text else _without(text)
    return text + " " * (width - text_width(text))


def _without(text: str) -> str:
    """Return a cut text without one more letter beside its gap."""
    left, _, right = text.partition("…")
    return f"{left[:-1]}…{right}" if len(left) > len(right) else f"{left}…{right[1:]}"
