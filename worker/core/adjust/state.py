"""The state of one dataset's rule: how far it is. Only the atomic step of a rule writes it.

`stored` is the fence against people. It is the mark of what the weights key holds while nobody but the rule changes it:
what the rule found when it began, then what each step stored. Any other mark means that a person changed the weights.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from worker.core.adjust.values import read_object as read
from worker.core.adjust.values import shown
from worker.core.weights.values import check_values
from worker.errors import AdjustError, WeightsError

_ENTRY_PART: Final = re.compile(r"[0-9]{1,20}")
_FURTHEST: Final = 1e300
_MAX_BYTES: Final = 8 << 20  # it holds shares of up to 10,000 categories several times


@dataclass(frozen=True, slots=True)
class State:
    """The state of a rule.

    Attributes:
        rule_mark: `Settings.rule_mark` of the rule that it belongs to.
        step: Number of steps made. A step that changes no share counts, too.
        stored: Mark of what the weights key holds while only the rule changes it.
        before: What the weights key held before the rule began; None: it was absent.
        paused: Why the rule waits for people; empty: it does not.
        began_ms: When the rule began, Unix time in ms by the clock of Redis.
        stepped_ms: When the last step was made; 0: none was.
        resumed_ms: `Settings.resumed_ms` that it has followed.
        cursor: Id of the last report of losses that was used.
        reports: How many reports were used.
        memory: The rule's own.
        shadow: Category -> share that the rule would have set; empty where it sets them.
        evidence: Why the last step was made.
        held_by: Limits that held the last step back.
        next_at: Unit -> position at which the next step is due, where it is known.
        mode: How its position is counted: `on`, by what is heard under positioned weights; `shadow`, by what is served.
        served: Unit -> what was served ever when a shadow's position was 0; below 0 where counts were cleared since.
    """

    rule_mark: str
    step: int = 0
    stored: str = ""
    before: str | None = None
    paused: str = ""
    began_ms: int = 0
    stepped_ms: int = 0
    resumed_ms: int = 0
    cursor: str = "0-0"
    reports: int = 0
    memory: Mapping[str, Any] = field(default_factory=dict)
    shadow: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""
    held_by: tuple[str, ...] = ()
    next_at: Mapping[str, float] = field(default_factory=dict)
    mode: str = "on"
    served: Mapping[str, int] = field(default_factory=dict)

    def resumed(self, at_ms: int) -> "State":
        """Return the state after a person told the rule to go on, from the weights in force.

        Args:
            at_ms: `Settings.resumed_ms`.
        """
        return replace(self, paused="", resumed_ms=at_ms, stepped_ms=0, shadow={})

    @property
    def text(self) -> str:
        """Write the state as Redis holds it."""
        return json.dumps({one.name: getattr(self, one.name) for one in fields(self)}, separators=(",", ":"))


def read_state(text: bytes) -> State:
    """Read a state as Redis holds it.

    Raises:
        AdjustError: The text is none. Nobody but this project writes it, so the rule has to be set again.
    """
    found = read("the state of a rule", text, _MAX_BYTES)
    for name, is_right in _CHECKS.items():
        if name in found and not is_right(found[name]):
            raise AdjustError(f"the state of a rule has {name} {shown(found[name])}; accepted: once it is set again")
    if found.keys() - _CHECKS.keys() or "rule_mark" not in found:
        raise AdjustError("the state of a rule has other fields than it should; accepted: once it is set again")
    return State(**{**found, "held_by": tuple(found.get("held_by", ()))})


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_entry(value: object) -> bool:
    parts = value.split("-") if isinstance(value, str) else ()
    return len(parts) == 2 and all(_ENTRY_PART.fullmatch(part) and int(part) < 1 << 64 for part in parts)  # noqa: PLR2004 - ms and number


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


def _is_position(value: object) -> bool:
    return _is_number(value) and -_FURTHEST <= value <= _FURTHEST  # type: ignore[operator]


def _is_shadow(value: object) -> bool:
    """Return whether these are shares that weights can be made of, or none at all."""
    if not isinstance(value, dict):
        return False
    try:
        shares = check_values(list(value.items())).values()
    except WeightsError:
        return False
    return not shares or 0 < max(shares) <= 1


def _each(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_right, value.values()))


_CHECKS: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("rule_mark", "stored", "paused", "evidence"), _is_text),
    **dict.fromkeys(("step", "began_ms", "stepped_ms", "resumed_ms", "reports"), _is_count),
    "cursor": _is_entry,
    "before": lambda value: value is None or _is_text(value),
    "memory": lambda value: isinstance(value, dict),
    "shadow": _is_shadow,
    "held_by": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "next_at": _each(_is_position),
    "mode": lambda value: _is_text(value) and value in {"on", "shadow"},
    "served": _each(_is_whole),
}
