"""What all rules that learn share: evidence is kept until it is enough, and a proposal brings its gate.

One round of a rule that learns:

1. New reports are added to the evidence that was not enough before.
2. Where there is enough of it now, the rule learns from it, once, and asks for shares with standard errors.
3. The alarm gives a category back its prior when it is starved and its loss does not move.
4. The gate goes with the proposal. The guards ask it what may move, once the prior and the limits are applied.

Categories that the prior weighs 0 take no part. The memory is a JSON object: columns by category, and numbers.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.adjust.evidence import LossEvidence, Watch, make_evidence, watch_stuck
from worker.core.adjust.gate import Gate, Marks
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import LONGEST_EVIDENCE, Floats, Inputs, Integers, Proposal
from worker.core.adjust.values import number, refuse_unknown, whole
from worker.core.events import AdjustStuck
from worker.errors import AdjustError

_Value = TypeVar("_Value", np.float64, np.bool_)

_PENDING, _WATCH = "pending", "watch"
_NO_EVIDENCE = (0.0,) * len(LossEvidence._fields)
_NOT_WATCHED = (0.0, -1.0, 0.0, 0.0)
_SAME = 1e-9  # shares that differ by no more are the same
_GUARDS: Final = ("reports", "within", "starved", "stuck_after")


class Round(NamedTuple):
    """What a rule learns from. All arrays are of the categories that take part, shape (k,), k >= 2.

    Attributes:
        step: How often the rule has learned, this time included; the first is 1.
        weights: float64: the shares that move, summing to 1: those in force, or the shadow's.
        drawn_under: float64: shares in force, under which the losses came to be, summing to 1.
        prior: float64: the prior, each > 0, summing to 1.
        evidence: What was reported.
        used: bool: where it is enough, so that the rule learns from it.
        drawn: float64: chunks drawn since the rule began; zeros where nobody counts.
        least: float64: the shares that the guards leave of a proposal of nothing.
    """

    step: int
    weights: Floats
    drawn_under: Floats
    prior: Floats
    evidence: LossEvidence
    used: Marks
    drawn: Floats
    least: Floats


class Learned(NamedTuple):
    """What a rule asks for after it has learned.

    Attributes:
        target: float64, shape (k,): a simplex; None while the rule knows too little.
        errors: float64, shape (k,): standard errors of the target.
        why: Why there is no target; "" where there is one.
        columns: Arrays to remember, shape (k, n), by name.
        numbers: JSON values to remember, by name.
    """

    target: Floats | None
    errors: Floats
    why: str
    columns: Mapping[str, Floats]
    numbers: Mapping[str, Any] = {}


class LearningRule(ABC):
    """A rule that learns.

    Parameters of all such rules, with their defaults:

    - `reports` (8): a category moves on at least so many reports.
    - `within` (1): a change of at most so many standard errors counts as none.
    - `starved` (0.25): a part of the room between the least share that guards leave and the prior. A category with at
      most this part of the room is starved.
    - `stuck_after` (20): steps after which a starved category whose loss does not move gets its prior back. 0: never.

    Attributes:
        name: The rule's name.
        learns: It goes by reports of losses.
    """

    name: str
    learns = True

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG002 - the same for all
        """Return what it goes by beside reports: nothing, so that nothing has to be counted."""
        return frozenset()

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults for those that are missing.

        Raises:
            AdjustError: One is not accepted.
        """
        own = self.own_parameters(parameters)
        refuse_unknown(parameters, (*own, *_GUARDS), f"rule {self.name}")
        return {
            **own,
            "reports": whole(parameters, "reports", 8, least=2, most=1_000_000),
            "within": number(parameters, "within", 1.0, least=0.0, most=100.0),
            "starved": number(parameters, "starved", 0.25, least=0.0, most=1.0),
            "stuck_after": whole(parameters, "stuck_after", 20, least=0, most=1_000_000),
        }

    @abstractmethod
    def own_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that only this rule has, with defaults."""

    @abstractmethod
    def learn(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn from one round of reports."""

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite is refused
    def propose(self, parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        """Propose shares.

        Raises:
            AdjustError: No rule can have written this memory.
        """
        parts = np.flatnonzero(inputs.prior > 0)
        if len(parts) <= 1:
            return Proposal(None, memory, "the prior weighs fewer than two categories")
        notes = Notes(memory, tuple(inputs.categories[i] for i in parts))
        pending = _gathered(notes, inputs, parts)
        used = (pending.reports >= parameters["reports"]) & np.isfinite(pending.errors)
        if not used.any():
            kept = {**memory, _PENDING: notes.write({_PENDING: _stacked(pending)})}
            return Proposal(None, kept, _waiting(notes, pending, parameters))
        heard = _heard(inputs, parts, notes.steps() + 1, pending, used)
        learned = self._learned(parameters, heard, notes)
        watch, alarm = _watched(parameters, heard, notes)
        kept = {
            **learned.numbers,
            "step": heard.step,
            **notes.write({**learned.columns, _WATCH: _stacked(watch)}),
            _PENDING: notes.write({_PENDING: _stacked(pending.without(used))}),
        }
        said = [f"{notes.categories[i]} is stuck and goes back to its prior" for i in np.flatnonzero(alarm)]
        gate = _gate(parameters["within"], inputs, parts, heard, learned)
        gate = gate._replace(stuck=_laid_out(watch.rests > 0, inputs, parts, otherwise=False), said=said)
        target = learned.target if learned.target is not None or not gate.stuck.any() else heard.weights
        return Proposal(
            None if target is None else _laid_out(target, inputs, parts, otherwise=0.0),
            kept,
            gate.tell(inputs.weights, inputs.weights, LONGEST_EVIDENCE),
            self._events(inputs.dataset, parameters, heard, alarm, notes),
            gate=gate,
        )

    def _learned(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn, and refuse a memory that leads to no shares."""
        learned = self.learn(parameters, heard, notes)
        if learned.target is not None:
            asked = np.append(learned.target, learned.errors)
            if not np.isfinite(asked).all() or float(asked.min()) < 0:
                raise AdjustError("the memory of a rule leads to no shares; accepted: once the rule is set again")
        return learned

    def _events(
        self, dataset: str | None, parameters: Mapping[str, Any], heard: Round, alarm: Marks, notes: Notes
    ) -> tuple[AdjustStuck, ...]:
        """Name the categories that go back to their prior."""
        return tuple(
            AdjustStuck(
                dataset=dataset,
                rule=self.name,
                category=notes.categories[i],
                share=round(float(heard.weights[i]), 6),
                prior_share=round(float(heard.prior[i]), 6),
                steps=parameters["stuck_after"],
                loss=round(float(heard.evidence.means[i]), 6) if heard.used[i] else None,
            )
            for i in np.flatnonzero(alarm)
        )


def _gathered(notes: Notes, inputs: Inputs, parts: Integers) -> LossEvidence:
    """Return the evidence that was not used yet, with what is new."""
    kept = notes.part(_PENDING)
    pending = LossEvidence(*kept.column(_PENDING, *_NO_EVIDENCE).T)
    if inputs.losses is None:
        return pending
    losses = inputs.losses.on(inputs.categories)
    columns = (losses.means, losses.errors, losses.counts, losses.report_counts)
    return pending.added(make_evidence(*(column[parts].astype(np.float64) for column in columns)))


def _heard(inputs: Inputs, parts: Integers, step: int, pending: LossEvidence, used: Marks) -> Round:
    """Lay out a round for the categories that take part."""
    prior = _simplex(inputs.prior[parts], inputs.prior[parts])
    drawn_under = inputs.weights if inputs.drawn_under is None else inputs.drawn_under
    return Round(
        step,
        _simplex(inputs.weights[parts], prior),
        _simplex(drawn_under[parts], prior),
        prior,
        pending,
        used,
        inputs.drawn[parts].astype(np.float64),
        np.zeros_like(prior) if inputs.least is None else inputs.least[parts],
    )


def _watched(parameters: Mapping[str, Any], heard: Round, notes: Notes) -> tuple[Watch, Marks]:
    """Update the alarm. Return the watch, and the categories that go back to their prior now."""
    room = np.maximum(heard.prior - heard.least, 0.0)
    starved = (heard.weights <= heard.least + parameters["starved"] * room + _SAME) & (room > _SAME)
    before = Watch(*notes.column(_WATCH, *_NOT_WATCHED).T)
    return watch_stuck(before, heard.evidence, heard.used, starved, parameters["stuck_after"] or math.inf)


def _gate(within: float, inputs: Inputs, parts: Integers, heard: Round, learned: Learned) -> Gate:
    """Make the gate of what was learned. A category that takes no part gives its share away."""
    learns = learned.target is not None
    means, errors = (np.where(heard.used, one, np.nan) for one in (heard.evidence.means, heard.evidence.errors))
    return Gate(
        inputs.categories,
        _laid_out(learned.errors, inputs, parts, otherwise=0.0),
        _laid_out(heard.used & learns, inputs, parts, otherwise=learns),
        within,
        np.zeros(len(inputs.categories), dtype=np.bool_),
        _laid_out(means, inputs, parts, otherwise=np.nan),
        _laid_out(errors, inputs, parts, otherwise=np.nan),
        why=learned.why,
    )


def _laid_out(found: NDArray[_Value], inputs: Inputs, parts: Integers, *, otherwise: float) -> NDArray[_Value]:
    """Return values of the categories that take part as values of all categories."""
    all_of_them = np.full(len(inputs.categories), otherwise, dtype=found.dtype)
    all_of_them[parts] = found
    return all_of_them


def _simplex(shares: Floats, otherwise: Floats) -> Floats:
    """Scale shares to sum 1; those of `otherwise` if they are all 0."""
    total = float(shares.sum())
    return shares / total if total > 0 else otherwise / float(otherwise.sum())


def _stacked(columns: Sequence[Floats]) -> Floats:
    return np.stack(columns, axis=1)


def _waiting(notes: Notes, pending: LossEvidence, parameters: Mapping[str, Any]) -> str:
    """Write that no category has enough reports, and name the one that has the most."""
    best = int(pending.reports.argmax())
    return f"not enough reports: {notes.categories[best]} has {pending.reports[best]:.0f} of {parameters['reports']}"
