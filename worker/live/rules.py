"""The rules that move weights, read again only where what Redis holds has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from worker.core.live.rules import RuleSeen, observe_rule, units_due
from worker.core.stats import read_count

Texts = tuple[bytes | None, bytes | None]
"""Settings and state, as Redis holds them."""

Rules = Mapping[str | None, RuleSeen | None]

Count = tuple[str | None, str]
"""What is counted: the weights name, and a unit or `chunks:<category>`."""


class RuleFields:
    """The rules of the datasets that are watched, and the global one."""

    def __init__(self) -> None:
        """Begin without a rule."""
        self._texts: dict[str | None, Texts] = {}
        self._rules: dict[str | None, RuleSeen | None] = {}

    def observe(
        self,
        names: Sequence[str | None],
        settings: Sequence[bytes | None],
        states: Sequence[bytes | None],
    ) -> Rules:
        """Take in what the fields hold now.

        Args:
            names: Datasets; None stands for the global weights.
            settings: Of each.
            states: Of each.
        """
        texts = dict(zip(names, zip(settings, states, strict=True), strict=True))
        self._rules = {
            name: self._rules[name] if self._texts.get(name) == found else observe_rule(name, *found)
            for name, found in texts.items()
        }
        self._texts = texts
        return self._rules


def rule_of(rules: Rules, name: str | None, decides: str | None) -> RuleSeen | None:
    """Return the rule of a dataset: its own, or else that of the weights in force; None: there is none.

    Args:
        rules: Of each weights name.
        name: The dataset; None: the global weights.
        decides: Whose weights are in force for it.
    """
    return rules.get(name) or rules.get(decides)


def counts_due(rules: Rules) -> list[Count]:
    """List the counts that decide when rules make their next steps.

    Args:
        rules: Of each weights name.
    """
    return [(name, unit) for name, rule in rules.items() for unit in units_due(rule)]


def with_heard(rules: Rules, heard: Mapping[Count, bytes | None]) -> Rules:
    """Return rules with what was heard; without counts that cannot be read.

    Args:
        rules: Of each weights name.
        heard: Count -> what Redis holds.
    """
    found: dict[str | None, dict[str, int]] = {name: {} for name in rules}
    for (name, unit), text in heard.items():
        count = read_count((text or b"0").decode(errors="replace"))
        if count is not None:
            found[name][unit] = count
    return {name: None if rule is None else replace(rule, heard=found[name]) for name, rule in rules.items()}
