"""Log events about feedback: the losses that training jobs report."""

from dataclasses import dataclass
from typing import ClassVar

from worker.core.events.event import Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRefused(Event):
    """A report of losses is not valid; it was moved to the refused ones, and no rule uses it.

    Attributes:
        entry_id: Its entry in the stream of reports.
        error: Its error code.
        message: What was wrong, and what is accepted.
        suppressed: Reports refused since the last such line without a line.
    """

    event: ClassVar[str] = "feedback.refused"
    level: ClassVar[Level] = "warning"
    entry_id: str
    error: str
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackStale(Event):
    """Reports of losses were dropped: they are of draws under weights older than the last step of a rule.

    Attributes:
        dataset: Name of the dataset whose weights the rule moves; None for the global weights.
        reports: How many since the last step.
        used: How many others were used.
        weights_version: Version of the weights in force.
        suppressed: Reports of this dataset dropped since the last such line without a line.
    """

    event: ClassVar[str] = "feedback.stale"
    dataset: str | None
    reports: int
    used: int
    weights_version: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackOutvoted(Event):
    """A reporter measured losses that no other one has seen; the median of all was used instead.

    Attributes:
        dataset: Name of the dataset whose weights the rule moves; None for the global weights.
        reporter: Who: the `reporter` of its reports, or else their session.
        categories: Whose losses, separated by commas.
        suppressed: Such steps of this reporter since the last such line without a line.
    """

    event: ClassVar[str] = "feedback.outvoted"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    reporter: str
    categories: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackTrimRefused(Event):
    """Redis refused to drop old reports of losses; it is attempted again.

    Attributes:
        suppressed: Refusals since the last such line without a line.
    """

    event: ClassVar[str] = "feedback.trim_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int
