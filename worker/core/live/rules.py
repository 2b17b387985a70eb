"""The rule that moves some weights, as plain data: how far it is, what comes next, and what its shadow would set.

Rules need NumPy, which takes most of the start of a verb. So they are loaded only where one is set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

from worker.core.keys import CATEGORY_PATTERN
from worker.core.live.texts import cut
from worker.core.stats.heard import UNITS
from worker.errors import AdjustError

if TYPE_CHECKING:
    from worker.core.adjust.settings import Settings
    from worker.core.adjust.state import State

_MOST_LIMITS: Final = 8
_MOST_COUNTS: Final = 8
_LATEST_MS: Final = 8_640_000_000_000_000  # no calendar of a browser shows a later time
_MOST: Final = float(2**53)


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """A rule as Redis holds it.

    Attributes:
        name: Whose weights it moves: a dataset, or None for the global ones.
        settings: Its settings; None: they are refused.
        state: How far it is; None: it has not begun, or its state is refused.
        problem: Why settings or state are refused; empty: they are not.
        heard: Unit, or `chunks:<category>` -> what was heard since it began, of those that are counted.
    """

    name: str | None
    settings: "Settings | None" = None
    state: "State | None" = None
    problem: str = ""
    heard: Mapping[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Return `refused`, `frozen`, `not begun`, `paused` or `running`."""
        if self.settings is None or self.problem:
            return "refused"
        if self.settings.mode == "off":
            return "frozen"
        if self.state is None:
            return "not begun"
        return "paused" if self.state.paused else "running"


def shadow_of(rule: RuleSeen | None) -> Mapping[str, float]:
    """Return the shares that a rule in shadow would have set, category -> share; empty without one.

    Args:
        rule: The rule; None: there is none.
    """
    if rule is None or rule.settings is None or rule.state is None or rule.settings.mode != "shadow":
        return {}
    return rule.state.shadow


def observe_rule(name: str | None, settings: bytes | None, state: bytes | None) -> RuleSeen | None:
    """Read what Redis holds about the rule of some weights.

    Args:
        name: A dataset, or None for the global weights.
        settings: As Redis holds them; None: there are none.
        state: The same.

    Returns:
        The rule; None: there is none.
    """
    if settings is None:
        return None
    from worker.core.adjust.settings import read_settings  # noqa: PLC0415 - NumPy, where a rule is set
    from worker.core.adjust.state import read_state  # noqa: PLC0415 - the same

    try:
        found = read_settings(settings)
    except AdjustError as error:
        return RuleSeen(name, problem=str(error))
    try:
        held = None if state is None else read_state(state)
    except AdjustError as error:
        return RuleSeen(name, found, problem=str(error))
    if held is None or held.rule_mark != found.rule_mark:
        return RuleSeen(name, found)  # a state of an earlier rule says nothing of this one
    if held.resumed_ms != found.resumed_ms:
        held = held.resumed(found.resumed_ms)
    return RuleSeen(name, found, held)


def units_due(rule: RuleSeen | None) -> Sequence[str]:
    """Return the units, `chunks:<category>` among them, whose counts decide when a rule makes its next step.

    Args:
        rule: The rule; None: there is none.
    """
    if rule is None or rule.settings is None or rule.state is None or rule.status != "running":
        return ()
    if not rule.settings.mode == rule.state.mode == "on":
        return ()  # nothing is counted for a shadow
    return [unit for _, unit in nsmallest(_MOST_COUNTS, _counts_due(rule.state))]


def rule_document(rule: RuleSeen) -> dict[str, Any]:
    """Write a rule as plain data.

    Args:
        rule: The rule.
    """
    settings, state = rule.settings, rule.state
    return {
        "dataset": rule.name,
        "name": None if settings is None else settings.rule,
        "mode": None if settings is None else settings.mode,
        "status": rule.status,
        "paused": cut(state.paused) if state is not None and rule.status == "paused" else "",
        "problem": cut(rule.problem),
        "steps": 0 if state is None else state.step,
        "stepped_ms": None if state is None else _moment(state.stepped_ms),
        "next": _next(settings, state, rule) if settings and state and rule.status == "running" else None,
        "evidence": "" if state is None else cut(state.evidence),
        "held_by": [] if state is None else [cut(limit) for limit in state.held_by[:_MOST_LIMITS]],
        "who": "" if settings is None else settings.who,
        "set_ms": None if settings is None else _moment(settings.set_at_ms),
    }


def _next(settings: "Settings", state: "State", rule: RuleSeen) -> dict[str, Any]:
    """Write when a rule that runs makes its next step: at a time, or at one of some counts since it began.

    A rule that knows the count of its next step makes one earlier only where limits hold it back.
    """
    from worker.core.adjust.rule import TIME_MS  # noqa: PLC0415 - the same

    counts, counted = _counts_due(state), units_due(rule)
    at_ms = None
    if TIME_MS in state.next_at:
        at_ms = state.began_ms + max(0.0, min(state.next_at[TIME_MS], _MOST))
    elif not counts or state.held_by:
        warm_ms = 0.0 if settings.moves_by.learns else state.began_ms + 1000 * settings.warm_up
        at_ms = max(state.stepped_ms + 1000 * settings.interval_s, warm_ms)
    return {
        "at_ms": None if at_ms is None else _moment(round(at_ms)),
        "counts": [
            _count(unit, at, rule.heard.get(unit) if unit in counted else None)
            for at, unit in nsmallest(_MOST_COUNTS, counts)
        ],
        "counts_left_out": max(0, len(counts) - _MOST_COUNTS),
    }


def _counts_due(state: "State") -> list[tuple[float, str]]:
    """List the counts at which the next step is due, each with its unit."""
    return [(at, unit) for unit, at in state.next_at.items() if _is_counted(unit) and 0 <= at <= _MOST]


def _is_counted(unit: str) -> bool:
    kind, colon, category = unit.partition(":")
    return kind in UNITS and (not colon or CATEGORY_PATTERN.fullmatch(category) is not None)


def _count(unit: str, at: float, heard: float | None) -> dict[str, Any]:
    kind, _, category = unit.partition(":")
    return {"unit": kind, "category": category or None, "at": at, "heard": heard}


def _moment(at_ms: int) -> int | None:
    """Return a time as it is (Unix time in ms); None for 0, and for one that no calendar has."""
    return at_ms if 0 < at_ms <= _LATEST_MS else None
