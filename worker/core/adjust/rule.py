"""What a rule is: it looks at counts, sizes and losses, and proposes weights.

A rule is pure. Its memory is a JSON object that the driver keeps for it from one step to the next. So any worker can
take the next step. The driver holds each proposal back by the guards (`worker.core.adjust.guards`).

1. Any finite input has to give a simplex, or no target at all.
2. Where the prior weighs a category 0, nobody wanted it. A rule gives it a share only where its parameters name it.
3. Positions count from the moment in which the rule began. They go on while a rule is frozen. While it is paused, time
   goes on. Counts of a rule that is on stand still then, because nothing is counted under what a person set.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.adjust.gate import Gate
from worker.core.adjust.reports import LossReports
from worker.core.events import Event
from worker.core.stats.fields import CHUNKS, MS, REQUESTS
from worker.core.stats.heard import UNITS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Notice = Event
"""What a rule has to tell people: an event of the catalogue, complete."""

TIME_MS: Final = "time_ms"
DRAWN: Final = "drawn"
COUNTED: Final = frozenset({*UNITS, DRAWN})
"""Units of rules that go by counts, which the weights value has to be positioned for."""

AMOUNTS: Final[Mapping[str, tuple[str, float]]] = {
    "chunks": (CHUNKS, 1.0),
    "hours": (MS, 3_600_000.0),
    "audio_seconds": (MS, 1000.0),
    "requests": (REQUESTS, 1.0),
    "seconds": (TIME_MS, 1000.0),
}
"""What people measure a rule's way in -> the unit that counts it, and how many of these it is."""

LONGEST_EVIDENCE: Final = 200


class Inputs(NamedTuple):
    """What a rule knows at one step.

    Attributes:
        dataset: Whose weights; None for the global ones.
        now_ms: Unix time in ms by the clock of Redis.
        categories: Names, shape (k,): those of prior, weights and READY chunks, sorted.
        weights: float64, shape (k,): the shares that the rule moves, summing to 1: those in force, or its shadow's.
        prior: float64, shape (k,): what the rule is anchored to, summing to 1.
        ready: int64, shape (k,): READY chunks.
        hours: float64, shape (k,): READY hours of audio; None where durations are not known.
        heard: Position by unit since the rule began: `TIME_MS`, and those of `UNITS` that the rule goes by.
        drawn: int64, shape (k,): chunks drawn of each since the rule began; zeros unless the rule goes by `DRAWN`.
        losses: Evidence since the last step; None for rules without feedback.
        drawn_under: float64, shape (k,): shares in force, under which the losses came to be; None: `weights`.
        least: float64, shape (k,): the shares that the guards leave of a proposal of nothing; None: 0 of each.
    """

    dataset: str | None
    now_ms: int
    categories: tuple[str, ...]
    weights: Floats
    prior: Floats
    ready: Integers
    hours: Floats | None
    heard: Mapping[str, float]
    drawn: Integers
    losses: LossReports | None = None
    drawn_under: Floats | None = None
    least: Floats | None = None


class Proposal(NamedTuple):
    """What a rule proposes.

    Attributes:
        target: float64, shape (k,): shares, summing to 1; None: nothing to do now.
        memory: A JSON object that replaces the rule's memory.
        evidence: Why, in words, at most 200 characters.
        events: What people have to be told of.
        next_at: Unit (of `UNITS`, `chunks:<category>`, or `TIME_MS`) -> position at which the next step is due, where
            it is known.
        gate: What reports allow of the move; None: all of it. With one, it says why, once it is known what moves.
    """

    target: Floats | None
    memory: Mapping[str, Any]
    evidence: str
    events: tuple[Notice, ...] = ()
    next_at: Mapping[str, float] = {}
    gate: Gate | None = None


class Rule(Protocol):
    """A rule by which weights move."""

    @property
    def learns(self) -> bool:
        """Return whether it goes by reports of losses."""
        ...

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return what it goes by: units of `UNITS`, `TIME_MS`, `DRAWN`."""
        ...

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults for those that are missing.

        Raises:
            AdjustError: One is not accepted. The sentence says why, and what is accepted.
        """
        ...

    def propose(self, parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        """Propose weights.

        Args:
            parameters: As `check` returned them.
            inputs: What is known.
            memory: What the last proposal left; empty at first.

        Raises:
            AdjustError: The memory is none that a rule writes. Redis holds it, so anybody may have written it.
        """
        ...
