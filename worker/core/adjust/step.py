"""One step of a rule: what Redis holds when it is planned, and what is stored if Redis still holds it then.

Everything that is stored about one rule changes together, in one atomic step: settings, state, bounds, counts, and the
weights with their entry in the history. The step is made only if settings, state and weights are those that it was
planned for. So if several workers plan the same step, only one makes it. And a step never overwrites what a person
changed meanwhile.

A rule that goes by counts stores positioned weights, see `worker.core.stats.heard`. Only what is drawn under such a
value is counted, and only such a value has bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.core.weights.changes import PlannedChange, StoredWeights, WantedChange, plan_change
from worker.core.weights.in_force import POSITIONED

MOST_RULES: Final = 256
"""Most datasets that have rules, the global one included; what is beyond is left alone, and that is said."""


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis holds about the rule of one dataset, all of it at one moment.

    Attributes:
        weights: The weights, and that moment.
        settings: The settings, as JSON; empty: none.
        state: The state, as JSON; empty: none.
        heard: Unit -> what was heard since the rule began.
        bounds: Unit -> count at which a step is due.
    """

    weights: StoredWeights
    settings: bytes = b""
    state: bytes = b""
    heard: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """Return the dataset; None: the global weights."""
        return self.weights.name

    @property
    def now_ms(self) -> int:
        """Return that moment, Unix time in ms by the clock of Redis."""
        return self.weights.now_ms

    @property
    def value(self) -> str | None:
        """Return what the weights key holds, without what positions it; None: nothing."""
        value = self.weights.value
        return None if value is None else value.decode(errors="replace").removeprefix(POSITIONED)

    @property
    def is_positioned(self) -> bool:
        """Return whether the weights value is positioned."""
        return (self.weights.value or b"").startswith(POSITIONED.encode())


class PlannedStep(NamedTuple):
    """What one atomic step stores.

    Attributes:
        found: What Redis held.
        settings: The settings, as JSON; empty: they are removed; None: they stay.
        state: The state, likewise.
        change: The change of the weights; None: they stay.
        bounds: Unit -> count at which the next step is due; all other bounds of the rule are removed.
        restarts: Whether what is heard is counted anew.
        heard: Unit, or `chunks:<category>` -> count that it is counted from then; from 0 what is not named.
    """

    found: Found
    settings: str | None = None
    state: str | None = None
    change: PlannedChange | None = None
    bounds: Mapping[str, float] = {}
    restarts: bool = False
    heard: Mapping[str, int] = {}


def plan_weights(found: Found, text: str, who: str, reason: str, *, positioned: bool) -> PlannedChange:
    """Plan a change of the weights by a rule, or because of one.

    Args:
        found: What Redis holds.
        text: The weights, as JSON.
        who: Who changes them.
        reason: Why.
        positioned: Whether what is drawn under them is counted.
    """
    return plan_change(found.weights, WantedChange(POSITIONED * positioned + text, who, reason))
