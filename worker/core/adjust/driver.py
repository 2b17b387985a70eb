"""The driver of one dataset's rule: what is due, and what its next step stores.

States of a rule: not begun, running, paused, frozen (mode `off`), removed (no settings).

1. A rule begins by a step of its own, which stores its state and counts what is heard from 0.
2. While it runs in mode `on`, the weights key has to hold what the rule stored last. Anything else was written by a
   person. Then the rule pauses, and moves nothing until it is told to go on.
3. A step is due when a bound is reached, or when the interval is over. A step that would change nothing is not made.
4. In mode `shadow` only the state is stored. The shadow's shares move on from where the shadow was. What a person
   writes beside it is what a rollback goes back to.
5. A rule that goes on in another mode is at the position where it was. Its next step moves the position from one way
   of counting to the other: what was served is stored as what is heard, or the other way around.
6. A rule that does not run, or goes by no counts, has no bounds. A batch must not wait for a step that nobody makes.

Steps are planned here and made by one atomic script, see `worker.core.adjust.step`. Nobody holds a lease: the next
worker that looks plans the same step.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from worker.core.adjust.guards import Guarded, guard
from worker.core.adjust.inputs import Evidence, counts, positions
from worker.core.adjust.rule import LONGEST_EVIDENCE, TIME_MS, Floats, Inputs, Notice, Proposal
from worker.core.adjust.settings import Settings
from worker.core.adjust.state import State
from worker.core.adjust.step import Found, PlannedStep, plan_weights
from worker.core.events import WeightsAdjusted
from worker.core.stats.fields import CHUNKS
from worker.core.stats.heard import UNITS
from worker.core.weights.in_force import mark_of, source_of
from worker.core.weights.values import Weights, normalise
from worker.errors import AdjustError

Due = Literal["begin", "pause", "step", "end", "nothing"]
AUTHOR: Final = "rule "
"""Start of `who` in the history, before the rule's name."""


class MadeStep(NamedTuple):
    """A step that is planned, and what is told once it is made.

    Attributes:
        planned: The step.
        events: What is told.
    """

    planned: PlannedStep
    events: tuple[Notice, ...] = ()


def current_state(settings: Settings | None, state: State | None, found: Found) -> State | None:
    """Return the state as it is after what people told the rule; None: the rule has not begun.

    A person tells a rule to go on by `resumed_ms`. If a person changed the weights meanwhile, these are its start now.
    """
    if settings is None or state is None or state.rule_mark != settings.rule_mark:
        return None
    if state.resumed_ms == settings.resumed_ms:
        return state
    stored = settings.found or found.weights.mark.decode()
    before = state.before if stored == state.stored else found.value
    return replace(state.resumed(settings.resumed_ms), stored=stored, before=before)


def what_is_due(settings: Settings | None, state: State | None, found: Found) -> Due:
    """Decide what has to be done now.

    Args:
        settings: The settings; None: there are none, or they are refused.
        state: The state, see `current_state`.
        found: What Redis holds.
    """
    if settings is None:
        return "end" if found.bounds or (found.state and not found.settings) else "nothing"
    is_paused = state is not None and state.paused != ""
    if found.bounds and (is_paused or not counts(settings)):
        return "end"
    if is_paused or settings.mode == "off":
        return "nothing"
    if state is None:
        return "begin"
    if settings.mode == "on" and found.weights.mark.decode() != state.stored:
        return "pause"
    return "step" if _is_time(settings, state, found) else "nothing"


