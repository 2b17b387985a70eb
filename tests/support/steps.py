"""The steps of one rule as a worker plans them, on what Redis would hold: no server, no clock."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worker.core.adjust.driver import MadeStep, current_state, plan_begin, plan_step, what_is_due
from worker.core.adjust.inputs import Evidence, Library, make_inputs
from worker.core.adjust.orders import plan_resume, plan_set
from worker.core.adjust.reports import LossReports
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import Found, PlannedStep
from worker.core.weights.changes import StoredWeights
from worker.core.weights.in_force import ABSENT, mark_of

_DATASET = "d"


class Stepped:
    """A rule that has begun, and its steps.

    Args:
        weights: Category -> weight at first.
        ready: Category -> READY chunks.
        wanted: Settings as people give them.
    """

    def __init__(self, weights: Mapping[str, float], ready: Mapping[str, int], **wanted: Any) -> None:
        value = json.dumps(dict(weights)).encode()
        self.found = Found(StoredWeights(_DATASET, 1, mark_of(value), value, ABSENT, None))
        self.ready = ready
        self._store(plan_set(self.found, wanted, "ann"))
        assert what_is_due(self.settings, None, self.found) == "begin"
        self._store(plan_begin(self.settings, self.found, {}))

    @property
    def settings(self) -> Settings:
        """Return the settings."""
        return read_settings(self.found.settings)

    @property
    def state(self) -> State:
        """Return the state."""
        state = current_state(self.settings, read_state(self.found.state), self.found)
        assert state is not None
        return state

    @property
    def shares(self) -> Mapping[str, float]:
        """Return the shares in force."""
        return self.found.weights.in_force.weights.shares

    @property
    def version(self) -> str:
        """Return the version of the weights in force."""
        return self.found.weights.in_force.weights.version

    def resume(self, mode: str) -> None:
        """Let the rule go on in another mode."""
        self._store(plan_resume(self.found, mode))

    def hear(self, losses: LossReports, drawn: Mapping[str, float] | None = None) -> MadeStep | None:
        """Make the step that is due after one interval; None: it would change nothing.

        Args:
            losses: What was reported.
            drawn: Category -> chunks drawn since the rule began, for a rule that goes by them.
        """
        settings, state, found = self.settings, self.state, self.found
        heard = {f"chunks:{name}": count for name, count in (drawn or {}).items()}
        later = found.now_ms + round(settings.interval_s * 1000) + 1
        self.found = found = replace(found, weights=replace(found.weights, now_ms=later), heard=heard)
        assert what_is_due(settings, state, found) == "step"
        evidence = Evidence({}, losses, losses.used, f"{later}-0")
        inputs = make_inputs(settings, state, found, Library(self.ready), evidence)
        made = plan_step(settings, state, found, inputs, evidence)
        if made is not None:
            self._store(made.planned)
        return made

    def _store(self, planned: PlannedStep) -> None:
        """Store a step as the script stores it."""
        weights = self.found.weights
        if planned.change is not None:
            weights = replace(weights, mark=mark_of(planned.change.value), value=planned.change.value)
        texts = {part: getattr(planned, part) for part in ("settings", "state")}
        told = {part: text.encode() for part, text in texts.items() if text is not None}
        self.found = replace(self.found, weights=weights, bounds=dict(planned.bounds), **told)
