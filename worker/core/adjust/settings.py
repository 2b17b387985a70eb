"""The settings of one dataset's rule: which rule, how it is held back, and whether it may move the weights.

Redis holds them as JSON, and anybody may have written there. So everything is checked, and bounded.

Some values are not chosen by people. `set_at_ms` is when the rule was set. `resumed_ms` is when it was last told to go
on, and `found` is what the weights key held then. A rule begins anew when it is set again. It goes on where it was when
only its mode or its guards change.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.core.adjust.rule import COUNTED, Rule
from worker.core.adjust.rules import RULES
from worker.core.adjust.values import choice, number, refuse_unknown, shown, whole
from worker.core.adjust.values import read_object as read
from worker.core.keys import CATEGORY_PATTERN
from worker.core.weights.values import MAX_CATEGORIES, check_values
from worker.errors import AdjustError, WeightsError

MODES: Final = ("off", "shadow", "on")
REST: Final = "*"
"""In floors and ceilings: all categories that are not named."""

MOST_CHANGE: Final = 0.05
STRENGTH: Final = 0.1
WARM_UP_REPORTS: Final = 20
INTERVAL_S: Final = 30.0
_LONGEST_S: Final = 366 * 86_400.0
_LATEST_MS: Final = 2**53
_LONGEST_WHO: Final = 256
_NAMES: Final = (
    *("rule", "parameters", "mode", "floor", "ceiling", "most_change", "prior", "prior_given", "strength"),
    *("interval_s", "warm_up", "who", "set_at_ms", "resumed_ms", "found", "resume_mode"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a rule.

    Attributes:
        rule: Its name, one of `worker.core.adjust.rules.RULES`.
        parameters: Its parameters, checked and with their defaults.
        mode: `off`: it does nothing; `shadow`: it says what it would do; `on`: it moves the weights.
        floor: Category, or `*` for the rest -> least share.
        ceiling: Category, or `*` for the rest -> largest share.
        most_change: Most that one share moves in a step; None: no limit.
        prior: Category -> weight that the rule is anchored to; None: the weights in force.
        prior_given: Whether a person gave the prior; else it follows the weights that a person sets.
        strength: How much of the prior is mixed into each proposal, 0 to 1.
        interval_s: Shortest time between two steps, in seconds; a step that is due at a count does not wait.
        warm_up: Before the first move: reports of a rule that learns, else seconds.
        who: Who set the rule.
        set_at_ms: When, Unix time in ms.
        resumed_ms: When it was last told to go on; 0: never.
        found: Mark of what the weights key held then; empty: not known, so whatever the rule finds first.
        resume_mode: The mode that it goes on with.
    """

    rule: str
    parameters: Mapping[str, Any]
    mode: str
    floor: Mapping[str, float]
    ceiling: Mapping[str, float]
    most_change: float | None
    prior: Mapping[str, float] | None
    prior_given: bool
    strength: float
    interval_s: float
    warm_up: float
    who: str = ""
    set_at_ms: int = 0
    resumed_ms: int = 0
    found: str = ""
    resume_mode: str = "on"

    @property
    def moves_by(self) -> Rule:
        """Return the rule itself."""
        return RULES[self.rule]

    @property
    def units(self) -> frozenset[str]:
        """Return what the rule goes by, see `worker.core.adjust.rule`."""
        return self.moves_by.units(self.parameters)

    @property
    def goes_by_counts(self) -> bool:
        """Return whether its positions are counts of what is heard."""
        return not self.units.isdisjoint(COUNTED)

    @property
    def rule_mark(self) -> str:
        """Return what identifies the rule as it was set: its state belongs to it, and to no other."""
        identity = json.dumps([self.rule, dict(self.parameters), self.set_at_ms], sort_keys=True)
        return hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()

    @property
    def text(self) -> str:
        """Write the settings as Redis holds them."""
        return json.dumps({name: _plain(getattr(self, name)) for name in _NAMES}, separators=(",", ":"))


