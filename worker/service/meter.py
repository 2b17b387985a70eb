"""Count what this worker served, for its own log lines."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field

from worker.core.mixture import Mixture
from worker.core.stats import Tally

_STEPS_A_DOUBLING = 8
_LEAST_MS = 0.125


@dataclass(slots=True)
class Interval:
    """Hold the counts of one interval.

    Attributes:
        since: When it began (monotonic, s).
        requests: Results written, errors included.
        errors: Error results among them.
        chunks: Chunk ids among the ok ones.
        redrawn: Batches drawn again because weights had just changed.
        tally: Growth of the stats hash.
        mixtures: What of it stands for mixtures, see `worker.core.stats.Tally`.
        latencies: Step of the scale -> how many results took that long, see `percentile_ms`.
    """

    since: float = field(default_factory=time.monotonic)
    requests: int = 0
    errors: int = 0
    chunks: int = 0
    redrawn: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    mixtures: dict[str, Mixture] = field(default_factory=dict)
    latencies: Counter[int] = field(default_factory=Counter)

    @property
    def mixture_texts(self) -> dict[str, str]:
        """Write the mixtures as they stand in the stats hash."""
        return {name: mixture.text for name, mixture in self.mixtures.items()}

    def add_latency(self, milliseconds: float, count: int = 1) -> None:
        """Count how long results took, in ms; steps of a factor 2^(1/8) keep the error below 10 %."""
        self.latencies[math.ceil(_STEPS_A_DOUBLING * math.log2(max(milliseconds, _LEAST_MS)))] += count

    def percentile_ms(self, part: float) -> float | None:
        """Tell how long at most the given part of the results took, in ms; None when there were none.

        Args:
            part: Within (0, 1].
        """
        left = math.ceil(part * self.latencies.total())
        for step in sorted(self.latencies):
            left -= self.latencies[step]
            if left <= 0:
                return round(math.exp2(step / _STEPS_A_DOUBLING), 3)
        return None


class Meter:
    """Count, since the start and by interval."""

    def __init__(self) -> None:
        """Start counting."""
        self.requests = 0
        self.chunks = 0
        self.progress_at = time.monotonic()
        self.interval = Interval()

    def count(self, tally: Tally) -> None:
        """Count a settled batch."""
        self.requests += tally.requests
        self.chunks += tally.chunks
        self.interval.requests += tally.requests
        self.interval.errors += tally.errors
        self.interval.chunks += tally.chunks
        self.interval.tally.update(tally.fields)
        self.interval.mixtures.update(tally.mixtures)

    def begin_interval(self) -> Interval:
        """Return the interval that ends now, and begin the next."""
        ended, self.interval = self.interval, Interval()
        return ended
