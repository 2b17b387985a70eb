"""How long results took: counts on a scale of steps, for an interval and for the last few seconds."""

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

_STEPS_A_DOUBLING: Final = 8
_LEAST_MS: Final = 0.125
_SLICES: Final = 5
_SLICE_S: Final = 1.0
_SHORTEST_S: Final = 1e-3


@dataclass(slots=True)
class Latencies:
    """How many results took how long; steps of a factor 2^(1/8) keep the error of a percentile below 10 %.

    Attributes:
        steps: Step of the scale -> how many results took that long.
        longest_ms: The longest time, exactly; None without results.
    """

    steps: Counter[int] = field(default_factory=Counter)
    longest_ms: float | None = None

    def __len__(self) -> int:
        """Count the steps that hold results."""
        return len(self.steps)

    def total(self) -> int:
        """Count the results."""
        return self.steps.total()

    def add(self, milliseconds: float, count: int = 1) -> None:
        """Count results that took so long, in ms; below 0.125 ms they count as 0.125 ms."""
        took_ms = max(milliseconds, _LEAST_MS)
        self.steps[_step_of(took_ms)] += count
        if self.longest_ms is None or took_ms > self.longest_ms:
            self.longest_ms = took_ms

    def add_all(self, other: "Latencies") -> None:
        """Count the results of another interval."""
        self.steps.update(other.steps)
        if other.longest_ms is not None:
            self.longest_ms = max(self.longest_ms or 0.0, other.longest_ms)

    def percentile_ms(self, part: float) -> float | None:
        """Return the longest time, in ms, that the given part of the results took; None without results.

        Args:
            part: Within (0, 1].
        """
        left = math.ceil(part * self.steps.total())
        for step in sorted(self.steps):
            left -= self.steps[step]
            if left <= 0:
                return round(min(math.exp2(step / _STEPS_A_DOUBLING), self.longest_ms or math.inf), 3)
        return None


@lru_cache(maxsize=1024)  # most results take one of a few whole milliseconds
def _step_of(took_ms: float) -> int:
    return math.ceil(_STEPS_A_DOUBLING * math.log2(took_ms))


class Speed(NamedTuple):
    """How fast a worker is.

    Attributes:
        requests_per_s: Results written a second.
        p50_ms: The time, in ms, that half of them took at most; None without results.
        p99_ms: The same of 99 in 100.
        longest_ms: The longest.
    """

    requests_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    longest_ms: float | None


@dataclass(slots=True)
class _Slice:
    """About a second: when it began (monotonic, s), the results written before it, and its latencies."""

    began: float
    requests: int
    latencies: Latencies = field(default_factory=Latencies)


class Recent:
    """The last few seconds of a worker, in slices of about a second."""

    def __init__(self) -> None:
        """Begin now, without results."""
        self._slices = deque([_Slice(time.monotonic(), 0)], maxlen=_SLICES)

    def add(self, milliseconds: float, count: int) -> None:
        """Count results that took so long, in ms."""
        self._slices[-1].latencies.add(milliseconds, count)

    def look(self, requests: int) -> Speed:
        """Return how fast the worker was lately, and begin another slice if this one is over.

        Args:
            requests: Results written since the start.
        """
        now, oldest, together = time.monotonic(), self._slices[0], Latencies()
        for one in self._slices:
            if one.latencies.longest_ms is not None:
                together.add_all(one.latencies)
        rate = (requests - oldest.requests) / max(now - oldest.began, _SHORTEST_S)
        if now >= self._slices[-1].began + _SLICE_S:
            self._slices.append(_Slice(now, requests))
        if together.longest_ms is None:
            return Speed(rate, None, None, None)
        return Speed(rate, together.percentile_ms(0.5), together.percentile_ms(0.99), together.longest_ms)