def read_settings(text: bytes) -> Settings:
    """Read settings as Redis holds them.

    Args:
        text: A JSON object; only `rule` is required.

    Raises:
        AdjustError: They are not valid. The sentence says what was wrong, and what is accepted.
    """
    found = read("settings", text)
    refuse_unknown(found, _NAMES, "a rule's settings")
    name = choice(found, "rule", None, tuple(RULES))
    rule, parameters = RULES[name], found.get("parameters", {})
    if not isinstance(parameters, dict):
        raise AdjustError(f"parameters is {shown(parameters)}; accepted: an object")
    mode, prior = choice(found, "mode", "off", MODES), _read_prior(found.get("prior"))
    floor, ceiling = _read_limit(found, "floor"), _read_limit(found, "ceiling")
    _check_limits(floor, ceiling)
    checked = rule.check(parameters)
    return Settings(
        name,
        checked,
        mode,
        floor,
        ceiling,
        _read_most_change(found, MOST_CHANGE if rule.learns else None),
        prior,
        _read_flag(found, "prior_given", default=prior is not None),
        number(found, "strength", STRENGTH if rule.learns else 0.0, least=0.0, most=1.0),
        number(found, "interval_s", INTERVAL_S, least=0.0, most=_LONGEST_S),
        number(found, "warm_up", WARM_UP_REPORTS if rule.learns else 0, least=0.0, most=1e9),
        _read_text(found, "who"),
        whole(found, "set_at_ms", 0, least=0, most=_LATEST_MS),
        whole(found, "resumed_ms", 0, least=0, most=_LATEST_MS),
        _read_text(found, "found"),
        choice(found, "resume_mode", "on" if mode == "off" else mode, MODES[1:]),
    )


def _read_prior(value: object) -> Mapping[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise AdjustError(f"prior is {shown(value)}; accepted: an object of weights, or null")
    try:
        weights = check_values(list(value.items()))
    except WeightsError as error:
        raise AdjustError(f"prior: {error}") from None
    if not any(weights.values()):
        raise AdjustError("prior weighs nothing; accepted: at least one weight above zero, or null")
    return weights


def _read_limit(found: Mapping[str, object], name: str) -> Mapping[str, float]:
    """Read a floor or a ceiling: a number for all categories, or an object category -> number."""
    value = found.get(name, {})
    limits = value if isinstance(value, dict) else {REST: value}
    if len(limits) > MAX_CATEGORIES:
        raise AdjustError(f"{name} has {len(limits)} categories; accepted: at most {MAX_CATEGORIES}")
    for category in limits:
        if category != REST and not CATEGORY_PATTERN.fullmatch(category):
            raise AdjustError(f"{name} names {shown(category)}; accepted: categories ([a-z0-9_-]), or {REST}")
    return {one: _read_share(limits, one, f"{name} of {one}") for one in limits}


def _read_share(limits: Mapping[str, object], category: str, what: str) -> float:
    return number({what: limits[category]}, what, None, least=0.0, most=1.0)


def _check_limits(floor: Mapping[str, float], ceiling: Mapping[str, float]) -> None:
    """Refuse limits that contradict each other."""
    total = sum(share for name, share in floor.items() if name != REST)
    if total > 1.0:
        raise AdjustError(f"the floors add up to {total:g}; accepted: at most 1")
    for name in {*floor, *ceiling}:
        low, high = floor.get(name, floor.get(REST, 0.0)), ceiling.get(name, ceiling.get(REST, 1.0))
        if low > high:
            raise AdjustError(f"the floor of {name} is {low:g} and its ceiling {high:g}; accepted: a floor below it")


def _read_most_change(found: Mapping[str, object], default: float | None) -> float | None:
    if found.get("most_change", default) is None:
        return None
    return number(found, "most_change", default, least=0.0001, most=1.0)


def _read_flag(found: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = found.get(name, default)
    if not isinstance(value, bool):
        raise AdjustError(f"{name} is {shown(value)}; accepted: true or false")
    return value


def _read_text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST_WHO:
        raise AdjustError(f"{name} is {shown(value)}; accepted: a text of at most {_LONGEST_WHO} characters")
    return value


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
