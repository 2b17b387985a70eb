"""Log events about rules that move the weights."""

from dataclasses import dataclass, field
from typing import ClassVar

from worker.core.events.event import MAX_CHARS, Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsAdjusted(Event):
    """A rule moved the weights, or would have moved them if it were on.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        rule: Name of the rule.
        mode: `on`, or `shadow`: the weights in force did not change.
        step: Number of the rule's step.
        before: JSON object category -> share, before the step; in mode `shadow` those of the shadow.
        after: The same, after it.
        evidence: Why, in words.
        held_by: The limits that held the step back; empty: none did.
        inputs: Positions by unit since the rule began, and the number of reports used.
    """

    event: ClassVar[str] = "weights.adjusted"
    dataset: str | None
    rule: str
    mode: str
    step: int
    before: str = field(metadata={MAX_CHARS: 1500})
    after: str = field(metadata={MAX_CHARS: 1500})
    evidence: str
    held_by: str
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustPaused(Event):
    """A rule moves the weights no more, as a person changed them; `adjust resume` lets it go on.

    Attributes:
        reason: Who changed the weights, and when.
    """

    event: ClassVar[str] = "adjust.paused"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustRefused(Event):
    """A rule's settings or state are not valid, or Redis refuses its step; the weights stay as they are.

    Attributes:
        dataset: Name of the dataset; None for the global weights, or where it concerns all rules.
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "adjust.refused"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustFailed(Event):
    """A bug keeps a rule from its step; its weights stay as they are, nothing waits for it, and other rules go on.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        error: Name of the exception's class.
        message: Its text.
        traceback: Where it was raised; the middle of a long one is left out.
        suppressed: Failures of this rule with the same exception without a line since the last such line.
    """

    event: ClassVar[str] = "adjust.failed"
    level: ClassVar[Level] = "error"
    dataset: str | None
    error: str
    message: str
    traceback: str = field(metadata={MAX_CHARS: 3000})
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustOverdue(Event):
    """A rule's step was due and no worker made it, so requests are drawn beyond it under the last weights.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        unit: The count at which the step was due: `chunks`, `ms`, `requests`, or `chunks:<category>`.
    """

    event: ClassVar[str] = "adjust.overdue"
    level: ClassVar[Level] = "error"
    dataset: str | None
    unit: str
