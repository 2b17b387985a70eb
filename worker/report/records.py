"""What the lines of a log hold, as far as a report uses it."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LARGEST = 1e15
"""Largest number that is accepted. Larger ones are no counts or measurements, and drawings overflow."""

Fields = Mapping[str, Any]
_TIMED = ("intervals", "draws", "new_weights", "occurrences", "mixes_said")


@dataclass(frozen=True, slots=True)
class Interval:
    """What one worker did in an interval.

    Attributes:
        at: End of the interval, Unix time in s.
        length_s: Length of the interval.
        worker: Name of the worker.
        p50_ms: Median latency; None if nothing was served.
        p99_ms: 99th percentile of the latency; None likewise.
    """

    at: float
    length_s: float
    worker: str
    requests: float
    chunks: float
    errors: float
    p50_ms: float | None
    p99_ms: float | None


class Draws(NamedTuple):
    """What one worker drew from one category in an interval; most lines of a log are of this kind.

    Attributes:
        at: End of the interval, Unix time in s.
        length_s: Length of the interval; 0 if the log does not say.
        dataset: "" are the global weights.
        drawn: Chunks drawn, or their seconds if weights are shares of audio time.
        share: `drawn` divided by that of all categories of the dataset in the interval.
        z: Standard deviations between `drawn` and `expected`; None if no draw was random.
        weight: The category's weight at the end of the interval.
        version: Version of the weights at the end of the interval.
        unit: Unit of `drawn` and `expected`: `count` (chunks) or `seconds`.
    """

    at: float
    length_s: float
    dataset: str
    category: str
    drawn: float
    share: float
    expected: float
    z: float | None
    weight: float
    version: str
    unit: str = "count"


@dataclass(frozen=True, slots=True)
class NewWeights:
    """One worker began to draw under other weights, or under its first ones.

    Attributes:
        dataset: "" are the global weights.
        before: Category -> weight; None if there were none, or too many to be logged whole.
        after: The weights from now on, likewise.
        is_load: The worker had none before: it loads its first ones.
        who: Who changed them; "" if the line does not say.
        reason: Why, likewise.
        entry: Id of the change in the history, likewise.
    """

    at: float
    worker: str
    dataset: str
    version: str
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None
    is_load: bool = False
    who: str = ""
    reason: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A notable event of one worker.

    Attributes:
        event: Name of the log event.
        count: How many times it happened, or how many requests it stands for.
        down_s: How long a server had been away, if the event says that it is back.
        version: Version of the global weights, if the event says that a worker is ready; else "".
    """

    at: float
    worker: str
    event: str
    count: float
    down_s: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class MissingCategories:
    """Weighted categories without a READY chunk.

    Attributes:
        categories: Their names, with commas between.
        share: Sum of their weights, 0 to 1.
    """

    categories: str
    share: float


class MixSaid(NamedTuple):
    """One worker said what its draws leave out from now on.

    Attributes:
        at: Unix time in s.
        dataset: "" are the global weights.
        missing: None if its draws leave out nothing any more.
    """

    at: float
    worker: str
    dataset: str
    missing: MissingCategories | None


@dataclass(slots=True)
class Records:
    """All records of a log.

    Attributes:
        lines: Lines that are not empty.
        unused: Lines among them that are not log lines.
        repeated: Lines among them that came before, as when a log is given twice.
        console: Lines among `unused` in the format for people.
        older: Records that were forgotten, because they are older than what is drawn.
        checks: Datasets of `check` whose draws do not count.
        mixes_said: What workers said of the categories that their draws leave out.
    """

    lines: int = 0
    unused: int = 0
    repeated: int = 0
    console: int = 0
    older: int = 0
    intervals: list[Interval] = field(default_factory=list)
    draws: list[Draws] = field(default_factory=list)
    new_weights: list[NewWeights] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    checks: set[str] = field(default_factory=set)
    mixes_said: list[MixSaid] = field(default_factory=list)

    @property
    def used(self) -> int:
        """Return the number of lines that were used."""
        return self.lines - self.unused - self.repeated

    def forget(self, before: float) -> None:
        """Forget what happened before a time, Unix time in s."""
        for name in _TIMED:
            kept = [record for record in getattr(self, name) if record.at >= before]
            self.older += len(getattr(self, name)) - len(kept)
            setattr(self, name, kept)

    def newest(self) -> float:
        """Return when the last record was written, Unix time in s; 0 if there is none."""
        return max((record.at for name in _TIMED for record in getattr(self, name)), default=0.0)


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python from looking for cycles. Records have none, and it would look at all of them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
