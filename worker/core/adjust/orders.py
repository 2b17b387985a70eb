"""What people tell a rule: it is set, frozen, told to go on, removed, or rolled back. Each is one atomic step."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worker.core.adjust.driver import current_state
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import Found, PlannedStep, plan_weights
from worker.core.weights.changes import WantedChange, plan_change
from worker.errors import AdjustError


def settings_of(found: Found) -> Settings:
    """Return the settings that Redis holds.

    Raises:
        AdjustError: There are none, or they are refused.
    """
    if not found.settings:
        raise AdjustError(f"no rule is set for {place_text(found.name)}; accepted: one that `adjust set` has set")
    return read_settings(found.settings)


def state_of(found: Found) -> State | None:
    """Return the state that Redis holds; None: the rule has not begun.

    Raises:
        AdjustError: It cannot be read.
    """
    return read_state(found.state) if found.state else None


def plan_set(found: Found, wanted: Mapping[str, Any], who: str) -> PlannedStep:
    """Plan that a rule is set. It begins anew, from the weights in force.

    Args:
        found: What Redis holds.
        wanted: Settings by name, as a person gave them.
        who: Who sets it.

    Raises:
        AdjustError: The settings are not valid, or the weights key holds a refused value.
    """
    if found.weights.problem is not None:
        raise AdjustError(f"what the weights key holds is refused: {found.weights.problem}")
    settings = read_settings(json.dumps(dict(wanted)).encode())
    settings = replace(
        settings,
        prior=settings.prior or dict(found.weights.in_force.weights.shares),
        prior_given=settings.prior is not None,
        who=who[:256],
        set_at_ms=found.now_ms,
        found=found.weights.mark.decode(),
        resume_mode="on" if settings.mode == "off" else settings.mode,
    )
    read_settings(settings.text.encode())  # with the prior it may have become too long
    return PlannedStep(found, settings=settings.text, state="", restarts=True)


def plan_freeze(found: Found) -> PlannedStep:
    """Plan that a rule stops: weights and state stay, and it can go on later.

    Raises:
        AdjustError: There is no rule.
    """
    settings = settings_of(found)
    if settings.mode == "off":
        return PlannedStep(found)
    return PlannedStep(found, settings=replace(settings, mode="off", resume_mode=settings.mode).text)


def plan_resume(found: Found, mode: str | None) -> PlannedStep:
    """Plan that a rule goes on, from the weights in force.

    If a person changed the weights and gave no prior, these weights are the prior from now on. In another mode it goes
    on from where it was, see `worker.core.adjust.driver`.

    Args:
        found: What Redis holds.
        mode: The mode that it goes on in; None: the one before.

    Raises:
        AdjustError: There is no rule, or the weights key holds a refused value.
    """
    settings = settings_of(found)
    state = current_state(settings, state_of(found), found)
    if found.weights.problem is not None:
        raise AdjustError(f"what the weights key holds is refused: {found.weights.problem}")
    mark, mode = found.weights.mark.decode(), mode or _resume_mode(settings)
    is_changed = mark != (state.stored if state is not None else settings.found)
    prior = settings.prior
    if is_changed and not settings.prior_given:
        prior = dict(found.weights.in_force.weights.shares)
    resumed_ms = max(found.now_ms, settings.resumed_ms + 1)
    told = replace(settings, mode=mode, resume_mode=mode, resumed_ms=resumed_ms, found=mark, prior=prior)
    return PlannedStep(found, settings=told.text)


def plan_off(found: Found, who: str) -> PlannedStep:
    """Plan that a rule is removed with its state. The weights stay; what is heard under them is not counted any more.

    Args:
        found: What Redis holds.
        who: Who wants it.
    """
    change = None
    if found.is_positioned and found.value is not None:
        change = plan_weights(found, found.value, who, "the rule is removed, the weights stay", positioned=False)
    return PlannedStep(found, settings="", state="", change=change, restarts=True)


def plan_rollback(found: Found, who: str) -> PlannedStep:
    """Plan that a rule is removed, and that the weights are again those before it began.

    What a person told the rule counts at once, whether a worker has followed it or not. A shadow moves nothing: what a
    person wrote beside it stays.

    Args:
        found: What Redis holds.
        who: Who wants it.

    Raises:
        AdjustError: There is no rule, or its state cannot be read.
    """
    settings = settings_of(found)
    state = current_state(settings, state_of(found), found)
    if state is None or state.before == found.value:
        return plan_off(found, who)
    if settings.mode == "shadow" and state.stored != found.weights.mark.decode():
        return plan_off(found, who)
    wanted = WantedChange(state.before, who, f"rollback to the weights before rule {settings.rule} began")
    return plan_off(found, who)._replace(change=plan_change(found.weights, wanted))


def place_text(name: str | None) -> str:
    """Write whose weights a rule moves."""
    return "the global weights" if name is None else f"dataset {name}"


def _resume_mode(settings: Settings) -> str:
    return settings.resume_mode if settings.mode == "off" else settings.mode