def plan_begin(settings: Settings, found: Found, served: Mapping[str, int]) -> PlannedStep:
    """Plan the start of a rule. If it goes by counts, the weights in force become positioned.

    Without a warm-up, batches then wait for the first step. So what is heard first is drawn under the weights of
    position 0. If the key holds other weights than those that the rule was set for, they stay as they are.

    Args:
        settings: The settings.
        found: What Redis holds.
        served: Unit -> what was heard so far, see `needs_served`.

    Raises:
        AdjustError: The weights key holds a value that is refused.
    """
    if found.weights.problem is not None:
        raise AdjustError(f"the weights key holds a value that is refused: {found.weights.problem}")
    change, mark, bounds = None, found.weights.mark.decode(), dict[str, float]()
    is_own = settings.found in {"", mark}
    if counts(settings) and is_own and not found.is_positioned:
        held = found.weights.in_force.weights
        text = held.exact_text if found.value is None or held.source != source_of(found.name) else found.value
        change = plan_weights(found, text, author_of(settings), "the rule begins", positioned=True)
        mark = mark_of(change.value).decode()
    if counts(settings) and is_own and not settings.warm_up:
        bounds = dict.fromkeys(settings.units & {*UNITS} or {CHUNKS}, 0.0)
    state = State(
        settings.rule_mark,
        stored=mark if is_own else settings.found,
        before=found.value,
        began_ms=found.now_ms,
        resumed_ms=settings.resumed_ms,
        mode=settings.mode,
        served=served,
    )
    return PlannedStep(found, state=state.text, change=change, bounds=bounds, restarts=True)


def author_of(settings: Settings) -> str:
    """Return the author that the history names for a rule."""
    return f"{AUTHOR}{settings.rule}"


def plan_pause(state: State, found: Found, why: str) -> PlannedStep:
    """Plan the pause of a rule, which lasts until a person lets it go on.

    Args:
        state: The state.
        found: What Redis holds.
        why: A sentence.
    """
    return PlannedStep(found, state=replace(state, paused=why, next_at={}).text)


def plan_end(found: Found) -> PlannedStep:
    """Plan the removal of what a rule that does not run has left: its bounds, and without settings also its state."""
    return PlannedStep(found) if found.settings else PlannedStep(found, state="", restarts=True)


def plan_step(
    settings: Settings, state: State, found: Found, inputs: Inputs, evidence: Evidence | None = None
) -> MadeStep | None:
    """Plan the next step of a rule that runs.

    Args:
        settings: The settings.
        state: The state.
        found: What Redis holds.
        inputs: What is known, see `make_inputs`.
        evidence: What else was read.

    Returns:
        The step; None: it would change nothing.
    """
    evidence = evidence or Evidence()
    proposal = settings.moves_by.propose(settings.parameters, inputs, state.memory)
    moved = _carried_on(settings, state, inputs, evidence, proposal)
    before = after = _weights(inputs.categories, inputs.weights)
    if proposal.target is not None and moved.reports >= _reports_needed(settings):
        guarded, said = _move(settings, inputs, proposal)
        after = _weights(inputs.categories, guarded.shares)
        moved = replace(moved, evidence=said[:LONGEST_EVIDENCE], held_by=guarded.held_by)
    mark = found.weights.mark.decode()
    moved = replace(
        moved,
        shadow=dict(after.rounded) if settings.mode == "shadow" else {},
        stored=mark,
        before=state.before if mark == state.stored else found.value,
    )
    change = None
    is_moved = after.version != before.version
    if settings.mode == "on" and (is_moved or (counts(settings) and not found.is_positioned)):
        who, reason = author_of(settings), _reason(moved)
        change = plan_weights(found, after.text, who, reason, positioned=counts(settings))
        moved = replace(moved, stored=mark_of(change.value).decode())
    bounds = {unit: at for unit, at in moved.next_at.items() if unit != TIME_MS} if counts(settings) else {}
    if moved == state and bounds == found.bounds and not proposal.events:
        return None
    moved = replace(moved, step=state.step + 1, stepped_ms=found.now_ms)
    told = (_adjusted(settings, moved, inputs, before, after),) if is_moved else ()
    turned = _turned_on(settings, state, inputs)
    planned = PlannedStep(found, state=moved.text, change=change, bounds=bounds, restarts=turned is not None)
    return MadeStep(planned._replace(heard=turned or {}), (*told, *proposal.events))


