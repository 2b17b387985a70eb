"""What the lines of a log hold, as far as a report uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 1e15
"""Largest number that is believed: beyond it nothing was counted or measured, and drawings overflow."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold what one worker did in an interval.

    Attributes:
        at: When it ended, Unix time in s.
        length_s: Its length.
        worker: Whose it is.
        p50_ms: Median latency; None where nothing was served.
        p99_ms: The same, 99th percentile.
    """

    at: float
    length_s: float
    worker: str
    requests: float
    chunks: float
    errors: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Draws:
    """Hold what one worker drew of one category in an interval.

    Attributes:
        at: When it ended, Unix time in s.
        length_s: Its length; 0 where the log does not tell.
        dataset: "" are the global weights.
        count: Chunks drawn; or the seconds that they last, where weights are shares of audio time.
        share: `count` over all chunks of the dataset in the interval.
        z: Standard deviations between `count` and `expected`; None where no draw was left to chance.
        weight: The category's weight at the end of the interval.
        version: Version of the weights at the end of the interval.
        unit: What `count` and `expected` are in words: `count` or `seconds`.
    """

    at: float
    length_s: float
    dataset: str
    category: str
    count: float
    share: float
    expected: float
    z: float | None
    weight: float
    version: str
    unit: str = "count"


@dataclass(frozen=True, slots=True)
class Change:
    """Hold that a worker took other weights, or its first ones.

    Attributes:
        dataset: "" are the global weights.
        before: Category -> weight; None where there were none, or too many to be logged whole.
        after: The same, now.
    """

    at: float
    worker: str
    dataset: str
    version: str
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Hold that something notable happened.

    Attributes:
        event: Name of the log event.
        count: How many of what it tells of.
        down_s: How long a server had been away, where it came back.
        version: Of the global weights, where a worker became ready with them; else "".
    """

    at: float
    worker: str
    event: str
    count: float
    down_s: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Hold which weighted categories had no READY chunk.

    Attributes:
        categories: Their names, with commas between.
        share: What they weighed together, 0 to 1.
    """

    categories: str
    share: float


@dataclass(slots=True)
class Reading:
    """Hold all that was read.

    Attributes:
        lines: Lines that are not empty.
        left_out: Lines among them that are no log lines.
        left_outs: Worker and dataset ("" are the global weights) -> what its last line said was left out of the mix.
        repeated: Lines among them that stood there before, as where a log is given twice.
        console: Lines among those left out that are of the form for people.
        checks: Datasets of `check` that are left out.
    """

    lines: int = 0
    left_out: int = 0
    repeated: int = 0
    console: int = 0
    intervals: list[Interval] = field(default_factory=list)
    draws: list[Draws] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    checks: set[str] = field(default_factory=set)
    left_outs: dict[tuple[str, str], LeftOut] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Count the lines that tell something."""
        return self.lines - self.left_out - self.repeated
