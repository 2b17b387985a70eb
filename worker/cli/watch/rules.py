"""How the rule that moves the weights is written: what it is, what comes next, and why the last step was made."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from worker.cli.printing import Part
from worker.cli.words import ago_text, clock_text, counted, share_text, span_text

_COUNTS: Final = 2
_RESUME: Final = "adjust resume"


def rule_lines(view: Mapping[str, Any]) -> list[Part]:
    """Write the rule of a view in one or two lines; none without a rule.

    Args:
        view: The view document.
    """
    rule = view["rule"]
    if rule is None:
        return []
    if rule["status"] == "refused":
        return [(f"the rule {_of(rule, view)}is refused: {rule['problem']}", "wrong")]
    title = _title(rule, view)
    if rule["status"] == "paused":
        why = f"  {rule['paused']}; {_RESUME} lets it go on"
        return [(f"{title}  paused after {counted(rule['steps'], 'step')}", "waits"), (why, "waits")]
    if rule["status"] == "frozen":
        return [(f"{title}  after {counted(rule['steps'], 'step')}; {_RESUME} lets it go on", "dim")]
    if rule["status"] == "not begun":
        return [(f"{title}  not begun: workers begin it within seconds", "waits")]
    first = f"{title}  {next_text(rule['next'], view['at_ms'])}"
    return [(first, None), (f"  {step_text(rule, view['at_ms'])}", "dim")]


def next_text(due: Mapping[str, Any], now_ms: int) -> str:
    """Write when the next step is made.

    Args:
        due: `next` of the rule's document.
        now_ms: When it was looked, Unix time in ms.
    """
    told = [_count_text(one) for one in due["counts"][:_COUNTS]]
    more = len(due["counts"]) + due["counts_left_out"] - _COUNTS
    if more > 0:
        told.append(f"at one of {counted(more, 'further count')}")
    if due["at_ms"] is not None and due["at_ms"] > now_ms:
        told.insert(0, f"in {span_text((due['at_ms'] - now_ms) / 1000)}")
    return f"next {' or '.join(told)}" if told else "next once a share would change"


def step_text(rule: Mapping[str, Any], now_ms: int) -> str:
    """Write the last step: which it was, when, why, and what held it back.

    Args:
        rule: The rule's document.
        now_ms: When it was looked, Unix time in ms.
    """
    if rule["stepped_ms"] is None:
        return "no step made"
    held = f"held by {'; '.join(rule['held_by'])}" if rule["held_by"] else ""
    why = "  ".join(filter(None, (rule["evidence"], held)))
    return f"step {rule['steps']:,}, {ago_text(rule['stepped_ms'], now_ms)}{f': {why}' if why else ''}"


def rule_news(view: Mapping[str, Any], last: Mapping[str, Any] | None) -> Iterator[Part]:
    """Yield lines about a rule: it is new or differs, or a step in shadow would have moved the weights.

    Args:
        view: The view document.
        last: The one before; None: there was none.
    """
    rule, before = view["rule"], None if last is None else last["rule"]
    if rule is None:
        if before is not None:
            yield "no rule moves the weights any more", None
        return
    if before is None or any(rule[name] != before[name] for name in ("dataset", "name", "mode", "status", "problem")):
        lines = rule_lines(view)
        yield "  ".join(text.strip() for text, _ in lines), lines[0][1]
    elif last is not None and (would := _would(view)) != _would(last):
        yield f"{_title(rule, view)} would set {would}  {step_text(rule, view['at_ms'])}", None


def _would(view: Mapping[str, Any]) -> str:
    shares = [(row["name"], row["shadow"]) for row in view["categories"] if row["shadow"]]
    return "  ".join(f"{name} {share_text(share)}" for name, share in shares)


def _title(rule: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    mode = "frozen" if rule["status"] == "frozen" else rule["mode"]
    return f"rule {rule['name']} {_of(rule, view)}({mode})"


def _of(rule: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Write whose rule it is, where it is not of the dataset that is watched."""
    return "" if rule["dataset"] == view["dataset"] else "of the global weights "


def _count_text(count: Mapping[str, Any]) -> str:
    """Write a count at which the next step is due, and how far it is."""
    unit, category = count["unit"], f" of {count['category']}" if count["category"] else ""
    so_far = "" if count["heard"] is None else f" ({_amount(unit, count['heard'])} so far)"
    return f"at {_amount(unit, count['at'])} {'of audio' if unit == 'ms' else unit}{category} heard{so_far}"


def _amount(unit: str, at: float) -> str:
    return clock_text(at / 1000) if unit == "ms" else f"{math.ceil(at):,}"
