"""Log events about the mix: can it be drawn, and is it what is drawn?"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from worker.core.events.event import MAX_CHARS, Event, Level

DriftCause = Literal["left-out", "exhausted", "seeds", ""]
"""Why draws depart from their weights; empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixLeftOut(Event):
    """Weighted categories have no READY chunk; their share goes to the other categories.

    Attributes:
        dataset: Name of the dataset, or preset as `preset:<name>`; None for the global weights.
        categories: Their names, separated by commas.
        share: Sum of their weights, 0 to 1.
    """

    event: ClassVar[str] = "mix.left_out"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    categories: str = field(metadata={MAX_CHARS: 1500})
    share: float
    weights_version: str
    catalog_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MixComplete(Event):
    """Every weighted category has READY chunks again.

    Attributes:
        dataset: Name of the dataset, or preset as `preset:<name>`; None for the global weights.
    """

    event: ClassVar[str] = "mix.complete"
    dataset: str | None
    weights_version: str
    catalog_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRepeats(Event):
    """A category comes near to the most repeats that a `cap` or a session's limit allows, or reached them.

    Attributes:
        dataset: Name of the dataset; None for the global weights, and for a session.
        session: The session whose limit it is; None: the rule `cap` says it.
        repeats: Its chunks drawn since the rule or the session began, over its READY chunks.
        limit: The most repeats that are allowed.
        drawn: Its chunks drawn since then.
        ready: Its READY chunks.
        is_reached: Whether the limit is reached. From then on a rule that is on gives its share to other categories.
    """

    event: ClassVar[str] = "mix.repeats"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    session: str | None
    category: str
    repeats: float
    limit: float
    drawn: int
    ready: int
    is_reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimitsRefused(Event):
    """Redis refused a look at the limits of sessions, or the note that one was told; it is attempted again.

    Attributes:
        suppressed: Refusals without a line since the last such line.
    """

    event: ClassVar[str] = "session.limits_refused"
    level: ClassVar[Level] = "warning"
    message: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixDrifted(Event):
    """The share drawn of a category left what chance allows under its weights.

    Attributes:
        dataset: Name of the dataset, or preset as `preset:<name>`; None for the global weights.
        share: Its share of the chunks drawn since the drift began, 0 to 1; of their seconds if `audio_s` is not None.
        expected_share: Its share by the weights that each of these chunks was drawn under.
        count: Chunks drawn of it since then; None if weights are shares of audio time.
        audio_s: Their total duration in that case; else None.
        expected: Chunks expected of it since then, by these weights; seconds if `audio_s` is not None.
        since_s: How long ago the drift began, by the evidence.
        cause: `left-out`: a weighted category has no READY chunk. `exhausted`: requests with `replace=0` ask for more
            than a category has. `seeds`: most chunks were drawn by seeds of requests, which draw the same again. Empty:
            not known.
        false_alarm_rate: False alarms in each interval, at most, over all categories and datasets of the worker.
        suppressed: Drifts of this dataset without a line since the last such line.
    """

    event: ClassVar[str] = "mix.drifted"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    category: str
    share: float
    expected_share: float
    count: int | None
    audio_s: float | None
    expected: float
    since_s: float
    cause: DriftCause
    false_alarm_rate: float
    weights_version: str
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixFits(Event):
    """The share drawn of a category that had drifted fits its weights again.

    Attributes:
        dataset: Name of the dataset, or preset as `preset:<name>`; None for the global weights.
        drifted_s: How long ago the drift was found.
        suppressed: Returns of this dataset without a line since the last such line.
    """

    event: ClassVar[str] = "mix.fits"
    dataset: str | None
    category: str
    drifted_s: float
    weights_version: str
    suppressed: int
