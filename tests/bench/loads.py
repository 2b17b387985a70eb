"""What closed loops do to workers: how much is served, what the workers' cores do, and what a look at the stream finds.

Theory. The trainings ask at some rate, all together. While the workers keep up, each request stays in the stream for
the time of a request. So a look at the stream finds as many as arrive in that time: a Poisson number. The unread
entries are a part of these. When the workers cannot keep up, all requests in flight of the trainings are in the stream.
`ordinary.py` and `throughput.py` measured the CPU times; `lag.py` found times and parts.
"""

import math
import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

UNREAD_BEHIND: Final = 0.31
"""The part of what is in the stream that nobody has read, while workers are behind: they read all that there is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What requests of one kind cost.

    Attributes:
        cpu: Requests/s of a worker, and CPU seconds of one request at that rate; rising. The last is the most.
        times: Requests/s of a worker, and seconds for which one is in the stream at that rate; rising.
        unread: Requests/s of a worker, and the part of what is in the stream that nobody has read; rising.
        server_s: CPU seconds of a request in Redis while it is busy.
    """

    cpu: Sequence[tuple[float, float]]
    times: Sequence[tuple[float, float]]
    unread: Sequence[tuple[float, float]]
    server_s: float

    @property
    def capacity(self) -> float:
        """Requests/s of one worker at most."""
        return self.cpu[-1][0]


SMALL: Final = Kind(
    cpu=((100, 553e-6), (1_000, 249e-6), (3_000, 92e-6), (10_000, 22e-6), (110_000, 7.3e-6)),
    times=((37, 1.4e-3), (301, 1.0e-3), (1_138, 1.2e-3)),
    unread=((37, 0.04), (301, 0.08), (1_138, 0.18)),
    server_s=8.6e-6,
)
"""Of 64 ids."""
SLOW: Final = replace(SMALL, times=[(rate, 10 * seconds) for rate, seconds in SMALL.times], unread=((1, 0.3),))
"""The same of workers that get too little CPU: each takes ten times as long, so looks find more."""
LARGE: Final = Kind(
    cpu=((100, 1300e-6), (693, 1300e-6)), times=((136, 5.0e-3),), unread=((136, 0.15),), server_s=567e-6
)
"""Of 65,536 ids."""


def between(points: Sequence[tuple[float, float]], x: float) -> float:
    """Interpolate between measured points, both in logarithms; outside of them, the nearest."""
    at = bisect(points, (x, math.inf))
    if at in (0, len(points)):
        return points[min(at, len(points) - 1)][1]
    (x0, y0), (x1, y1) = points[at - 1 : at + 1]
    return float(y0 * (y1 / y0) ** (math.log(x / x0) / math.log(x1 / x0)))


class Load:
    """What is asked at one moment, and what comes of it.

    Attributes:
        served: The part of the requests asked for that is served.
        cores: What one ready worker uses of a core.
    """

    def __init__(self, kind: Kind) -> None:
        """Begin with nothing asked for."""
        self._kind = kind
        self.served = 1.0
        self.cores = 0.0
        self._rate = 0.0
        self._in_flight = 0
        self._workers = 0

    def ask(self, rate: float, in_flight: int, workers: int) -> None:
        """Ask some workers.

        Args:
            rate: Requests/s, of all trainings.
            in_flight: Requests that they have in flight at most.
            workers: Those that are ready.
        """
        most = min(workers * self._kind.capacity, 1 / self._kind.server_s if workers else 0.0)
        self.served = 1.0 if rate <= most else most / rate
        self._rate, self._in_flight, self._workers = rate, in_flight, workers
        each = rate * self.served / workers if workers else 0.0
        self.cores = min(1.0, each * between(self._kind.cpu, each)) if each else 0.0

    def look(self, metric: str, chance: random.Random) -> int:
        """Count what is in the stream (`length`), or what of it nobody has read (`lag`)."""
        if metric == "":
            return 0
        is_lag = metric == "lag"
        if self.served == 0:
            return self._in_flight
        if self.served < 1:
            return round(self._in_flight * UNREAD_BEHIND) if is_lag else self._in_flight
        if not self._rate:
            return 0
        each = self._rate / self._workers
        expected = self._rate * between(self._kind.times, each)
        return min(self._in_flight, poisson(expected * (between(self._kind.unread, each) if is_lag else 1), chance))


def poisson(expected: float, chance: random.Random) -> int:
    """Draw a Poisson number."""
    left, found = math.exp(-expected), 0
    product = chance.random()
    while product > left:
        product *= chance.random()
        found += 1
    return found