def _turned_on(settings: Settings, state: State, inputs: Inputs) -> Mapping[str, int] | None:
    """Return the counts that a shadow goes on from when it is turned on; None: it is no shadow, or it stays one."""
    if not counts(settings) or state.mode == "on":
        return None
    return {unit: int(count) for unit, count in inputs.heard.items() if unit != TIME_MS}


def _served_at_0(settings: Settings, state: State, inputs: Inputs, evidence: Evidence) -> Mapping[str, int]:
    """Return what had been served at position 0, for a shadow; nothing for a rule that is on."""
    if settings.mode == "on" or state.mode == "shadow":
        return state.served if settings.mode == "shadow" else {}
    return {unit: count - int(inputs.heard.get(unit, 0)) for unit, count in evidence.served.items()}


def _move(settings: Settings, inputs: Inputs, proposal: Proposal) -> tuple[Guarded, str]:
    """Apply the guards to a proposal. Return the shares that are left, and why they move or do not."""
    weights, target, gate = inputs.weights, proposal.target, proposal.gate
    if target is None:
        return Guarded(weights, ()), proposal.evidence
    guarded = guard(settings, inputs.categories, target, weights=weights, prior=inputs.prior, gate=gate)
    return guarded, gate.tell(weights, guarded.shares, LONGEST_EVIDENCE) if gate else proposal.evidence


def _carried_on(settings: Settings, state: State, inputs: Inputs, evidence: Evidence, proposal: Proposal) -> State:
    """Return the state after a proposal, before the guards.

    A step that is due at a position already passed is left out: its bound would stop every batch.
    """
    reports = state.reports + evidence.reports
    needed = _reports_needed(settings)
    said = proposal.evidence if reports >= needed else f"warming up: {reports} of {needed:g} reports"
    next_at = {unit: at for unit, at in proposal.next_at.items() if inputs.heard.get(unit, 0.0) < at < math.inf}
    return replace(
        state,
        cursor=evidence.cursor or state.cursor,
        reports=reports,
        memory=proposal.memory,
        evidence=said[:LONGEST_EVIDENCE],
        held_by=(),
        next_at=next_at,
        mode=settings.mode,
        served=_served_at_0(settings, state, inputs, evidence),
    )


def _reports_needed(settings: Settings) -> float:
    """Return how many reports have to come before the first move."""
    return settings.warm_up if settings.moves_by.learns else 0


def _is_time(settings: Settings, state: State, found: Found) -> bool:
    """Return whether a step of a rule that runs is due."""
    if not settings.moves_by.learns and found.now_ms < state.began_ms + settings.warm_up * 1000:
        return False
    here = positions(settings, state, found, Evidence())
    if any(here.get(unit, 0.0) >= at for unit, at in state.next_at.items()):
        return True
    return found.now_ms >= state.stepped_ms + settings.interval_s * 1000


def _weights(categories: tuple[str, ...], shares: Floats) -> Weights:
    """Make weights of shares, rounded as their version has them."""
    rounded = {name: round(share, 9) for name, share in zip(categories, shares.tolist(), strict=True) if share > 0}
    weights = normalise({name: share for name, share in rounded.items() if share > 0}, "redis")
    assert weights is not None  # noqa: S101 - shares sum to 1, and at most 10,000 of them are rounded
    return weights


def _reason(state: State) -> str:
    """Write why the weights move, for the history."""
    return f"{state.evidence} (held by {'; '.join(state.held_by)})" if state.held_by else state.evidence


def _adjusted(settings: Settings, state: State, inputs: Inputs, before: Weights, after: Weights) -> WeightsAdjusted:
    place = ", ".join(f"{unit} {at:.12g}" for unit, at in sorted(inputs.heard.items()) if ":" not in unit)
    return WeightsAdjusted(
        dataset=inputs.dataset,
        rule=settings.rule,
        mode=settings.mode,
        step=state.step,
        before=before.text,
        after=after.text,
        evidence=state.evidence,
        held_by="; ".join(state.held_by),
        inputs=f"{place}, reports {state.reports}",
    )
