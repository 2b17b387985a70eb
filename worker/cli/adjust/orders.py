"""What `adjust set`, `off`, `freeze`, `resume` and `rollback` do."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from worker.adapters.redis.adjust import Decide
from worker.cli.adjust.show import Shown, open_rules, print_rules, read_shown
from worker.cli.context import Opened, check_dataset, open_redis
from worker.cli.printing import print_json, print_text, shares_text
from worker.cli.typed_weights import span_ms, values_from_words
from worker.core.adjust.orders import place_text, plan_freeze, plan_off, plan_resume, plan_rollback, plan_set
from worker.core.adjust.settings import REST
from worker.core.adjust.step import Found, PlannedStep
from worker.core.wording import did_you_mean
from worker.errors import AdjustError, WeightsError
from worker.settings.environment import user
from worker.weights.points import fill_points


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule as options give it.

    Attributes:
        rule: Its name.
        parameters: Words such as `over=1e6`.
        mode: The mode.
        floor: Words such as `0.01` or `voice=0.1`.
        ceiling: Likewise.
        prior: Words such as `voice=0.7`.
        most_change: A number, or `none`; None: the default.
        strength: See `worker.core.adjust.settings.Settings`; None: the default.
        interval: A time span; None: the default.
        warm_up: See the same; None: the default.
    """

    rule: str
    parameters: Sequence[str]
    mode: str
    floor: Sequence[str] = ()
    ceiling: Sequence[str] = ()
    prior: Sequence[str] = ()
    most_change: str | None = None
    strength: float | None = None
    interval: str | None = None
    warm_up: float | None = None

    @property
    def document(self) -> dict[str, Any]:
        """Return the settings as Redis holds them, without those that are not given.

        Raises:
            AdjustError: A word is not accepted.
            WeightsError: A weight of the prior or the interval is not accepted.
        """
        found: dict[str, Any] = {
            "rule": self.rule,
            "mode": self.mode,
            "parameters": _parameters(self.parameters),
            "floor": _limits("--floor", self.floor),
            "ceiling": _limits("--ceiling", self.ceiling),
            "prior": values_from_words(self.prior) or None,
        }
        if self.most_change is not None:
            found["most_change"] = None if self.most_change == "none" else _number("--most-change", self.most_change)
        if self.interval is not None:
            found["interval_s"] = span_ms(self.interval) / 1000
        given = {"strength": self.strength, "warm_up": self.warm_up}
        return found | {name: value for name, value in given.items() if value is not None}


def set_rule(wanted: Wanted, dataset: str | None, *, as_json: bool) -> None:
    """Set a rule, and print it.

    Args:
        wanted: The rule.
        dataset: Whose weights it moves; None: the global ones.
        as_json: Whether to print JSON.

    Raises:
        AdjustError: It is not accepted.
    """
    document, who = wanted.document, user()

    async def plan(opened: Opened) -> Decide:
        written = await write_presets(opened, document)
        return lambda found: plan_set(found, written, who)

    _tell_planned(dataset, plan, as_json=as_json)


async def write_presets(opened: Opened, document: dict[str, Any]) -> dict[str, Any]:
    """Write the weights of stored presets into the points of a schedule, as they are now.

    Args:
        opened: Where presets are.
        document: Settings of a rule.
    """
    parameters = document["parameters"]
    if document["rule"] == "schedule" and "points" in parameters:
        parameters = {**parameters, "points": await fill_points(opened.client, opened.keys, parameters["points"])}
    return {**document, "parameters": parameters}


def remove_rule(dataset: str | None, *, as_json: bool) -> None:
    """Remove a rule; the weights stay."""
    who = user()

    def decide(found: Found) -> PlannedStep:
        return _of_rule(found, lambda one: plan_off(one, who))

    _tell(dataset, decide, as_json=as_json)


def freeze_rule(dataset: str | None, *, as_json: bool) -> None:
    """Stop a rule; it can go on later."""
    _tell(dataset, plan_freeze, as_json=as_json)


def resume_rule(dataset: str | None, mode: str | None, *, as_json: bool) -> None:
    """Let a rule go on that is frozen or paused."""
    _tell(dataset, lambda found: plan_resume(found, mode), as_json=as_json)


def roll_back_rule(dataset: str | None, *, as_json: bool) -> None:
    """Remove a rule, and go back to the weights before it began."""
    who = user()
    _tell(dataset, lambda found: plan_rollback(found, who), as_json=as_json)


def _of_rule(found: Found, plan: Callable[[Found], PlannedStep]) -> PlannedStep:
    """Plan something about a rule, if there is anything of one.

    Raises:
        AdjustError: There is not.
    """
    if not found.settings and not found.state and not found.bounds:
        raise AdjustError(f"no rule is set for {place_text(found.name)}; accepted: one that `adjust set` has set")
    return plan(found)


def _tell(dataset: str | None, decide: Decide, *, as_json: bool) -> None:
    """Change a rule, and print what is in force afterwards."""

    async def plan(_: Opened) -> Decide:
        return decide

    _tell_planned(dataset, plan, as_json=as_json, must_be_set=True)


def no_rule_text(dataset: str, names: Collection[str | None]) -> str:
    """Write that a dataset has no rule, and which dataset of a similar name has one."""
    near = did_you_mean(dataset, [name for name in names if name])
    return f"no rule is set for {place_text(dataset)}; accepted: one that `adjust set` has set{near}"


def _tell_planned(
    dataset: str | None, plan: Callable[[Opened], Awaitable[Decide]], *, as_json: bool, must_be_set: bool = False
) -> None:
    """Change a rule by what has to be looked up before, and print what is in force afterwards."""
    check_dataset(dataset)

    async def work() -> Shown:
        async with open_redis() as opened, open_rules(opened) as rules:
            try:
                await rules.change(dataset, await plan(opened))
            except AdjustError:
                if must_be_set and dataset is not None and dataset not in (names := await rules.names()):
                    raise AdjustError(no_rule_text(dataset, names)) from None
                raise
            return read_shown(await rules.look(dataset))

    shown = asyncio.run(work())
    if shown.settings is not None or shown.problem:
        print_rules([shown], as_json=as_json)
        return
    weights = shown.found.weights.in_force.weights
    if as_json:
        print_json(
            [{"dataset": dataset, "phase": "removed", "version": weights.version, "weights": dict(weights.shares)}]
        )
    else:
        print_text(f"{place_text(dataset)}: no rule moves them; version {weights.version}")
        print_text(f"  {shares_text(weights.shares)}")


def _parameters(words: Sequence[str]) -> dict[str, Any]:
    """Read words such as `over=1e6`: a value is JSON where it can be, else it is a text."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name in found:
            raise AdjustError(f"{word!r} is not accepted; accepted: parameter=value, each once, such as over=1e6")
        try:
            found[name] = json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def _limits(option: str, words: Sequence[str]) -> dict[str, float]:
    """Read limits: a number is for all categories that are not named."""
    found: dict[str, float] = {}
    for word in words:
        name, equals, text = word.rpartition("=")
        category = name if equals else REST
        if category in found:
            raise AdjustError(f"{option} {word} is not accepted; accepted: each category once")
        found[category] = _number(option, text)
    return found


def _number(option: str, text: str) -> float:
    try:
        return values_from_words([f"x={text}"])["x"]
    except WeightsError:
        raise AdjustError(f"{option} {text!r} is not accepted; accepted: a share, such as 0.05") from None
