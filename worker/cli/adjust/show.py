"""What `adjust show` does, and what every verb of `adjust` prints in the end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import click

from worker.adapters.redis.adjust import RedisAdjust
from worker.cli.context import Opened, check_dataset, open_redis
from worker.cli.output import complain
from worker.cli.printing import State as Colour
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.watch.rules import next_text, step_text
from worker.cli.words import Share, ago_text
from worker.core.adjust.driver import current_state
from worker.core.adjust.orders import place_text, state_of
from worker.core.adjust.rules.points import points_text
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State
from worker.core.adjust.step import MOST_RULES, Found
from worker.core.live.rules import RuleSeen, rule_document, units_due
from worker.core.wording import did_you_mean
from worker.errors import AdjustError
from worker.weights.in_use import try_to_find_ready

_NAMED = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """One rule, as it is shown.

    Attributes:
        found: What Redis holds.
        settings: The settings; None: there are none, or they are refused.
        state: The state; None: the rule has not begun.
        problem: Why settings or state are refused; empty: they are not.
    """

    found: Found
    settings: Settings | None
    state: State | None
    problem: str = ""

    @property
    def seen(self) -> RuleSeen:
        """Return the rule as those see it who watch."""
        seen = RuleSeen(self.found.name, self.settings, self.state, self.problem)
        return replace(seen, heard={unit: self.found.heard.get(unit, 0.0) for unit in units_due(seen)})

    @property
    def phase(self) -> str:
        """Return what the rule does, in a word."""
        if self.settings is None and not self.problem:
            return "removed"
        status = self.seen.status
        return self.settings.mode if self.settings is not None and status == "running" else status


def show_rules(dataset: str | None, *, as_json: bool) -> None:
    """Print the rules that are set; status 1 if one of them is refused.

    Args:
        dataset: That which moves the weights of this dataset, its own or else the global one; None: all.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)

    names: list[str | None] = []

    async def work() -> list[Shown]:
        async with open_redis() as opened, open_rules(opened) as rules:
            names.extend(await rules.names())
            if dataset is not None:
                return [await _look_at_dataset(rules, dataset)]
            if len(names) > MOST_RULES:
                complain(
                    f"there are rules for {len(names):,} datasets; workers look at {MOST_RULES} of them, as this does"
                )
            return [await look_at(rules, name) for name in sorted(names[:MOST_RULES], key=lambda one: one or "")]

    found = [one for one in asyncio.run(work()) if one.settings is not None or one.problem]
    if dataset is not None and not as_json:
        _print_whose(dataset, found, [name for name in names if name])
    if found or as_json or dataset is None:
        print_rules(found, as_json=as_json)
    if any(one.problem for one in found):
        raise click.exceptions.Exit(1)


@asynccontextmanager
async def open_rules(opened: Opened) -> AsyncIterator[RedisAdjust]:
    """Give what reads and changes rules."""
    ready = await try_to_find_ready(opened.client, opened.keys, opened.settings)
    rules = RedisAdjust(opened.client, opened.keys, defaults=lambda: ready.defaults)
    try:
        yield rules
    finally:
        rules.close()


def _print_whose(dataset: str, found: Sequence[Shown], others: Sequence[str]) -> None:
    """Print that a dataset has no rule of its own, if it has none, and which one may be meant."""
    if not found:
        near = did_you_mean(dataset, others)
        print_text(f"no rule is set for dataset {dataset}: its weights move only when somebody sets them{near}")
    elif found[0].found.name is None:
        print_text(f"dataset {dataset} has no rule of its own; the global weights are in force for it")


async def _look_at_dataset(rules: RedisAdjust, dataset: str) -> Shown:
    """Read the rule of a dataset; where it has none, that of the global weights, if these are in force for it."""
    own = await look_at(rules, dataset)
    is_own = own.settings is not None or own.problem or own.found.weights.in_force.dataset == dataset
    return own if is_own else await look_at(rules, None)


async def look_at(rules: RedisAdjust, name: str | None) -> Shown:
    """Read one rule, with the counts that its next step is due at."""
    shown = read_shown(await rules.peek(name))
    categories = [unit.partition(":")[2] for unit in units_due(shown.seen) if ":" in unit]
    return read_shown(await rules.peek(name, categories)) if categories else shown


def read_shown(found: Found) -> Shown:
    """Read what Redis holds about a rule."""
    settings = None
    try:
        settings = read_settings(found.settings) if found.settings else None
        return Shown(found, settings, current_state(settings, state_of(found), found))
    except AdjustError as error:
        return Shown(found, settings, None, str(error))


