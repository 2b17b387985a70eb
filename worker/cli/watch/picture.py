"""The whole picture as lines: on a terminal of few lines, the most important parts stay."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from worker.cli.printing import Part, cut_line, text_width
from worker.cli.watch import words
from worker.cli.watch.rules import rule_lines
from worker.cli.watch.strips import strips
from worker.cli.watch.timeline import timeline
from worker.cli.weights.show import source_text
from worker.cli.words import p_text, span_text
from worker.core.redaction import escape
from worker.core.wording import did_you_mean

Line = list[Part]
_LEAST: Final = {"categories": 4, "workers": 1, "changes": 1, "events": 1}
_MOST_CHANGES, _MOST_EVENTS = 5, 8


class Size(NamedTuple):
    """The room for a picture.

    Attributes:
        columns: Of the terminal.
        lines: The same; None: as many as it takes.
        is_plain: Whether only ASCII can be shown.
    """

    columns: int
    lines: int | None
    is_plain: bool = False


def draw(view: Mapping[str, Any], series: Mapping[str, Any], size: Size) -> list[Line]:
    """Draw a view.

    Args:
        view: The view document.
        series: Its points.
        size: The room.
    """
    head = [*_head(view, size.columns), *_problems(view)]
    parts: dict[str, list[Line]] = {
        "categories": strips(view, size.columns, "#|" if size.is_plain else "█│"),
        "fit": [[_fit(view)]],
        "timeline": timeline(series["points"], view["marks"], size.columns, is_plain=size.is_plain),
        "changes": [[(f"{words.clock(mark['at_ms'])} {words.moved(mark)}", None)] for mark in _newest(view["marks"])],
        "workers": [[words.worker(row, size.columns)] for row in view["workers"]],
        "events": [[words.event(one)] for one in view["events"][:_MOST_EVENTS]],
    }
    if size.lines is not None:
        parts = _fitted(parts, size.lines - len(head))
    lines = head + [line for part in parts.values() for line in part]
    shown = [[(escape(text), state) for text, state in line] for line in lines]
    return [cut_line(line, size.columns) for line in shown][: size.lines]


def _newest(marks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(marks[-_MOST_CHANGES:])[::-1]


def _head(view: Mapping[str, Any], width: int) -> list[Line]:
    """Write whose weights these are, since when and by whom, who has applied them, and how much is served."""
    weights = view["weights"]
    whose = f"dataset {view['dataset']}" if view["dataset"] else "global weights"
    if view["dataset"] and weights["source"] != "dataset":
        near = did_you_mean(view["dataset"], view["datasets"])
        whose += f" ({source_text(weights['source'])}{near})"
    title = f"{view['prefix']}  {whose}  {weights['version']}"
    lines = [*_beside(title, words.set_by(view), width), [words.applied(view), *_until(view)]]
    lines += _beside(words.rate(view), words.backlog(view), width)
    if not view["redis"]["ok"]:
        since = words.clock(view["redis"]["since_ms"])
        lines.insert(0, [(f"Redis does not answer since {since}; this is what was seen before", "wrong")])
    if weights["problem"]:
        lines.append([(f"the key holds a value that is refused: {weights['problem']}", "wrong")])
    return lines + [[told] for told in rule_lines(view)]


def _beside(left: str, right: str, width: int) -> list[Line]:
    """Write two texts on a line, or on two lines where they have no room on one."""
    together = f"{left}  {right}"
    return [[(text, None)] for text in ([together] if text_width(escape(together)) <= width else [left, right])]


def _until(view: Mapping[str, Any]) -> Line:
    weights = view["weights"]
    if weights["until_ms"] is None:
        return []
    left_s = max(0, weights["until_ms"] - view["at_ms"]) / 1000
    back = weights["then"]["version"]
    return [(f"  for {span_text(left_s)} more, then {back or 'none are set'}", "waits")]


def _problems(view: Mapping[str, Any]) -> list[Line]:
    said = list(view["problems"])
    if view["empty"]:
        said.append(f"weighted, but without READY chunks: {', '.join(view['empty'])}")
    return [[(sentence, "waits")] for sentence in said]


def _fit(view: Mapping[str, Any]) -> Part:
    """Write how well all categories fit, over what time."""
    fit, length = view["fit"], span_text(view["window_s"])
    more = f"; {view['categories_left_out']:,} more categories" if view["categories_left_out"] else ""
    if fit["p"] is None:
        return f"nothing was drawn in the last {length}{more}", "dim"
    told = f"{fit['chunks']:,} chunks in the last {length}"
    if not fit["is_enough"]:
        return f"{told}: too few to judge{more}", "dim"
    return f"{told} fit with p = {p_text(fit['p'])}{more}", "dim"


def _fitted(parts: Mapping[str, list[Line]], room: int) -> dict[str, list[Line]]:
    """Shorten parts until they fit: events first, then changes, workers, and the categories last."""
    found = dict(parts)
    for least in (_LEAST, dict.fromkeys(_LEAST, 0)):
        for name in ("events", "changes", "workers", "timeline", "categories"):
            over = sum(map(len, found.values())) - room
            if over > 0:
                found[name] = found[name][: max(least.get(name, 0), len(found[name]) - over)]
    return found