def print_rules(rules: Sequence[Shown], *, as_json: bool) -> None:
    """Print rules."""
    if as_json:
        print_json([_document(one) for one in rules])
    elif not rules:
        print_text("no rule is set: the weights move only when somebody sets them")
    for one in () if as_json else rules:
        _print_rule(one)


def _document(one: Shown) -> dict[str, Any]:
    found, state = one.found, one.state
    weights = found.weights.in_force.weights
    document: dict[str, Any] = {"dataset": found.name, "phase": one.phase, "problem": one.problem or None}
    if one.settings is not None:
        settings = one.settings
        document |= {
            "rule": settings.rule,
            "mode": settings.mode,
            "parameters": dict(settings.parameters),
            "floor": dict(settings.floor),
            "ceiling": dict(settings.ceiling),
            "most_change": settings.most_change,
            "prior": None if settings.prior is None else dict(settings.prior),
            "strength": settings.strength,
            "interval_s": settings.interval_s,
            "warm_up": settings.warm_up,
            "who": settings.who,
            "set_at_ms": settings.set_at_ms,
        }
    document |= {"version": weights.version, "weights": dict(weights.shares), "heard": dict(found.heard)}
    if state is not None:
        document |= {
            "step": state.step,
            "paused": state.paused or None,
            "began_ms": state.began_ms,
            "stepped_ms": state.stepped_ms or None,
            "evidence": state.evidence,
            "held_by": list(state.held_by),
            "next_at": dict(state.next_at),
            "shadow": dict(state.shadow) or None,
        }
    return document


def _print_rule(one: Shown) -> None:
    """Print one rule as lines, with the weights in force beside those of its shadow."""
    place = place_text(one.found.name)
    if one.settings is None:
        print_text(f"{place}: the rule's settings are refused: {one.problem}", "wrong")
        return
    settings, state = one.settings, one.state
    colours: Mapping[str, Colour] = {"on": "fits", "paused": "waits", "refused": "wrong"}
    parameters = ", ".join(f"{name} {_text(value)}" for name, value in settings.parameters.items())
    print_text(f"{place}: rule {settings.rule}, {one.phase}", colours.get(one.phase))
    print_text(f"  {parameters}")
    print_text(f"  {'; '.join(_limits(settings))}")
    if settings.set_at_ms:
        print_text(f"  set by {settings.who}, {ago_text(settings.set_at_ms, one.found.now_ms)}")
    if one.problem:
        print_text(f"  its state is refused: {one.problem}", "wrong")
    if state is not None:
        _print_state(one)
    _print_shares(one)


def _print_state(one: Shown) -> None:
    """Print how far a rule is, by the clock of Redis."""
    rule, now_ms = rule_document(one.seen), one.found.now_ms
    if rule["paused"]:
        print_text(f"  paused: {rule['paused']}; accepted: `adjust resume`, from these weights on", "waits")
    print_text(f"  {step_text(rule, now_ms)}")
    if rule["next"] is not None:
        print_text(f"  {next_text(rule['next'], now_ms)}")


def _print_shares(one: Shown) -> None:
    in_force, state = one.found.weights.in_force.weights.shares, one.state
    shadow = {} if state is None else state.shadow
    if not shadow:
        shares = sorted(in_force.items(), key=lambda pair: -pair[1])
        print_table("  weights in force", ("category", "weight"), [(name, Share(share)) for name, share in shares])
        return
    rows = [(name, Share(in_force.get(name, 0.0)), Share(shadow.get(name, 0.0))) for name in {**in_force, **shadow}]
    print_table("  weights in force, and those of the shadow", ("category", "weight", "shadow"), rows)


def _limits(settings: Settings) -> list[str]:
    """Write the guards of a rule."""
    found = [_limit("floor", settings.floor), _limit("ceiling", settings.ceiling)]
    if settings.most_change is not None:
        found.append(f"most change {settings.most_change:g} a step")
    if settings.strength:
        found.append(f"strength {settings.strength:g} of the prior")
    if settings.warm_up:
        found.append(f"warm-up {settings.warm_up:g} {'reports' if settings.moves_by.learns else 's'}")
    return [*filter(None, found), f"interval {settings.interval_s:g} s"]


def _limit(name: str, limits: Mapping[str, float]) -> str:
    if not limits:
        return ""
    shown = [f"{category} {share:g}" for category, share in list(limits.items())[:_NAMED]]
    more = f" and {len(limits) - _NAMED:,} more" if len(limits) > _NAMED else ""
    return f"{name} {', '.join(shown)}{more}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return points_text(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
